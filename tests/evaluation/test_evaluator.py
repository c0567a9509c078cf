"""Evaluation: files, cases by eye, and equivalence with independent oracles (ir_measures, brute force, SciPy)."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import ir_measures
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

from wares.core.errors import EvaluationError
from wares.data.duplicates import relevance_groups
from wares.data.listings import Catalogue, Listing, Query
from wares.data.runs import Run, ranked_ids, read_run, write_run
from wares.encoders.registry import build_towers
from wares.evaluation.correlation import correlations, render_correlations
from wares.evaluation.cross_view import measure_cross_view
from wares.evaluation.evaluator import evaluate
from wares.evaluation.measures import DEFAULT_MEASURES, Qrels, coverage, measure, read_qrels
from wares.evaluation.significance import holm_correction, paired_tests
from wares.evaluation.systems import dense_run, fused_runs, named_runs, shop_runs
from wares.shop.build import build_shop
from wares.shop.searching import run_queries
from wares.shop.shop import Shop

QRELS: Qrels = {"q1": {"a": 2, "b": 1, "c": 0}, "q2": {"d": 1}}
RUN: Run = {"q1": {"c": 3.0, "a": 2.0, "b": 1.0}, "q2": {"e": 1.0, "d": 0.5}}

names = st.text("abcdefé0123", min_size=1, max_size=4)
scores = st.dictionaries(names, st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 7.0]), min_size=1, max_size=12)


# Files


@given(run=st.dictionaries(names, scores, min_size=1, max_size=4))
def test_a_run_survives_its_file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("run") / "run.txt"
    write_run(run, path)
    assert read_run(path) == run
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, listing, rank, *_ = line.split()
        assert ranked_ids(run[query])[int(rank) - 1] == listing


def test_write_run_is_what_trec_eval_reads(tmp_path: Path) -> None:
    write_run({"q1": {"a": 0.5, "b": 1.0, "c": 0.5}}, tmp_path / "run.txt", tag="bm25")
    expected = "q1 Q0 b 1 1.0 bm25\nq1 Q0 c 2 0.5 bm25\nq1 Q0 a 3 0.5 bm25\n"
    assert (tmp_path / "run.txt").read_text(encoding="utf-8") == expected


def test_write_run_refuses_names_with_spaces(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"'red boots' is empty or contains spaces.*run\.txt"):
        write_run({"red boots": {"a": 1.0}}, tmp_path / "run.txt")


def test_read_qrels(tmp_path: Path) -> None:
    (tmp_path / "qrels.txt").write_text("\ufeffq1 0 a 2\nq1\t0\tb\t0\n\nq2 0 a -1\n", encoding="utf-8")
    assert read_qrels(tmp_path / "qrels.txt") == {"q1": {"a": 2, "b": 0}, "q2": {"a": -1}}


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (read_qrels, b"q1 0 a 1\nq1 0 b\n", r"file\.txt, line 2: expected 4 columns \(query .*relevance\), found 3"),
        (read_qrels, b"q1 0 a high\n", "line 1: relevance is 'high'"),
        (read_qrels, b"q1 0 a 1.5\n", "line 1: relevance is '1.5'"),
        (read_qrels, b"q1 0 a 1\nq1 0 a 0\n", "line 2: duplicate listing a for query q1"),
        (read_qrels, b"\n\n", "is empty"),
        (read_qrels, b"\xff\xfe\x00", "not UTF-8"),
        (read_run, b"q1 Q0 a 1 0.5\n", "line 1: expected 6 columns"),
        (read_run, b"q1 Q0 a 1 nan x\n", "line 1: score must be a finite number, not 'nan'"),
        (read_run, b"q1 Q0 a 1 high x\n", "line 1: score must be a finite number, not 'high'"),
        (read_run, b"q1 Q0 a 1 1 x\nq1 Q0 a 2 0 x\n", "line 2: duplicate listing a"),
    ],
)
def test_a_bad_file_is_named_by_line(
    reader: Callable[[Path], object], text: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "file.txt").write_bytes(text)
    with pytest.raises(EvaluationError, match=message):
        reader(tmp_path / "file.txt")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"nothing\.txt cannot be read"):
        read_run(tmp_path / "nothing.txt")


# Measures


@pytest.mark.parametrize("name", [*DEFAULT_MEASURES, "AP(rel=2)", "RR@10"])
def test_measure_names_round_trip(name: str) -> None:
    assert str(ir_measures.parse_measure(name)) == name
    assert set(measure(RUN, QRELS, [name])) == {name}


def test_measures_by_eye() -> None:
    """q1 ranks c a b with gains 0 2 1, the ideal order being 2 1; q2 finds its only listing second."""
    values = measure(RUN, QRELS)
    log3 = np.log2(3)
    assert values["nDCG@10"] == pytest.approx({"q1": (2 / log3 + 0.5) / (2 + 1 / log3), "q2": 1 / log3})
    assert values["AP"] == pytest.approx({"q1": (1 / 2 + 2 / 3) / 2, "q2": 0.5})
    assert values["RR"] == {"q1": 0.5, "q2": 0.5}
    assert values["R@10"] == {"q1": 1.0, "q2": 1.0}


def test_a_query_without_results_counts_as_zero() -> None:
    for run in ({"q1": RUN["q1"]}, {"q1": RUN["q1"], "q2": {}}):
        values = measure(run, QRELS)
        assert all(row["q2"] == 0.0 for row in values.values())
        assert coverage(run, QRELS).unanswered == ("q2",)
    assert measure({}, QRELS, ["AP"]) == {"AP": {"q1": 0.0, "q2": 0.0}}


def test_unjudged_queries_and_queries_without_relevant_are_left_out_and_counted() -> None:
    qrels: Qrels = {**QRELS, "q3": {"a": 0, "b": -1}}
    run: Run = {**RUN, "q3": {"a": 1.0}, "q9": {"a": 1.0}}
    met = coverage(run, qrels)
    assert (met.judged, met.without_relevant, met.unanswered, met.unjudged) == (("q1", "q2"), ("q3",), (), ("q9",))
    assert measure(run, qrels) == measure(RUN, QRELS)


def test_ties_go_to_the_greater_id_whatever_the_order_in_the_run() -> None:
    for order in itertools.permutations("abc"):
        run: Run = {"q1": dict.fromkeys(order, 1.0)}
        assert ranked_ids(run["q1"]) == ["c", "b", "a"]
        assert measure(run, {"q1": {"b": 1}}, ["RR"]) == {"RR": {"q1": 0.5}}


def test_scores_that_only_differ_in_double_precision_are_no_ties() -> None:
    assert measure({"q1": {"a": 1.0 + 1e-12, "b": 1.0}}, {"q1": {"a": 1}}, ["RR"]) == {"RR": {"q1": 1.0}}


@pytest.mark.parametrize("name", ["nCDG@10", "R", "", "__import__('os')"])
def test_unknown_measure(name: str) -> None:
    with pytest.raises(EvaluationError, match="is not a measure"):
        measure(RUN, QRELS, [name])


def test_judgments_that_do_not_fit() -> None:
    with pytest.raises(EvaluationError, match=r"share no query id \('q1' against '1'\)"):
        measure(RUN, {"1": {"a": 1}})
    with pytest.raises(EvaluationError, match="no listing has a relevance of 1"):
        measure(RUN, {"q1": {"a": 0}})


# Significance


def test_holm_by_hand() -> None:
    """Sorted .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04, and no p may be below one before it."""
    assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_correction([0.9, 0.8]) == [1.0, 1.0]
    assert holm_correction([]) == []


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """The oracle: the largest Bonferroni p-value over all subsets that a test belongs to."""
    expected = [
        max(
            min(1.0, len(others) * min(p_values[i] for i in others))
            for size in range(1, len(p_values) + 1)
            for others in itertools.combinations(range(len(p_values)), size)
            if test in others
        )
        for test in range(len(p_values))
    ]
    assert holm_correction(p_values) == pytest.approx(expected)


def table(values: npt.ArrayLike) -> dict[str, dict[str, float]]:
    return {"AP": {f"q{i}": float(value) for i, value in enumerate(np.asarray(values))}}


def test_paired_t_by_hand() -> None:
    """Differences 1 2 3: mean 2, standard error 1/sqrt(3), t = 2 sqrt(3) with 2 degrees of freedom."""
    (test,) = paired_tests({"ours": table([1, 2, 3]), "base": table([0, 0, 0])}, "base")
    t = 2 * np.sqrt(3)
    assert test.difference == 2.0
    assert test.p == pytest.approx(1 - t / np.sqrt(t * t + 2))  # Student's distribution, two degrees of freedom
    assert test.p_holm == test.p
    assert (test.system, test.baseline, test.measure) == ("ours", "base", "AP")


def test_paired_tests_are_scipys_and_corrected_over_all_systems_and_measures() -> None:
    random = np.random.default_rng(0)
    values = random.random((3, 2, 40)) + np.array([0, 0.1, 0.2])[:, None, None]
    per_query = {
        system: {name: dict(enumerate_as_queries(values[i, j])) for j, name in enumerate(["AP", "RR"])}
        for i, system in enumerate(["base", "ours", "theirs"])
    }
    tests = paired_tests(per_query, "base")
    expected = [stats.ttest_rel(values[i, j], values[0, j]).pvalue for i in (1, 2) for j in (0, 1)]
    assert [test.p for test in tests] == pytest.approx(expected)
    assert [test.p_holm for test in tests] == holm_correction([test.p for test in tests])
    assert [(test.system, test.measure) for test in tests] == [
        ("ours", "AP"),
        ("ours", "RR"),
        ("theirs", "AP"),
        ("theirs", "RR"),
    ]


def enumerate_as_queries(values: npt.NDArray[np.float64]) -> list[tuple[str, float]]:
    return [(f"q{i}", float(value)) for i, value in enumerate(values)]


def test_permutation_by_brute_force() -> None:
    difference = np.array([0.3, -0.1, 0.4, 0.2, 0.5, 0.1, -0.2, 0.25])
    flips = np.array(list(itertools.product([1, -1], repeat=len(difference))))
    extreme = np.abs((flips * difference).mean(axis=1)) >= abs(difference.mean()) - 1e-12
    (test,) = paired_tests({"ours": table(difference), "base": table(difference * 0)}, "base", "permutation")
    assert test.p == pytest.approx(extreme.mean())


@pytest.mark.parametrize("method", ["t", "permutation"])
@pytest.mark.filterwarnings("error")
def test_degenerate_differences(method: str) -> None:
    def p(ours: list[float], base: list[float]) -> float:
        (test,) = paired_tests({"ours": table(ours), "base": table(base)}, "base", method)  # type: ignore[arg-type]
        return test.p

    assert p([0.1, 0.7, 0.3], [0.1, 0.7, 0.3]) == 1.0
    assert p([0.5], [0.1]) == 1.0
    assert p([0.6, 0.5, 0.4], [0.5, 0.4, 0.3]) == pytest.approx(2 / 2**3)


def test_tests_need_the_baseline_and_the_same_queries() -> None:
    with pytest.raises(EvaluationError, match="baseline 'bm25' is not among the systems: ours"):
        paired_tests({"ours": table([1.0])}, "bm25")
    with pytest.raises(EvaluationError, match="not measured on the same queries"):
        paired_tests({"ours": table([1.0, 2.0]), "base": table([1.0])}, "base")


# Whole evaluations


def test_evaluation_writes_the_promised_shape() -> None:
    found = evaluate({"bm25": RUN, "ours": {"q1": {"a": 1.0, "b": 0.5}, "q2": {"d": 1.0}}}, QRELS, "bm25", ["AP", "RR"])
    written = json.loads(json.dumps(found.to_json()))
    assert list(written) == ["queries", "systems", "tests"]
    assert written["queries"] == 2
    assert written["systems"]["ours"] == {"AP": 1.0, "RR": 1.0}
    assert written["systems"]["bm25"]["RR"] == 0.5
    assert [list(test) for test in written["tests"]] == [
        ["system", "baseline", "measure", "difference", "p", "p_holm"]
    ] * 2
    assert written["tests"][1]["difference"] == 0.5


def test_evaluation_without_a_baseline_makes_no_tests() -> None:
    assert evaluate({"bm25": RUN}, QRELS).tests == ()
    with pytest.raises(EvaluationError, match="no run to evaluate"):
        evaluate({}, QRELS)


def test_judgments_of_other_listings_are_refused() -> None:
    runs: dict[str, Run] = {"one": {"q": {"sku-1": 1.0}}, "other": {"q": {"sku-2": 1.0}}}
    with pytest.raises(EvaluationError, match=r"share no listing id \('sku-1' against '17'\)"):
        evaluate(runs, {"q": {"17": 1}})
    evaluate(runs, {"q": {"17": 1, "sku-2": 0}})
    evaluate({"silent": {}}, {"q": {"17": 1}})


def test_what_holds_for_all_systems_is_said_once() -> None:
    runs: dict[str, Run] = {name: {"a": {"x": 1.0}, "b": {"x": 1.0}} for name in ("one", "other")}
    console = Console(file=io.StringIO(), width=160, record=True)
    evaluate(runs, {"a": {"x": 1}, "c": {"x": 1}}).render(console)
    text = console.export_text()
    assert "All systems: judged queries without results, scored 0: 1." in text
    assert "All systems: queries without judgments, ignored: 1." in text and "other: " not in text


def test_rendered_table_explains_itself() -> None:
    qrels: Qrels = {f"q{i}": {"right": 1} for i in range(20)} | {"q99": {"right": 0}}
    good: Run = {query: {"right": 1.0, "wrong": 0.5} for query in qrels} | {"other": {"right": 1.0}}
    bad: Run = {query: {"right": 0.5, "wrong": 1.0} for query in qrels if query != "q0"}
    console = Console(file=io.StringIO(), width=160, record=True, color_system="standard", force_terminal=True)
    evaluate({"bad": bad, "good": good}, qrels, "bad", ["RR"]).render(console)
    text = console.export_text(styles=True)
    assert "1.000\x1b[0m▲" in text
    assert "\x1b[1m1.000" in text
    assert "20 judged queries" in text
    assert "worse than bad: two-sided paired t-test" in text
    assert "Judged queries without a relevant listing, left out: 1." in text
    assert "bad: judged queries without results, scored 0: 1." in text
    assert "good: queries without judgments, ignored: 1." in text


def test_real_judgments(shared_data: Callable[[str], Path]) -> None:
    qrels = read_qrels(shared_data("magento") / "qrels.txt")
    perfect: Run = {query: {listing: float(grade) for listing, grade in row.items()} for query, row in qrels.items()}
    values = measure(perfect, qrels)
    assert min(values["nDCG@10"].values()) == pytest.approx(1.0)
    assert min(values["R@500"].values()) == pytest.approx(1.0)


# Predicted performance


def test_correlations_by_eye() -> None:
    """Of six pairs of queries one is the wrong way round: (5 - 1) / 6; and a swap of neighbours is Σd² = 2."""
    values = {"AP": {"a": 0.1, "b": 0.2, "c": 0.4, "d": 0.3, "unasked": 0.9}}
    predictions = {"good": dict(zip("abcd", (1.0, 2.0, 3.0, 4.0), strict=True))}
    predictions["bad"] = {query: -value for query, value in predictions["good"].items()}
    good, bad = correlations(predictions, values)
    assert (good.predictor, good.measure, good.queries) == ("good", "AP", 4)
    assert (good.kendall, good.spearman, good.pearson) == pytest.approx((2 / 3, 0.8, 0.8))
    assert (bad.kendall, bad.spearman, bad.pearson) == pytest.approx((-2 / 3, -0.8, -0.8))


def test_what_was_not_predicted_is_left_out() -> None:
    """And where nothing can be said of the rest, nothing is said."""
    values = {"AP": dict(zip("abcd", (0.1, 0.2, 0.4, 0.3), strict=True)), "RR": dict.fromkeys("abcd", 1.0)}
    nan = float("nan")
    predictions = {
        "partly": {"a": 1.0, "b": nan, "c": 3.0, "d": 2.0, "unjudged": 9.0},
        "hardly": {"a": 1.0, "b": 2.0, "c": nan, "d": nan},
        "level": dict.fromkeys("abcd", 5.0),
    }
    found = {(each.predictor, each.measure): each for each in correlations(predictions, values)}
    assert found["partly", "AP"].queries == 3
    assert found["partly", "AP"].kendall == pytest.approx(1)
    for pair in (("hardly", "AP"), ("level", "AP"), ("partly", "RR")):
        assert (found[pair].kendall, found[pair].spearman, found[pair].pearson) == (None, None, None)
    console = Console(file=io.StringIO(), width=100)
    render_correlations(list(found.values()), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "AP τ" in text and "RR r" in text and "–" in text and "partly" in text


# Cross-view protocols


@given(seed=st.integers(0, 2**32 - 1), queries=st.integers(1, 6), candidates=st.integers(1, 14))
@settings(max_examples=60, deadline=None)
def test_cross_view_is_ir_measures(seed: int, queries: int, candidates: int) -> None:
    """Small whole numbers make many ties; ids that fall with position make ir_measures settle them as we do."""
    random = np.random.default_rng(seed)
    left, right = random.integers(-2, 3, (queries, 2)), random.integers(-2, 3, (candidates, 2))
    relevant = random.random((queries, candidates)) < 0.3
    relevant[np.arange(queries), random.integers(0, candidates, queries)] = True
    measures = [*DEFAULT_MEASURES, "nDCG@3", "R@3", "P@3"]
    found = measure_cross_view(left.astype(np.float32), right.astype(np.float32), relevant, measures)

    ids = [f"{candidates - i:03d}" for i in range(candidates)]
    run = {f"q{i}": dict(zip(ids, map(float, row), strict=True)) for i, row in enumerate(left @ right.T)}
    qrels = {f"q{i}": dict(zip(ids, map(int, row), strict=True)) for i, row in enumerate(relevant)}
    parsed = [ir_measures.parse_measure(name) for name in measures]
    for metric in ir_measures.iter_calc(parsed, qrels, run):
        ours = found[str(metric.measure)][int(metric.query_id[1:])]
        assert ours == pytest.approx(metric.value, abs=1e-9), metric


def test_cross_view_by_eye() -> None:
    """One query; candidates in the order relevant, not, relevant."""
    found = measure_cross_view(np.array([[1.0]]), np.array([[3.0], [2.0], [1.0]]), np.array([[True, False, True]]))
    assert found["AP"] == pytest.approx([(1 + 2 / 3) / 2])
    assert found["RR"] == [1.0]
    assert found["nDCG@10"] == pytest.approx([1.5 / (1 + 1 / np.log2(3))])


def test_group_labels_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    left, right = random.normal(size=(23, 4)), random.normal(size=(31, 4))
    left_groups, right_groups = random.integers(0, 5, 23), np.arange(31) % 5
    whole = measure_cross_view(left, right, left_groups[:, None] == right_groups[None])
    monkeypatch.setattr("wares.evaluation.cross_view.SIMILARITIES_PER_BLOCK", 100)
    chunked = measure_cross_view(left, right, (left_groups, right_groups))
    for name in DEFAULT_MEASURES:
        np.testing.assert_array_equal(whole[name], chunked[name])


def test_cross_view_refuses_queries_without_a_relevant_candidate() -> None:
    with pytest.raises(EvaluationError, match="query 1 has no relevant candidate"):
        measure_cross_view(np.eye(2), np.eye(2), np.array([[True, False], [False, False]]))
    with pytest.raises(EvaluationError, match="'AP@3' is no cross-view measure"):
        measure_cross_view(np.eye(2), np.eye(2), np.eye(2, dtype=bool), ["AP@3"])


def test_relevance_groups() -> None:
    listings = [
        Listing("1", "Red  Mug", product="mug"),
        Listing("2", "Another name", product="mug"),
        Listing("3", "Red mug"),
        Listing("4", " RED MUG "),
        Listing("5", "mug"),
    ]
    assert relevance_groups(listings).tolist() == [0, 0, 1, 1, 2]


# Shops

ASKED = [Query("q1", "red wool boots"), Query("q2", "coffee mug"), Query("q3", "nothing of the kind")]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Twelve listings of few words, so that BM25 has ties, under towers that can be built again by name."""
    folder = tmp_path_factory.mktemp("shop")
    words = ["red", "blue", "wool", "boots", "mug", "coffee"]
    listings = [Listing(f"l{i:02}", f"{words[i % 6]} {words[(i // 2) % 6]}", words[i % 3]) for i in range(12)]
    towers = build_towers("small", seed=3)
    return build_shop(Catalogue(folder, tuple(listings)), towers, folder / "shop", cache=folder / "cache")


