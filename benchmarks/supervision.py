"""Rankers trained without judgments: the strategies of generalized weak supervision against untrained baselines.

    python benchmarks/supervision.py                          # draws a sample marketplace of 1,000 listings
    python benchmarks/supervision.py ../shared/data/magento [--out benchmarks/results] [--seeds 3] [--queries 4000]
        [--rankers static,sparse] [--work FOLDER]

Cost        twenty minutes (listings) to three hours (passages) per corpus on one core. Resumes from --work.
Writes      supervision-NAME.json and .md in --out after each seed; the last table goes to stdout. With --rankers the
            name is supervision-NAME-rankers.
Expected    cross, joint, greedy above weak if one ranker is much better than the labelers; self below (README.md).

Queries are generated from the corpus with the lengths of the judged queries; those that are judged queries by chance
are left out. Neither the words of judged queries nor judgments are used for training. Passages: BM25 and MiniLM are the
weak labelers, heads on MiniLM (`dense`) and late interaction the rankers. Listings with photos: a model is pretrained
on them first; BM25 and that model are the labelers, `dense` and the model's query tower (`two-tower`) the rankers,
unless --rankers lists others. Two rounds. All other settings are defaults, which were selected on Vaswani.

Systems     RANKER WAY: a ranker after its last round; "+ bm25": the sum of its standardised scores and BM25's.
Ways        weak: trained on labels of the weak labelers, or of BM25 only. self, cross, joint, greedy: one more round,
            with rankers as teachers (wares.supervision.strategies). "weighted": queries weighted by WIG (passages: weak
            and joint only).
Seeds       each generates other queries and trains new rankers. Values of a query are averaged over seeds, and tested
            against the hybrid of BM25 and MiniLM, and against "weak" of the same ranker (paired t-tests, each set with
            Holm's correction).
"""

from __future__ import annotations

import json
import platform
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import numpy as np

from measuring import mean_of, means
from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Query
from wares.data.queries import read_queries
from wares.data.query_log import unshared_queries
from wares.encoders.features import catalogue_features
from wares.encoders.registry import build_towers
from wares.evaluation.measures import PerQuery, Qrels, measure, read_qrels
from wares.evaluation.significance import PairedTest, paired_tests
from wares.evaluation.supervision_report import read_run_results
from wares.samples.marketplace import write_marketplace
from wares.supervision.query_generation import generate_queries, query_length_weights
from wares.supervision.recipe import supervise
from wares.supervision.run_folder import TESTS_FILE
from wares.supervision.settings import SuperviseSettings
from wares.supervision.strategies import Strategy
from wares.training.pretraining import pretrain
from wares.training.settings import PretrainSettings
from wares.training.weight_selection import select_weights

MEASURES = ("nDCG@10", "R@100", "AP")
HYBRID, WEIGHTS, ROUNDS = "bm25+dense", "wig", 2
WAYS: tuple[Strategy, ...] = ("weak", "self", "cross", "joint", "greedy")
Systems = dict[str, PerQuery]


@dataclass(frozen=True)
class Teachers:
    """Labelers of the first round, rankers, and the strategies that also run with query weights."""

    labelers: tuple[str, ...]
    rankers: tuple[str, ...]
    weighted: tuple[Strategy, ...]


def main(
    corpus: str = "marketplace",
    out: Path = Path("benchmarks/results"),
    seeds: int = 3,
    queries: int = 4000,
    listings: int = 1000,
    rankers: str | None = None,
    work: Path | None = None,
) -> None:
    """Train, measure, print and write."""
    name, table = Path(corpus).name + ("-rankers" if rankers else ""), ""
    with TemporaryDirectory() as temporary:
        runs = Path(temporary) if work is None else work
        folder = Path(corpus)
        if corpus == "marketplace":
            folder = runs / "marketplace"
            if not folder.exists():
                write_marketplace(folder, listings, 0)
        judged = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.txt")
        searched = Corpus(read_catalogue(folder, "skip"))
        about = {"corpus": {"name": name, "listings": len(searched), "queries": len(judged[0])}}
        values: defaultdict[str, list[PerQuery]] = defaultdict(list)
        out.mkdir(parents=True, exist_ok=True)
        for seed in range(seeds):
            for system, by_query in train_and_measure(searched, judged, queries, seed, rankers, runs / str(seed)):
                values[system].append(by_query)
            settings = {"seeds": seed + 1, "queries": queries, "rounds": ROUNDS, "weights": WEIGHTS}
            figures, table = compared(values)
            report = json.dumps(about | {"settings": settings} | figures, indent=2) + "\n"
            (out / f"supervision-{name}.json").write_text(report, encoding="utf-8")
            (out / f"supervision-{name}.md").write_text(table, encoding="utf-8")
    print(table)


def compared(values: Mapping[str, list[PerQuery]]) -> tuple[dict[str, Any], str]:
    """Return all figures of the finished seeds, and their table."""
    systems = {system: mean_of(each) for system, each in values.items()}
    spread = {system: deviations(each) for system, each in values.items()}
    tests = paired_tests(systems, HYBRID)
    against_weak = [test for ranker in rankers_of(systems) for test in tests_of_ranker(systems, ranker)]
    figures = {
        "date": datetime.now(UTC).isoformat(),
        "machine": platform.processor() or platform.machine(),
        "means": {system: means(each) for system, each in systems.items()},
        "spread": spread,
        "tests": [asdict(test) for test in (*tests, *against_weak)],
    }
    return figures, "\n".join(rows(systems, spread, tests, against_weak)) + "\n"


