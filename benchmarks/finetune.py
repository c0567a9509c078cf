"""Effect of fine-tuning on shoppers' queries: a pretrained model against the same model after fine-tuning.

    python benchmarks/finetune.py [--out benchmarks/results] [--listings 1000] [--marketplace 0] [--seeds 3]

Cost        about 8 minutes on 2 cores; draws a sample marketplace and encodes it, needs no network.
Writes      finetune.json in --out; tables go to stdout.
Expected    a gain on queries held out from training, and a much larger one on queries in training; see README.md.

Training uses the earliest four fifths of the interactions, without those of three queries in ten, which are drawn at
random and held out. Measured before and after, with the values of each query averaged over seeds:

later       interactions of the last fifth, for queries in training and for those held out
judged      the marketplace's true relevance, for the same two groups; training reads no judgments

All settings are defaults, which were selected on another marketplace (seed 1).
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cyclopts
import numpy as np
from rich.console import Console
from rich.table import Table

from measuring import mean_of, means
from wares.data.catalogue import read_catalogue
from wares.data.interactions import interaction_weights, interactions_to_queries, read_interactions, without_queries
from wares.data.listings import Query
from wares.data.queries import read_queries
from wares.encoders.features import CatalogueFeatures, catalogue_features
from wares.encoders.registry import build_towers
from wares.encoders.towers import Towers
from wares.evaluation.measures import PerQuery, Qrels, measure, read_qrels
from wares.evaluation.significance import PairedTest, paired_tests
from wares.evaluation.systems import towers_run
from wares.samples.marketplace import write_marketplace
from wares.training.finetuning import finetune
from wares.training.pretraining import pretrain
from wares.training.settings import FinetuneSettings, PretrainSettings, TrainerSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

TEST_FRACTION, HELD_OUT_FRACTION = 0.2, 0.3  # of the interactions, of the queries
MEASURES = ("nDCG@10", "R@10", "R@100")
Group = tuple[list[Query], Qrels]


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
    judged = read_queries(folder / "marketplace" / "queries.jsonl"), read_qrels(folder / "marketplace" / "qrels.txt")
    groups = {
        f"{kind}, {'held out' if unseen else 'in training'}": of_queries(pair, held_out, unseen)
        for kind, pair in (("later", interactions_to_queries(later)), ("judged", judged))
        for unseen in (True, False)
    }
    values: dict[str, dict[str, list[PerQuery]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(seeds):
        towers = build_towers("offline", seed)
        features = catalogue_features(catalogue, towers, folder / "cache")
        pretrain(features, towers, PretrainSettings(seed=seed))
        measured(values, "pretrained", groups, features, towers, ids)
        tuning = FinetuneSettings(seed=seed)
        finetune(
            catalogue, features, towers, without_queries(earlier, held_out), tuning, TrainerSettings(), folder / "model"
        )
        measured(values, "fine-tuned", groups, features, towers, ids)
    averaged = {
        group: {name: mean_of(by_seed) for name, by_seed in systems.items()} for group, systems in values.items()
    }
    return averaged, {group: len(queries) for group, (queries, _) in groups.items()}


def of_queries(pair: Group, held_out: set[str], unseen: bool) -> Group:
    """The queries held out from training, or the others, with their judgments."""
    queries = [query for query in pair[0] if (" ".join(query.text.casefold().split()) in held_out) is unseen]
    return queries, {query.id: pair[1][query.id] for query in queries if query.id in pair[1]}


def measured(
    values: dict[str, dict[str, list[PerQuery]]],
    system: str,
    groups: dict[str, Group],
    features: CatalogueFeatures,
    towers: Towers,
    ids: Sequence[str],
) -> None:
    """Add a system's values in every group."""
    for group, (queries, qrels) in groups.items():
        values[group][system].append(measure(towers_run(features, towers, ids, queries), qrels, MEASURES))


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