def test_a_shops_systems_and_its_baselines(shop: Shop) -> None:
    runs = shop_runs(shop, ASKED)
    assert list(runs) == ["fused", "bm25", "fused+bm25", "dense", "bm25+dense"]
    for system in ("fused", "bm25", "fused+bm25"):
        assert runs[system] == run_queries(shop, ASKED, 500, system)
    assert runs["bm25"]["q3"] == {}, "no word of it is known"
    assert all(
        len(runs[name][query]) == 12 for name in ("fused", "dense", "bm25+dense") for query in ("q1", "q2", "q3")
    )
    assert {name: len(run["q1"]) for name, run in shop_runs(shop, ASKED, depth=4).items()} == dict.fromkeys(runs, 4)


def test_fusing_two_runs_is_what_search_does(shop: Shop) -> None:
    """The same listings, scores and order as search's own hybrid, ties of BM25 included."""
    runs = shop_runs(shop, ASKED)
    scores = list(runs["bm25"]["q1"].values())
    assert len(set(scores)) < len(scores), "without ties this shows less"
    fused = fused_runs(runs["fused"], runs["bm25"])
    for query, found in runs["fused+bm25"].items():
        assert list(fused[query]) == list(found)
        assert fused[query] == pytest.approx(found)


def test_fused_runs_by_eye() -> None:
    fused = fused_runs({"q1": {"b": 5.0, "a": 5.0, "c": 1.0}}, {"q1": {"c": 0.9}, "q2": {"d": 1.0}})
    assert list(fused["q1"]) == ["c", "a", "b"]
    assert fused["q1"] == pytest.approx({"c": 1 / 63 + 1 / 61, "a": 1 / 61, "b": 1 / 62})
    assert fused["q2"] == pytest.approx({"d": 1 / 61})
    assert list(fused_runs({"q1": {"b": 5.0, "a": 5.0, "c": 1.0}}, {}, depth=2)["q1"]) == ["a", "b"]


