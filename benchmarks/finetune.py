"""Effect of fine-tuning on shoppers' queries: a pretrained model against the same model after fine-tuning.

    python benchmarks/finetune.py [--out benchmarks/results] [--listings 1000] [--marketplace 0] [--seeds 3]

Cost        about 8 minutes on 2 cores; draws a sample marketplace and encodes it, needs no network.
Writes      finetune.json in --out; tables go to stdout.
Expected    a large gain on queries in training, also on new pairs; nothing significant on other queries; see README.md.

Training uses the earliest four fifths of the interactions, without those of three queries in ten, which are drawn at
random and held out. Measured before and after, with the values of each query averaged over seeds:

later       interactions of the last fifth, for queries held out and for those in training; of the latter, pairs of a
            query and a listing that training had, and new pairs, which are ranked without the others
judged      the marketplace's true relevance, for queries held out and for those in training, whose listings of the
            training log are among the relevant ones; training reads no judgments

All settings are defaults, which were selected on another marketplace (seed 1).
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cyclopts
import numpy as np
from rich.console import Console
from rich.table import Table

from measuring import mean_of, means
from wares.data.catalogue import read_catalogue
from wares.data.interactions import (
    Interactions,
    interaction_weights,
    interactions_to_queries,
    read_interactions,
    without_queries,
)
from wares.data.listings import Query
from wares.data.queries import read_queries
from wares.data.query_log import query_key
from wares.data.runs import Run
from wares.encoders.features import catalogue_features
from wares.encoders.registry import build_towers
from wares.evaluation.interactions import evaluate_interactions
from wares.evaluation.measures import PerQuery, Qrels, measure, read_qrels
from wares.evaluation.significance import PairedTest, paired_tests
from wares.evaluation.systems import towers_run
from wares.samples.marketplace import write_marketplace
from wares.training.finetuning import finetune
from wares.training.pretraining import pretrain
from wares.training.settings import FinetuneSettings, PretrainSettings, TrainerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

TEST_FRACTION, HELD_OUT_FRACTION = 0.2, 0.3  # of the interactions, of the queries
MEASURES = ("nDCG@10", "R@10", "R@100")


def main(out: Path = Path("benchmarks/results"), listings: int = 1000, marketplace: int = 0, seeds: int = 3) -> None:
    """Draw, train, measure, print and write."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_marketplace(folder / "marketplace", listings, marketplace)
        measured_groups, counts = train_and_measure(folder, seeds)
    results = {group: paired_tests(systems, "pretrained") for group, systems in measured_groups.items()}
    show(measured_groups, results, counts)
    written = {
        "date": datetime.now(UTC).isoformat(),
        "settings": {"listings": listings, "marketplace": marketplace, "seeds": seeds} | asdict(FinetuneSettings()),
        "queries": counts,
        "means": {
            group: {name: means(values) for name, values in systems.items()}
            for group, systems in measured_groups.items()
        },
        "tests": {group: [asdict(test) for test in tests] for group, tests in results.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "finetune.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def train_and_measure(folder: Path, seeds: int) -> tuple[dict[str, dict[str, PerQuery]], dict[str, int]]:
    """Return group of queries → system → measure → query → mean over seeds, and the number of queries by group."""
    catalogue = read_catalogue(folder / "marketplace")
    ids = [listing.id for listing in catalogue.listings]
    interactions = read_interactions(folder / "marketplace" / "interactions.jsonl", ids)
    earlier, later = interactions.split(TEST_FRACTION)
    texts = sorted(interaction_weights(interactions))
    held_out = set(np.random.default_rng(0).choice(texts, round(HELD_OUT_FRACTION * len(texts)), replace=False))
    training = without_queries(earlier, held_out)
    judged = read_queries(folder / "marketplace" / "queries.jsonl"), read_qrels(folder / "marketplace" / "qrels.txt")
    values: dict[str, dict[str, list[PerQuery]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(seeds):
        towers = build_towers("offline", seed)
        features = catalogue_features(catalogue, towers, folder / "cache")
        pretrain(features, towers, PretrainSettings(seed=seed))
        for system in ("pretrained", "fine-tuned"):
            if system == "fine-tuned":
                tuning = FinetuneSettings(seed=seed)
                finetune(catalogue, features, towers, training, tuning, TrainerSettings(), folder / "model")
            ranked = partial(towers_run, features, towers, ids)
            for group, measured in measure_groups(ranked, training, later, judged, held_out).items():
                values[group][system].append(measured)
    averaged = {
        group: {name: mean_of(by_seed) for name, by_seed in systems.items()} for group, systems in values.items()
    }
    counts = {group: len(systems["pretrained"][MEASURES[0]]) for group, systems in averaged.items()}
    return averaged, counts


def measure_groups(
    ranked: Callable[[list[Query]], Run],
    training: Interactions,
    later: Interactions,
    judged: tuple[list[Query], Qrels],
    held_out: set[str],
) -> dict[str, PerQuery]:
    """Return group of queries → measure → query → value of one system."""
    groups: dict[str, PerQuery] = {}
    later_texts = set(interaction_weights(later))
    for kind, left_out in (("held out", later_texts - held_out), ("in training", held_out)):
        test = without_queries(later, left_out)
        run = {"": ranked(interactions_to_queries(test)[0])}
        for novelty, evaluation in evaluate_interactions(run, training, test, "").items():
            per_query = evaluation.per_query[""]
            groups[f"later, {kind}, {novelty} pairs"] = {name: per_query[name] for name in MEASURES}
    queries, qrels = judged
    held_out_keys = set(map(query_key, held_out))
    for kind in ("held out", "in training"):
        part = [query for query in queries if (query_key(query.text) in held_out_keys) is (kind == "held out")]
        rows = {query.id: qrels[query.id] for query in part if query.id in qrels}
        groups[f"judged, {kind}"] = measure(ranked(part), rows, MEASURES)
    return groups


def show(groups: dict[str, dict[str, PerQuery]], tests: dict[str, list[PairedTest]], counts: dict[str, int]) -> None:
    """Print means before and after, with p-values after Holm's correction within a group."""
    table = Table(title="Before and after fine-tuning")
    for column in ("queries", "number", "measure", "pretrained", "fine-tuned", "difference", "p (Holm)"):
        table.add_column(column, justify="left" if column in ("queries", "measure") else "right")
    for group, systems in groups.items():
        before, after = means(systems["pretrained"]), means(systems["fine-tuned"])
        for test in tests[group]:
            name = test.measure
            row = (f"{before[name]:.3f}", f"{after[name]:.3f}", f"{test.difference:+.3f}", f"{test.p_holm:.2g}")
            table.add_row(group, str(counts[group]), name, *row)
    Console(width=120).print(table)


if __name__ == "__main__":
    cyclopts.run(main)