# Training


def train_and_measure(
    corpus: Corpus, judged: tuple[list[Query], Qrels], count: int, seed: int, rankers: str | None, folder: Path
) -> Iterator[tuple[str, PerQuery]]:
    """Yield the name and the values of each system of one seed."""
    tests, qrels = judged
    queries = unshared_queries(generate_queries(corpus, count, seed, query_length_weights(tests)).queries, tests)
    teachers = teachers_of(corpus.catalogue, seed, folder)
    if rankers is not None:
        teachers = Teachers(teachers.labelers, tuple(rankers.split(",")), ())
    yielded: set[str] = set()
    for weights in (None, WEIGHTS):
        suffix = ", weighted" if weights else ""
        strategies = teachers.weighted if weights else WAYS
        ways: list[tuple[str, Strategy, tuple[str, ...]]] = [(way, way, teachers.labelers) for way in strategies]
        if strategies == WAYS:
            ways.insert(0, ("weak from bm25", "weak", ("bm25",)))
        for way, strategy, labelers in ways:
            settings = SuperviseSettings(
                strategy, labelers, teachers.rankers, ROUNDS, query_predictor=weights, seed=seed
            )
            run = folder / f"{way}{suffix}"
            if strategy != "weak" and not run.exists():  # all strategies have the same first round
                shutil.copytree(folder / f"weak{suffix}" / "round-1", run / "round-1")
                shutil.copyfile(folder / f"weak{suffix}" / TESTS_FILE, run / TESTS_FILE)
            result = supervise(corpus, queries, settings, run, tests)
            last = max(record.round for record in result.rounds)
            for system, results in read_run_results(run).items():
                name = table_name(system, way + suffix, last)
                if name and name not in yielded:
                    yielded.add(name)
                    yield name, measure(results, qrels, MEASURES)


def teachers_of(catalogue: Catalogue, seed: int, folder: Path) -> Teachers:
    """Return lexical and text teachers for passages; for listings with photos also a pretrained model."""
    if not any(listing.images for listing in catalogue.listings):
        return Teachers(("bm25", "dense"), ("dense", "late-interaction"), ("weak", "joint"))
    model = f"two-tower(model={str(folder / 'model')!r})"
    if not (folder / "model").exists():
        towers = build_towers("offline", seed)
        features = catalogue_features(catalogue, towers, on_error="skip")
        settings = select_weights(features, "offline", PretrainSettings(seed=seed)).settings
        pretrain(features, towers, settings)
        towers.save(folder / "model")
    return Teachers(("bm25", model), ("dense", model), WAYS)


def table_name(system: str, way: str, last: int) -> str | None:
    """Return the name in the table of a system of a run; None for a round before the last.

    Systems of a run are `RANKER STRATEGY-ROUND`, and `... + bm25`; the paths of models are left out.
    """
    plain, _, more = system.partition(" + ")
    ranker, _, stage = plain.rpartition(" ")
    if not stage.rpartition("-")[2].isdigit() or not ranker:
        return "two-tower" if system.startswith("two-tower") else system
    if int(stage.rpartition("-")[2]) != last:
        return None
    return f"{ranker.partition('(')[0]} {way}" + (f" + {more}" if more else "")


# Figures


def deviations(seeds: Sequence[PerQuery]) -> dict[str, float]:
    """Measure → standard deviation, over seeds, of the mean over queries."""
    return {name: float(np.std([means(each)[name] for each in seeds])) for name in seeds[0]}


def rankers_of(systems: Mapping[str, PerQuery]) -> list[str]:
    """Names of the trained rankers."""
    return [name.removesuffix(" weak") for name in systems if name.endswith(" weak")]


def tests_of_ranker(systems: Systems, ranker: str) -> list[PairedTest]:
    """Test a ranker's other strategies against plain weak supervision."""
    own = {name: values for name, values in systems.items() if name.startswith(f"{ranker} ") and " + " not in name}
    return paired_tests(own, f"{ranker} weak")


def rows(
    systems: Systems,
    spread: Mapping[str, Mapping[str, float]],
    tests: Sequence[PairedTest],
    against_weak: Sequence[PairedTest],
) -> Iterator[str]:
    """Yield a Markdown table; ▲ ▼: significantly above or below the hybrid, △ ▽: above or below "weak"."""
    marks: defaultdict[tuple[str, str], str] = defaultdict(str)
    for group, (up, down) in ((tests, "▲▼"), (against_weak, "△▽")):
        for test in group:
            if test.p_holm < 0.05:
                marks[test.system, test.measure] += up if test.difference > 0 else down
    yield f"| system | {' | '.join(MEASURES)} |"
    yield f"|---|{'---:|' * len(MEASURES)}"
    for system, values in systems.items():
        cells = [
            f"{mean:.3f}" + (f" ± {spread[system][name]:.3f}" if spread[system][name] else "") + marks[system, name]
            for name, mean in means(values).items()
        ]
        yield f"| {system} | {' | '.join(cells)} |"


if __name__ == "__main__":
    cyclopts.run(main)
