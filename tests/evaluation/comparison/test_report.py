"""Reports of `wares compare`: the page is complete, escaped and self-contained; the JSON has its documented shape."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from wares.evaluation.comparison.columns import format_p_value, format_percent, join_names, join_seeds
from wares.evaluation.comparison.report import write_comparison
from wares.evaluation.comparison.results import (
    HYBRID_SUFFIX,
    QUERY_PROTOCOL,
    Comparison,
    ComparisonResult,
    Cost,
    ProtocolValues,
    SelectedWeights,
    System,
    Training,
)
from wares.evaluation.comparison.setup import ExperimentSetup
from wares.evaluation.comparison.validation import FUSIONS, Validation
from wares.evaluation.measures import DEFAULT_MEASURES
from wares.evaluation.systems import BASELINES
from wares.training.settings import Method, PretrainSettings

METHODS: tuple[Method, ...] = ("factorized", "single-view", "random-view")
LEVELS = {"factorized": 0.7, "single-view": 0.5, "random-view": 0.6}
EVIL = '<script>alert("boots")</script>'
VOID = {"meta", "img", "br", "link", "hr", "input"}


def comparison_result(queries: bool = True) -> ComparisonResult:
    """Two seeds of three methods; 20 listings, of which 6 are held out."""
    random = np.random.default_rng(0)

    def protocol(level: float, asking: int) -> dict[str, dict[str, float]]:
        return {
            m: {f"l{i}": float(np.clip(level + random.normal(0, 0.2), 0, 1)) for i in range(asking)}
            for m in DEFAULT_MEASURES
        }

    def table() -> dict[str, ProtocolValues]:
        rows: dict[str, ProtocolValues] = {name: {"title->photos": protocol(LEVELS[name], 6)} for name in METHODS}
        rows |= {
            f"{name}, {fusion} fusion": {"title->photos": protocol(LEVELS[name], 6)}
            for name in METHODS
            for fusion in FUSIONS
        }
        if queries:
            for name, row in rows.items():
                row[QUERY_PROTOCOL] = protocol(LEVELS[name.split(",")[0]], 30)
            rows |= {name + HYBRID_SUFFIX: {QUERY_PROTOCOL: protocol(LEVELS[name], 30)} for name in METHODS}
            rows |= {name: {QUERY_PROTOCOL: protocol(0.4, 30)} for name in BASELINES}
        return rows

    systems: dict[str, System] = {name: System(name, seconds=2.5) for name in METHODS}
    if queries:
        systems |= {name + HYBRID_SUFFIX: System(name, None, True) for name in METHODS}
        systems |= dict.fromkeys(BASELINES, System())
    systems |= {f"{name}, {fusion} fusion": System(name, fusion) for name in METHODS for fusion in FUSIONS}
    comparison = Comparison([table(), table()], systems, {"title->photos": 6, QUERY_PROTOCOL: 150})
    costs = {name: Cost(1.9, 2.0, 0.2 * (i + 1), 6.7) for i, name in enumerate(METHODS)}
    epochs_of: dict[Training, tuple[int, ...]] = {"cross-view": (15, 30)}
    if queries:
        epochs_of["queries"] = (30, 60)
    validations = {
        training: [
            Validation(name, seed, epochs, "uniform", {epochs: dict.fromkeys(FUSIONS, -1.25)}, 4, 3, 0.5)
            for name in METHODS
            for seed, epochs in enumerate(by_seed)
        ]
        for training, by_seed in epochs_of.items()
    }
    weights = {"alpha": 0.75, "beta": 0.5, "gamma": 0.5, "intra_modal": 0.25}
    selected = [SelectedWeights("factorized", 0, weights, 6, 12.5)]
    return ComparisonResult(comparison, costs, validations, selected, 1536)


def setup() -> ExperimentSetup:
    facts = {"listings": "20", "versions": "python 3.11", "date": "2026-01-01 00:00 UTC"}
    return ExperimentSetup(EVIL, f"wares compare '{EVIL}'", facts, [PretrainSettings(method=name) for name in METHODS])


class Page(HTMLParser):
    """Open tags, all references, and the text outside of styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data if self.open[-1:] != ["style"] else ""


