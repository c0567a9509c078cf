"""What bulk labelling costs beside bare retrieval, and what a second process brings.

    python benchmarks/labelling.py [--out benchmarks/results] [--corpus FOLDER] [--queries 10000] [--rounds 5]

Cost        about four minutes on 2 cores and 1 GB; needs no network.
Writes      labelling.json in --out; a table goes to stdout.
Aim         labelling by BM25 at 0.9 of the rate of bare bm25s, where both look at the same listings.

Queries     two to six words that stand together in a listing, drawn. Corpus: the folder named, or 10,000 and 100,000
            listings of 60 words drawn from 20,000 by Zipf's law. Nothing but speed is measured, so made-up words will
            do.
Bare        `bm25s.retrieve` with numba, 100 listings a query, on one thread; the queries' analysis is counted in.
Labelling   `wares.supervision.labelling.label_queries` by BM25: the same 100 listings retrieved, standardised, made shares, sorted, written
            to Parquet and read back; and once more with 30 listings drawn and scored beside them.
Processes   the same with two of them, which have to be started, on the largest corpus and four times as many queries.

Rounds alternate what is compared, so that a slow spell of the machine falls on both; the ratio is the median of the
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

import numpy as np
import typer
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

SIZES = (10_000, 100_000)  # listings made up
WORDS = 20_000
DEPTH = 100
DRAWN = 30
SEED = 0
MORE = 4  # times as many queries, for processes


def main(
    out: Path = Path("benchmarks/results"), corpus: Path | None = None, queries: int = 10_000, rounds: int = 5
) -> None:
    """Measure, print and write."""
    corpora = [Corpus(read_catalogue(corpus))] if corpus is not None else [made_up(size) for size in SIZES]
    found = {}
    for searched in corpora:
        asked = drawn_queries(searched, queries)
        found[f"{len(searched):,} listings"] = alone(searched, asked, rounds)
    found["two processes"] = shared_out(searched, asked * MORE)
    show(found)
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
    (out / "labelling.json").write_text(json.dumps(about | found, indent=2) + "\n", encoding="utf-8")


def made_up(listings: int) -> Corpus:
    """Listings of words drawn by Zipf's law."""
    random = np.random.default_rng(SEED)
    shares = 1 / np.arange(1, WORDS + 1)
    words = random.choice(WORDS, (listings, 60), p=shares / shares.sum())
    texts = [" ".join(f"w{word}" for word in row) for row in words]
    return Corpus(Catalogue(Path("/"), tuple(Listing(str(i), text) for i, text in enumerate(texts))))


def drawn_queries(corpus: Corpus, many: int) -> list[Query]:
    """Two to six words that stand together in a listing."""
    random = np.random.default_rng(SEED)
    words = [text.split() for text in corpus.texts]
    found = []
    for number in range(many):
        said = words[random.integers(len(words))]
        length = int(random.integers(2, 7))
        start = int(random.integers(0, max(1, len(said) - length + 1)))
        found.append(Query(str(number), " ".join(said[start : start + length])))
    return found


def seconds(work: Callable[[], Any]) -> float:
    """How long something takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def bare_index(corpus: Corpus) -> Any:
    """The corpus in bm25s as it comes, of the same terms."""
    import bm25s

    terms = corpus.term_counts
    repeated = np.repeat(terms.counts.indices, terms.counts.data)
    tokens = [each.tolist() for each in np.split(repeated, np.cumsum(terms.lengths)[:-1])]
    index = bm25s.BM25(k1=1.2, b=0.75, method="lucene", backend="numba")
    index.index((tokens, dict(terms.vocabulary)), show_progress=False)
    return index


def bare(index: Any, corpus: Corpus, queries: list[Query]) -> None:
    """Analyse the queries and retrieve."""
    tokens = [corpus.term_counts.term_ids(query.text).tolist() for query in queries]
    index.retrieve([each for each in tokens if each], k=DEPTH, show_progress=False, n_threads=1)


def labelled(corpus: Corpus, scorer: Scorer, queries: list[Query], drawn: int, processes: int) -> None:
    """Into a folder of its own, which is not kept."""
    mixture = TeacherEnsemble((scorer,), (False,), corpus.ids, DEPTH, drawn, 0.3, (SEED, 1))
    with TemporaryDirectory() as folder:
        label_queries(mixture, queries, Path(folder) / "labels", processes)


def alone(corpus: Corpus, queries: list[Query], rounds: int) -> dict[str, float]:
    """Queries a second, bare and labelled by one process, and their ratios."""
    index, scorer = bare_index(corpus), BM25().fit(corpus)
    works = {
        "bare": partial(bare, index, corpus),
        "labelling": partial(labelled, corpus, scorer, drawn=0, processes=1),
        f"labelling, {DRAWN} more drawn": partial(labelled, corpus, scorer, drawn=DRAWN, processes=1),
    }
    for work in works.values():
        work(queries=queries[:64])  # loads and compiles
    times = {name: np.array([]) for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name] = np.append(times[name], seconds(partial(work, queries=queries)))
    rates = {name: len(queries) / float(np.median(each)) for name, each in times.items()}
    ratios = {f"{name}, of bare": float(np.median(times["bare"] / each)) for name, each in times.items()}
    return rates | {name: ratio for name, ratio in ratios.items() if not name.startswith("bare")}


def shared_out(corpus: Corpus, queries: list[Query]) -> dict[str, float]:
    """Queries a second by one and by two processes."""
    scorer = BM25().fit(corpus)
    module.MIN_PARALLEL_SECONDS = 0.0  # two processes are started whether that is worth it or not
    times = {many: seconds(partial(labelled, corpus, scorer, queries, DRAWN, many)) for many in (1, 2)}
    rates = {f"labelling by {many}": len(queries) / each for many, each in times.items()}
    return {"queries": len(queries)} | rates | {"speed-up": times[1] / times[2]}


def show(found: dict[str, dict[str, float]]) -> None:
    """The rates as a table."""
    table = Table(title="queries a second; ratios without a unit")
    for column in ("what", "rate or ratio"):
        table.add_column(column)
    for name, rates in found.items():
        for what, value in rates.items():
            table.add_row(f"{name}: {what}", f"{value:,.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
