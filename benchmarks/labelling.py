"""Rate of bulk labelling against bare retrieval, and the speed-up of a second process.

    python benchmarks/labelling.py [--out benchmarks/results] [--corpus FOLDER] [--queries 10000] [--rounds 5]

Cost        about four minutes on 2 cores and 1 GB; needs no network.
Writes      labelling.json in --out; a table goes to stdout.
Target      labelling by BM25 at 0.9 of the rate of bare bm25s over the same listings

Queries     two to six consecutive words of a random listing. Corpus: the folder of --corpus, or 10,000 and 100,000
            listings of 60 words, drawn from 20,000 words by Zipf's law: only speed is measured.
Bare        `bm25s.retrieve` with numba, 100 listings per query, on one thread, including analysis of the queries.
Labelling   `wares.supervision.labelling.label_queries` by BM25: the same 100 listings retrieved, standardised, turned
            into log-probabilities, sorted, written to Parquet and read back; and the same with 30 random candidates.
Processes   the same with two processes, including their start, on the largest corpus and four times as many queries.

Rounds alternate the variants, so that a slow period of the machine affects all of them. A ratio is the median of the
rounds' ratios.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import numpy as np
from rich.console import Console
from rich.table import Table

import wares.supervision.labelling as module
from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.scoring import Scorer
from wares.supervision.ensemble import TeacherEnsemble
from wares.supervision.labelling import label_queries

SIZES = (10_000, 100_000)  # of the random corpora
WORDS = 20_000
DEPTH = 100
DRAWN = 30
SEED = 0
PROCESS_FACTOR = 4  # factor of the number of queries for the measurement of processes


def main(
    out: Path = Path("benchmarks/results"), corpus: Path | None = None, queries: int = 10_000, rounds: int = 5
) -> None:
    """Measure, print and write."""
    corpora = [Corpus(read_catalogue(corpus))] if corpus is not None else [made_up(size) for size in SIZES]
    rates = {}
    for searched in corpora:
        test_queries = drawn_queries(searched, queries)
        rates[f"{len(searched):,} listings"] = one_process(searched, test_queries, rounds)
    rates["two processes"] = two_processes(searched, test_queries * PROCESS_FACTOR)
    show(rates)
    about = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "settings": {
            "corpus": "made up" if corpus is None else corpus.name,
            "queries": queries,
            "rounds": rounds,
            "depth": DEPTH,
            "drawn": DRAWN,
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "labelling.json").write_text(json.dumps(about | rates, indent=2) + "\n", encoding="utf-8")


def made_up(listings: int) -> Corpus:
    """Listings of words drawn by Zipf's law."""
    random = np.random.default_rng(SEED)
    weights = 1 / np.arange(1, WORDS + 1)
    words = random.choice(WORDS, (listings, 60), p=weights / weights.sum())
    texts = [" ".join(f"w{word}" for word in row) for row in words]
    return Corpus(Catalogue(Path("/"), tuple(Listing(str(i), text) for i, text in enumerate(texts))))


def drawn_queries(corpus: Corpus, count: int) -> list[Query]:
    """Queries of two to six consecutive words of a random listing."""
    random = np.random.default_rng(SEED)
    words = [text.split() for text in corpus.texts]
    queries = []
    for number in range(count):
        text = words[random.integers(len(words))]
        length = int(random.integers(2, 7))
        start = int(random.integers(0, max(1, len(text) - length + 1)))
        queries.append(Query(str(number), " ".join(text[start : start + length])))
    return queries


def seconds(work: Callable[[], Any]) -> float:
    """Seconds of a call."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def bare_index(corpus: Corpus) -> Any:
    """The index of bm25s over the same terms."""
    import bm25s

    terms = corpus.term_counts
    repeated = np.repeat(terms.counts.indices, terms.counts.data)
    tokens = [ids.tolist() for ids in np.split(repeated, np.cumsum(terms.lengths)[:-1])]
    index = bm25s.BM25(k1=1.2, b=0.75, method="lucene", backend="numba")
    index.index((tokens, dict(terms.vocabulary)), show_progress=False)
    return index


def bare(index: Any, corpus: Corpus, queries: list[Query]) -> None:
    """Analyse the queries and retrieve."""
    tokens = [corpus.term_counts.term_ids(query.text).tolist() for query in queries]
    index.retrieve([ids for ids in tokens if ids], k=DEPTH, show_progress=False, n_threads=1)


def labelled(corpus: Corpus, scorer: Scorer, queries: list[Query], drawn: int, processes: int) -> None:
    """Label into a temporary folder."""
    mixture = TeacherEnsemble((scorer,), (False,), corpus.ids, DEPTH, drawn, 0.3, (SEED, 1))
    with TemporaryDirectory() as folder:
        label_queries(mixture, queries, Path(folder) / "labels", processes)


def one_process(corpus: Corpus, queries: list[Query], rounds: int) -> dict[str, float]:
    """Queries per second of bare retrieval and of labelling by one process, and their ratios."""
    index, scorer = bare_index(corpus), BM25().fit(corpus)
    works = {
        "bare": partial(bare, index, corpus),
        "labelling": partial(labelled, corpus, scorer, drawn=0, processes=1),
        f"labelling, {DRAWN} more drawn": partial(labelled, corpus, scorer, drawn=DRAWN, processes=1),
    }
    for work in works.values():
        work(queries=queries[:64])  # warm-up: loads and compiles
    times = {name: np.array([]) for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name] = np.append(times[name], seconds(partial(work, queries=queries)))
    rates = {name: len(queries) / float(np.median(each)) for name, each in times.items()}
    ratios = {f"{name}, of bare": float(np.median(times["bare"] / each)) for name, each in times.items()}
    return rates | {name: ratio for name, ratio in ratios.items() if not name.startswith("bare")}


def two_processes(corpus: Corpus, queries: list[Query]) -> dict[str, float]:
    """Queries per second of one and of two processes."""
    scorer = BM25().fit(corpus)
    module.MIN_PARALLEL_SECONDS = 0.0  # start two processes also for a short job
    times = {count: seconds(partial(labelled, corpus, scorer, queries, DRAWN, count)) for count in (1, 2)}
    rates = {f"labelling by {count}": len(queries) / wall for count, wall in times.items()}
    return {"queries": len(queries)} | rates | {"speed-up": times[1] / times[2]}


def show(rates: dict[str, dict[str, float]]) -> None:
    """The rates as a table."""
    table = Table(title="queries per second; ratios without a unit")
    for column in ("quantity", "rate or ratio"):
        table.add_column(column)
    for name, values in rates.items():
        for quantity, value in values.items():
            table.add_row(f"{name}: {quantity}", f"{value:,.2f}")
    Console().print(table)


if __name__ == "__main__":
    cyclopts.run(main)