class Written:
    """A report in a folder, and the console output."""

    def __init__(self, folder: Path, result: ComparisonResult, baseline: str | None = None) -> None:
        console = Console(file=io.StringIO(), width=120, record=True)
        self.files = write_comparison(console, result, setup(), folder, baseline)
        self.output = console.export_text()
        self.text = (folder / "report.html").read_text(encoding="utf-8")
        self.page = Page(self.text)
        self.words = " ".join(self.page.words.split())
        self.json = json.loads((folder / "compare.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("report"), comparison_result())


# The page --------------------------------------------------------------------------------------------------------


def test_the_page_is_complete_and_has_no_references(written: Written) -> None:
    assert written.page.open == [], "every tag is closed"
    pictures = [file for file in written.files if file.suffix == ".png"]
    assert len(written.page.references) == len(pictures) == 5
    assert all(reference.startswith("data:image/png;base64,") for reference in written.page.references)
    assert not written.page.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import", written.text)


def test_the_page_escapes_its_input(written: Written) -> None:
    assert EVIL not in written.text
    assert f"Pretraining methods on {EVIL}" in written.words
    assert f"wares compare '{EVIL}'" in written.words


def test_the_page_has_setup_and_results(written: Written) -> None:
    comparison = comparison_result().comparison
    baseline = comparison.baseline(QUERY_PROTOCOL)
    assert baseline.startswith("random-view, "), "a method without transport, with its best fusion"
    for text in (
        f"{comparison.mean('factorized', QUERY_PROTOCOL, 'nDCG@10'):.3f}",
        f"Baseline in query → listing: {baseline}",
        "the strongest system without transport",
        "15, 30",
        "uniform fusion",
        "-1.250",
        "1,536 bytes",
        "At most 150 listings are ranked",
        "trivial",
        "python 3.11",
        "9,999 bootstrap resamples of queries",
        "Holm",
        "random-view: one view per modality",
        "not held out",
        "12.5",
    ):
        assert text in written.words
    [gain] = [
        test.gain for test in comparison.tests(QUERY_PROTOCOL) if (test.system, test.measure) == ("factorized", "R@100")
    ]
    assert gain is not None and format_percent(gain.relative) in written.words
    assert "full-transport" not in written.words, "it was not compared"


def test_the_page_has_a_mobile_and_a_dark_layout(written: Written) -> None:
    assert 'name="viewport"' in written.text
    assert "prefers-color-scheme: dark" in written.text
    assert written.text.count("<table") == written.text.count('<div class="scroll"><table'), (
        "tables scroll by themselves"
    )


def test_a_report_without_queries(tmp_path: Path) -> None:
    written = Written(tmp_path, comparison_result(queries=False))
    assert "query → listing" not in written.words
    assert written.page.open == []
    assert {file.name for file in written.files} == {
        "compare.json",
        "cross-view.png",
        "fusions.png",
        "gains.png",
        "cost.png",
        "report.html",
    }


# JSON ------------------------------------------------------------------------------------------------------------


def test_json_has_the_documented_results_at_the_top(written: Written) -> None:
    promised = comparison_result().comparison.results()
    assert {name: written.json[name] for name in promised} == promised
    assert written.json["seeds"] == 2
    assert set(written.json["methods"]) == {*METHODS, *(name + HYBRID_SUFFIX for name in METHODS), *BASELINES}
    for row in written.json["methods"].values():
        for name, protocol in row.items():
            assert name == "seconds" or all(cell.keys() == {"mean", "std"} for cell in protocol.values())


def test_json_has_the_details_in_further_keys(written: Written) -> None:
    low, high = written.json["ci"]["factorized"][QUERY_PROTOCOL]["R@10"]
    assert low < written.json["methods"]["factorized"][QUERY_PROTOCOL]["R@10"]["mean"] < high
    assert written.json["trivial"] == {"title->photos": ["R@10", "R@100", "R@500"], QUERY_PROTOCOL: ["R@500"]}
    assert "R@500" not in written.json["ci"]["bm25"][QUERY_PROTOCOL]
    assert list(written.json["fusions"]) == ["title->photos", QUERY_PROTOCOL]
    cell = written.json["fusions"][QUERY_PROTOCOL]["single-view"]["uniform"]["nDCG@10"]
    assert cell == comparison_result().comparison.spread("single-view, uniform fusion", QUERY_PROTOCOL, "nDCG@10")
    for training, epochs in (("cross-view", [15, 30]), ("queries", [30, 60])):
        rows = written.json["validation"][training]
        assert [row["epochs"] for row in rows if row["method"] == "factorized"] == epochs
    assert written.json["cost"]["random-view"]["milliseconds"] == pytest.approx(0.6)
    assert written.json["choices"][0]["weights"]["alpha"] == 0.75
    assert {test["protocol"] for test in written.json["tests"]} == {"title->photos", QUERY_PROTOCOL}
    baselines = {test["baseline"] for test in written.json["tests"] if test["system"] == "factorized"}
    assert baselines == set(written.json["baselines"].values())
    assert all(test["gain"].keys() == {"relative", "low", "high"} for test in written.json["tests"])
    assert written.json["setup"]["settings"][0]["method"] == "factorized"


def test_another_baseline_is_used_if_it_was_measured(tmp_path: Path) -> None:
    tests = Written(tmp_path, comparison_result(), "bm25").json["tests"]
    assert {test["baseline"] for test in tests if test["protocol"] == QUERY_PROTOCOL} == {"bm25"}
    [baseline] = {test["baseline"] for test in tests if test["protocol"] == "title->photos"}
    assert baseline.startswith("random-view")


# Pictures and the console ----------------------------------------------------------------------------------------


def test_charts_have_a_viewable_size(written: Written) -> None:
    for file in written.files:
        if file.suffix == ".png":
            with Image.open(file) as picture:
                assert min(picture.size) > 300 and max(picture.size) < 4000


def test_the_console_has_the_main_tables(written: Written) -> None:
    assert "nDCG@10, epochs and fusion validated" in written.output
    assert "nDCG@10, query → listing: methods by fusions" in written.output
    assert "Baseline in query → listing: random-view, " in written.output
    assert "▲" in written.output
    assert "R@500 left out: only 150 listings are ranked" in " ".join(written.output.split())
    assert "ms per listing" in written.output
    assert "15, 30 / 30, 60" in written.output
    assert "report.html" in written.output
    assert max(map(len, written.output.splitlines())) <= 120


def test_number_formats() -> None:
    assert [format_p_value(p) for p in (0.5, 0.00005, 1.0)] == [".5000", "< .0001", "1.0000"]
    assert format_percent(-0.0714) == "-7.1 %"
    assert [join_names(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert [join_seeds(values) for values in ([], [15], [15, 15], [15, 30, 15])] == ["–", "15", "15", "15, 30, 15"]
