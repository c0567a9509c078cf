"""Factorized against full transport as regularisation grows: how far is the cheap plan from the reference?

    python benchmarks/transport_limit.py [--out benchmarks/results] [--catalogue FOLDER]

Cost        3 minutes on 2 busy cores with the marketplace drawn anew; no network.
Writes      transport_limit.md, transport_limit.json and transport_limit.png in --out.
Expected    equal for large regularisation; for none, a rank correlation of .99 (benchmarks/README.md).

Scores of the photos of listings with the texts of listings, all pairs of a batch, in batches drawn from a sample
marketplace; offline towers pretrained on it, agreement marginals. Between the factorized and the other scores:

correlation     Pearson's and Spearman's, over all pairs of listings
difference      mean of |other - factorized|
same ten        share of the ten best texts for a listing's photos that are the ten best under both
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import typer
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
    """Random listings that have photos and texts, with all their views, the photos weighed by agreement."""
    photos, texts = embeddings.photo_views, embeddings.text_views
    both = np.flatnonzero((photos.counts > 0) & (texts.counts > 0))
    found = []
    for listings in np.random.default_rng(SEED).permutation(both)[: BATCH * BATCHES].reshape(BATCHES, BATCH):
        f, g = (
            pad_all_views(photos, embeddings.photos, listings, 0.5),
            pad_all_views(texts, embeddings.texts, listings, 0.5),
        )
        found.append((text_agreement_marginals(f, g, 0.2), g))
    return found


def compared(cheap: list[torch.Tensor], full: list[torch.Tensor]) -> dict[str, float]:
    """What the factorized scores have in common with others, each a list of (B, B)."""
    one, other = (torch.stack(scores).flatten().numpy() for scores in (cheap, full))
    best = [[each.topk(TEN, dim=1).indices for each in scores] for scores in (cheap, full)]
    tens = [(c[:, :, None] == f[:, None]).sum() / c.numel() for c, f in zip(*best, strict=True)]
    values = (
        np.corrcoef(one, other)[0, 1],
        spearmanr(one, other).statistic,
        np.abs(one - other).mean(),
        np.mean(tens),
    )
    return dict(zip(MEASURES, map(float, values), strict=True))


def measured(pairs: list[tuple[ViewBatch, ViewBatch]]) -> dict[str, dict[str, float]]:
    """Agreement of the factorized scores with those of every other plan."""
    cheap = [factorized_scores(*pair) for pair in pairs]
    found = {}
    with progress(None, "transporting", total=len(RANKS) + len(REGULARISATIONS) + 1, unit="plans") as bar:
        for rank in RANKS:
            found[f"rank {rank}"] = compared(cheap, [low_rank_scores(*pair, rank) for pair in pairs])
            bar.update()
        for regularisation in (None, *REGULARISATIONS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # at 0.01 the solver may stop a little short of its tolerance
                full = [full_scores(*pair, regularisation) for pair in pairs]
            found["full, exact" if regularisation is None else f"full, {regularisation:.2g}"] = compared(cheap, full)
            bar.update()
    return found


def markdown(found: dict[str, dict[str, float]], about: str) -> str:
    """One plan a row."""
    lines = [f"# Factorized against other plans: {about}", "", f"| plan | {' | '.join(MEASURES)} |"]
    lines.append("|---|" + "---:|" * len(MEASURES))
    lines += [f"| {plan} | {' | '.join(f'{row[name]:.4f}' for name in MEASURES)} |" for plan, row in found.items()]
    return "\n".join(lines) + "\n"


def main(
    out: Path = typer.Option(Path("benchmarks/results"), help="Folder for the results."),
    catalogue: Path | None = typer.Option(None, help="A catalogue, instead of a new sample marketplace."),
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
    found = measured(batches(embed_features(features, towers)))
    text = markdown(found, f"{name}, {BATCHES} batches of {BATCH} listings")
    out.mkdir(parents=True, exist_ok=True)
    (out / "transport_limit.md").write_text(text, encoding="utf-8")
    (out / "transport_limit.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    curves = {name: [found[f"full, {each:.2g}"][name] for each in REGULARISATIONS] for name in MEASURES}
    lacking = {name: (EXPONENTS, [1 - value for value in curves[name]]) for name in MEASURES if name != "difference"}
    panels = {
        "Lacking to agreement": lacking,
        "Distance of scores": {"difference": (EXPONENTS, curves["difference"])},
    }
    labels = ["1 - measure", "mean |full - factorized|"]
    draw_line_chart(panels, out / "transport_limit.png", "log10 of the regularisation", labels)
    Console().print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
