"""Rate of ranker training against the bare trainer of sentence-transformers on the same pairs.

    python benchmarks/ranker_training.py [--out benchmarks/results] [--queries 96] [--rounds 4]

Cost        about 4 minutes on 2 cores; draws a sample marketplace, needs no network.
Writes      ranker_training.json in --out; a table goes to stdout.
Target      at least 0.95 of the rate of the bare trainer

Both train all of MiniLM on the same queries with the same eight listings each and the same labels of BM25, sixteen
queries per step, with the KL divergence over the listings of a query (listwise-kl; DistillKLDivLoss), in 32-bit floats.
The bare trainer encodes each of its nine columns in a pass of its own. Wares encodes the queries in one pass, and each
listing of the batch once in another.

Rounds alternate the two. The start and the first step are included for both. Rates are over all rounds: queries per
second of wall-clock, and of processor time, which other load on the cores disturbs less.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import numpy as np
import torch

from measuring import CLOCKS, alternated, rates, show_rates
from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.rankers.base import SoftLabels
from wares.ranking.rankers.dense import DenseRanker
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.training import train_ranker
from wares.samples.marketplace import write_marketplace
from wares.supervision.aggregation import log_probs
from wares.supervision.query_generation import generate_queries

LISTINGS, BATCH, SEED = 8, 16, 0
RANKER = DenseRanker(backbone="all", learning_rate=1e-5, batch_size=BATCH, listings_per_query=LISTINGS)


def main(out: Path = Path("benchmarks/results"), queries: int = 96, rounds: int = 4) -> None:
    """Measure, print and write."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_marketplace(folder / "marketplace", 200, SEED)
        corpus = Corpus(read_catalogue(folder / "marketplace"))
        soft_labels = labelled(corpus, queries)
        works: dict[str, Callable[[], None]] = {
            "wares": lambda: train(corpus, soft_labels, folder / "wares"),
            "sentence-transformers": lambda: train_bare(corpus, soft_labels, folder / "bare"),
        }
        times = alternated(works, rounds)
    rates_by_clock = rates(times, len(soft_labels))
    ratios = {clock: each["wares"] / each["sentence-transformers"] for clock, each in rates_by_clock.items()}
    show_rates("queries per second", rates_by_clock, ratios)
    about = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "system": platform.platform()},
        "settings": {"queries": len(soft_labels), "listings": LISTINGS, "batch": BATCH, "rounds": rounds},
        "versions": {each: version(each) for each in ("sentence-transformers", "torch", "transformers")},
        "queries a second": rates_by_clock,
        "ratio": ratios,
        "seconds of each round": {
            name: dict(zip(CLOCKS, each.T.tolist(), strict=True)) for name, each in times.items()
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "ranker_training.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def labelled(corpus: Corpus, count: int) -> SoftLabels:
    """Soft labels of BM25, for queries with enough listings."""
    queries: list[Query] = list(generate_queries(corpus, 3 * count, SEED).queries)
    labels = BM25().fit(corpus).retrieve(queries, LISTINGS)
    full = np.flatnonzero(labels.present.all(axis=1))[:count]
    label_log_probs = log_probs(labels.scores[full].astype(np.float64), 1.0)
    return SoftLabels([queries[index] for index in full], labels.listings[full], label_log_probs, np.ones(len(full)))


def train(corpus: Corpus, soft_labels: SoftLabels, folder: Path) -> None:
    """Train a new model for one epoch with wares."""
    train_ranker(
        RANKER.fit(corpus, SEED), soft_labels, RANKER.training_defaults, RankerTrainingSettings(epochs=1), SEED, folder
    )


def train_bare(corpus: Corpus, soft_labels: SoftLabels, folder: Path) -> None:
    """Train the same text tower for one epoch with the trainer of sentence-transformers."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
    from transformers import PrinterCallback

    from wares.encoders.registry import build_towers

    tower: Any = build_towers("offline", SEED).text
    model = tower.backbone.requires_grad_(True)
    columns = {f"listing {i}": [corpus.texts[index] for index in soft_labels.listings[:, i]] for i in range(LISTINGS)}
    rows = {"query": [query.text for query in soft_labels.queries], **columns, "label": soft_labels.log_probs.tolist()}
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        learning_rate=RANKER.learning_rate,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=not torch.accelerator.is_available(),
    )
    loss = DistillKLDivLoss(model, temperature=1.0)
    trainer = SentenceTransformerTrainer(model, arguments, train_dataset=Dataset.from_dict(rows), loss=loss)
    trainer.remove_callback(PrinterCallback)
    trainer.train()


if __name__ == "__main__":
    cyclopts.run(main)