def test_dense_is_the_text_tower_untrained_on_all_text(shop: Shop) -> None:
    """Whatever the shop's own towers have learned: here they are of another seed."""
    from wares.encoders.features import embed_texts

    untrained = build_towers("small")
    rows = shop.table.to_arrow().to_pylist()
    texts = {row["id"]: row["title"] + "\n" + row["description"] for row in rows}
    cosines = embed_texts([query.text for query in ASKED], untrained) @ embed_texts(list(texts.values()), untrained).T
    run = dense_run(shop, ASKED)
    for query, row in zip(ASKED, cosines, strict=True):
        assert run[query.id] == pytest.approx(dict(zip(texts, row.tolist(), strict=True)), abs=1e-5)
        assert list(run[query.id].values()) == sorted(run[query.id].values(), reverse=True)
    assert dense_run(shop, ASKED, depth=2)["q1"] == dict(list(run["q1"].items())[:2])


def test_shops_and_run_files_have_names(shop: Shop, tmp_path: Path) -> None:
    write_run(RUN, tmp_path / "mine.txt")
    runs = named_runs([shop.path, tmp_path / "mine.txt"], ASKED)
    assert list(runs) == [*shop_runs(shop, ASKED), "mine"]
    assert runs["mine"] == RUN
    other = tmp_path / "other"
    other.symlink_to(shop.path)
    both = named_runs([shop.path, other], ASKED)
    assert list(both) == [f"{place}/{system}" for place in ("shop", "other") for system in shop_runs(shop, ASKED)]
    write_run(RUN, tmp_path / "bm25.txt")
    with pytest.raises(EvaluationError, match=r"two systems have the name 'bm25'. Rename .*bm25\.txt"):
        named_runs([shop.path, tmp_path / "bm25.txt"], ASKED)
