"""Can γ, the weight of photos against texts in the fused embedding, be selected without labels?

    python benchmarks/gamma.py [FOLDER...] [--out benchmarks/results] [--seeds 3]

Input       folders of catalogues with queries.jsonl and qrels.txt; by default a sample marketplace of 1,000 listings.
Cost        2 minutes per catalogue on 2 cores, once its photos are encoded.
Writes      gamma.json in --out; a table for each catalogue goes to stdout.
Expected    nDCG@10 is flat from .5 to .75, and no label-free criterion finds that: generated queries favour texts only,
            titles 0 to .6. So .5 is a default and is not selected.

Truth       nDCG@10 of the catalogue's queries, towers pretrained on the whole catalogue with the defaults.
Titles      mean reciprocal rank of known-item search by title among held-out listings without titles, with towers
            pretrained on the other listings.
Written     the same for queries generated from the held-out listings, which keep their titles.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import cyclopts
import numpy as np
from rich.console import Console
from rich.table import Table

from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.duplicates import split_by_group
from wares.data.listings import Catalogue
from wares.data.queries import read_queries
from wares.encoders.features import (
    CatalogueFeatures,
    Vectors,
    catalogue_features,
    embed,
    embed_features,
    project_features,
    text_features,
)
from wares.encoders.fusion import fuse
from wares.encoders.registry import build_towers
from wares.encoders.towers import Towers
from wares.evaluation.measures import measure, read_qrels
from wares.ranking.labelers.embedding_scorer import EmbeddingScorer
from wares.samples.marketplace import write_marketplace
from wares.supervision.known_item import (
    KnownItemTask,
    generated_query_task,
    known_item_reciprocal_rank,
    title_query_task,
)
from wares.training.pretraining import pretrain
from wares.training.settings import PretrainSettings

GAMMAS = (0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0)
HELD_OUT_FRACTION, DEPTH = 0.3, 100
Curve = dict[float, float]


def main(
    folders: list[Path] | None = None,
    out: Path = Path("benchmarks/results"),
    seeds: int = 3,
) -> None:
    """Measure, print and write."""
    with TemporaryDirectory() as name:
        if not folders:
            folders = [Path(name) / "marketplace"]
            write_marketplace(folders[0], 1000, 0)
        curves_by_catalogue = {folder.name: [curves(folder, seed) for seed in range(seeds)] for folder in folders}
    for name, seed_curves in curves_by_catalogue.items():
        show(name, seed_curves)
    written = {
        "date": datetime.now(UTC).isoformat(),
        "seeds": seeds,
        "held out": HELD_OUT_FRACTION,
        "catalogues": curves_by_catalogue,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "gamma.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def curves(folder: Path, seed: int) -> dict[str, Curve]:
    """Return the curves of the truth and of both criteria over γ."""
    catalogue = read_catalogue(folder, "skip")
    features = catalogue_features(catalogue, build_towers("offline", seed), on_error="skip")
    rest, held = split_by_group(features.duplicate_labels, HELD_OUT_FRACTION, seed)
    towers = trained(features.select(rest), seed)
    held_out = Corpus(catalogue.subset(held.tolist()))
    titles, names = title_query_task(held_out, seed), generated_query_task(held_out, seed)
    assert titles is not None and names is not None, "listings have too little text for known-item queries"
    return {
        "truth": truth(folder, catalogue, features, trained(features, seed)),
        "titles": known(titles, towers),
        "written": known(names, towers),
    }


def trained(features: CatalogueFeatures, seed: int) -> Towers:
    """Towers pretrained with the defaults."""
    towers = build_towers("offline", seed)
    pretrain(features, towers, PretrainSettings(seed=seed))
    return towers


def truth(folder: Path, catalogue: Catalogue, features: CatalogueFeatures, towers: Towers) -> Curve:
    """nDCG@10 by γ."""
    queries, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.txt")
    ids, embeddings = [listing.id for listing in catalogue.listings], embed_features(features, towers)
    curve: Curve = {}
    for gamma in GAMMAS:
        labels = scorer(fuse(embeddings, replace(towers.fusion, gamma=gamma)).vectors, towers).retrieve(queries, DEPTH)
        run = {
            query.id: {ids[index]: float(score) for index, score in zip(indices, scores, strict=True) if index >= 0}
            for query, indices, scores in zip(queries, labels.listings, labels.scores, strict=True)
        }
        curve[gamma] = float(np.mean(list(measure(run, qrels, ["nDCG@10"])["nDCG@10"].values())))
    return curve


def known(items: KnownItemTask, towers: Towers) -> Curve:
    """Mean reciprocal rank of known items by γ."""
    embeddings = embed(items.corpus.catalogue, towers, on_error="skip")
    return {
        gamma: float(
            known_item_reciprocal_rank(
                scorer(fuse(embeddings, replace(towers.fusion, gamma=gamma)).vectors, towers), items
            ).mean()
        )
        for gamma in GAMMAS
    }


def scorer(vectors: Vectors, towers: Towers) -> EmbeddingScorer:
    """Scorer of queries against fused embeddings."""

    def encode(texts: Sequence[str]) -> Vectors:
        return project_features(towers.text, text_features(list(texts), towers.text), towers.dimension)

    return EmbeddingScorer(vectors, encode)


def show(title: str, seeds: Sequence[dict[str, Curve]]) -> None:
    """Print means over seeds, a row for each γ."""
    table = Table("γ", title=title)
    for name in seeds[0]:
        table.add_column(name, justify="right")
    for gamma in GAMMAS:
        cells = [f"{np.mean([curve[name][gamma] for curve in seeds]):.3f}" for name in seeds[0]]
        table.add_row(f"{gamma:g}", *cells)
    Console().print(table)


if __name__ == "__main__":
    cyclopts.run(main)
