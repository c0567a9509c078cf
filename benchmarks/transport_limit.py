"""Factorized against full transport as regularisation grows: distance of the cheap plan from the reference.

    python benchmarks/transport_limit.py [--out benchmarks/results] [--catalogue FOLDER]

Cost        3 minutes on 2 busy cores, including a new marketplace; no network.
Writes      transport_limit.md, transport_limit.json and transport_limit.png in --out.
Expected    equal for strong regularisation; without regularisation a rank correlation of .99 (benchmarks/README.md).

Scores of the photos of listings with the texts of listings, all pairs of a batch, in random batches of a sample
marketplace; offline towers pretrained on it, agreement marginals. Between the factorized and the other scores:

correlation     Pearson's and Spearman's, over all pairs of listings
difference      mean of |other - factorized|
same ten        fraction of the ten best texts for a listing's photos under one plan that the other has as well
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cyclopts
import numpy as np
import torch
from cyclopts import Parameter
from rich.console import Console
from scipy.stats import spearmanr

from wares.core.progress import progress
from wares.data.catalogue import read_catalogue
from wares.encoders.features import Embeddings, catalogue_features, embed_features
from wares.encoders.fusion import pad_all_views
from wares.encoders.marginals import ViewBatch, text_agreement_marginals
from wares.encoders.registry import build_towers
from wares.evaluation.charts import draw_line_chart
from wares.samples.marketplace import write_marketplace
from wares.training.pretraining import pretrain
from wares.training.settings import PretrainSettings
from wares.training.transport import factorized_scores, full_scores, low_rank_scores

EXPONENTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
REGULARISATIONS = tuple(10.0**exponent for exponent in EXPONENTS)
RANKS = (1, 2, 3)
BATCH, BATCHES = 48, 4
SEED = 0
MEASURES = ("correlation", "rank correlation", "difference", "same ten")
TEN = 10


def batches(embeddings: Embeddings) -> list[tuple[ViewBatch, ViewBatch]]:
    """Random batches of listings with photos and texts, all views, photos weighted by agreement."""
    photos, texts = embeddings.photo_views, embeddings.text_views
    both = np.flatnonzero((photos.counts > 0) & (texts.counts > 0))
    pairs = []
    for listings in np.random.default_rng(SEED).permutation(both)[: BATCH * BATCHES].reshape(BATCHES, BATCH):
        f, g = (
            pad_all_views(photos, embeddings.photos, listings, 0.5),
            pad_all_views(texts, embeddings.texts, listings, 0.5),
        )
        pairs.append((text_agreement_marginals(f, g, 0.2), g))
    return pairs


def compared(cheap: list[torch.Tensor], full: list[torch.Tensor]) -> dict[str, float]:
    """Return the agreement of factorized scores with others. cheap, full: lists of (B, B) scores"""
    one, other = (torch.stack(scores).flatten().numpy() for scores in (cheap, full))
    best = [[batch.topk(TEN, dim=1).indices for batch in scores] for scores in (cheap, full)]
    tens = [(c[:, :, None] == f[:, None]).sum() / c.numel() for c, f in zip(*best, strict=True)]
    values = (
        np.corrcoef(one, other)[0, 1],
        spearmanr(one, other).statistic,
        np.abs(one - other).mean(),
        np.mean(tens),
    )
    return dict(zip(MEASURES, map(float, values), strict=True))


def measured(pairs: list[tuple[ViewBatch, ViewBatch]]) -> dict[str, dict[str, float]]:
    """Return the agreement of the factorized scores with those of each other plan."""
    cheap = [factorized_scores(*pair) for pair in pairs]
    agreement = {}
    with progress(None, "transporting", total=len(RANKS) + len(REGULARISATIONS) + 1, unit="plans") as bar:
        for rank in RANKS:
            agreement[f"rank {rank}"] = compared(cheap, [low_rank_scores(*pair, rank) for pair in pairs])
            bar.update()
        for regularisation in (None, *REGULARISATIONS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # at 0.01 the solver may stop just before its tolerance
                full = [full_scores(*pair, regularisation) for pair in pairs]
            agreement["full, exact" if regularisation is None else f"full, {regularisation:.2g}"] = compared(
                cheap, full
            )
            bar.update()
    return agreement


def markdown(agreement: dict[str, dict[str, float]], about: str) -> str:
    """Return a Markdown table with a row for each plan."""
    lines = [f"# Factorized against other plans: {about}", "", f"| plan | {' | '.join(MEASURES)} |"]
    lines.append("|---|" + "---:|" * len(MEASURES))
    lines += [f"| {plan} | {' | '.join(f'{row[name]:.4f}' for name in MEASURES)} |" for plan, row in agreement.items()]
    return "\n".join(lines) + "\n"


def main(
    out: Annotated[Path, Parameter(help="Folder for the results.")] = Path("benchmarks/results"),
    catalogue: Annotated[Path | None, Parameter(help="Catalogue. By default a new sample marketplace.")] = None,
) -> None:
    """Compare factorized with full and low-rank transport on real embeddings."""
    with TemporaryDirectory() as folder:
        name = "a sample marketplace" if catalogue is None else catalogue.name
        if catalogue is None:
            catalogue = Path(folder)
            write_marketplace(catalogue, 1000, SEED)
        towers = build_towers("offline", SEED)
        features = catalogue_features(read_catalogue(catalogue), towers)
    pretrain(features, towers, PretrainSettings(seed=SEED))
    agreement = measured(batches(embed_features(features, towers)))
    text = markdown(agreement, f"{name}, {BATCHES} batches of {BATCH} listings")
    out.mkdir(parents=True, exist_ok=True)
    (out / "transport_limit.md").write_text(text, encoding="utf-8")
    (out / "transport_limit.json").write_text(json.dumps(agreement, indent=2) + "\n", encoding="utf-8")
    curves = {name: [agreement[f"full, {value:.2g}"][name] for value in REGULARISATIONS] for name in MEASURES}
    lacking = {name: (EXPONENTS, [1 - value for value in curves[name]]) for name in MEASURES if name != "difference"}
    panels = {
        "Lacking to agreement": lacking,
        "Distance of scores": {"difference": (EXPONENTS, curves["difference"])},
    }
    labels = ["1 - measure", "mean |full - factorized|"]
    draw_line_chart(panels, out / "transport_limit.png", "log10 of the regularisation", labels)
    Console().print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    cyclopts.run(main)
