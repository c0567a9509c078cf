"""Recipe: interactions of shoppers to towers whose queries find what shoppers choose.

    towers = load_towers("model")
    features = catalogue_features(catalogue, towers)
    earlier, later = read_interactions(path, ids).split(later=0.2)
    finetune(catalogue, features, towers, earlier, FinetuneSettings(), TrainerSettings(), out)

A query goes through the text tower, a listing is the fusion of its primary views and one auxiliary view drawn
at random per modality, and the query is to find its listing among those of the batch and some that the model
confuses with it. Served is the fusion of all views, as ever.

Source: query → item of arXiv 2512.18117; what is fused, mined and corrected is our reading, docs/method.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import Dataset

from wares.core.errors import SettingsError
from wares.core.runners import HERE
from wares.data.interactions import Interactions, asked
from wares.data.views import Views
from wares.encoders.features import embed_features, embed_texts
from wares.encoders.fusion import fuse
from wares.encoders.marginals import ViewBatch, agreement, learned
from wares.training.datasets import Draw, ListingViews, Side
from wares.training.records import finish, new_record
from wares.training.trainer import CHECKPOINTS, train
from wares.training.view_sampling import primary_and_one

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.core.runners import Runner
    from wares.data.listings import Catalogue
    from wares.encoders.features import CatalogueFeatures, Vectors
    from wares.encoders.listing_encoder import Batch
    from wares.encoders.marginals import Chosen
    from wares.encoders.towers import Fusion, Towers
    from wares.training.records import PretrainRecord
    from wares.training.settings import FinetuneSettings, TrainerSettings


ASKED = 32  # queries that negatives are mined for at once
Places = npt.NDArray[np.int64]
_FAR = -1e4


def finetune(
    catalogue: Catalogue,
    features: CatalogueFeatures,
    towers: Towers,
    interactions: Interactions,
    settings: FinetuneSettings,
    trainer: TrainerSettings,
    out: Path,
    resume: bool = False,
    runner: Runner = HERE,
) -> PretrainRecord:
    """Train the towers in place on interactions and save them in `out` with a record of what was done.

    features: of the catalogue under these towers
    interactions: those to learn from; keep the later ones apart to see what it gained
    resume: continue from the checkpoint in `out`; runner: where negatives are mined (wares.core.runners)

    Raises SettingsError where there are fewer than two interactions, ModelError where the checkpoint is another run's.
    """
    if len(interactions) < 2:
        raise SettingsError(f"{len(interactions)} interactions are too few to learn from.")
    data = clicks_of(catalogue, features, towers, interactions, settings, trainer, runner)
    record = new_record(features, settings)
    record.settings |= {"trainer": asdict(trainer), "interactions": len(interactions), "queries": len(data.hard)}
    of_photos = [parameter for parameter in towers.image.parameters() if parameter.requires_grad]
    for parameter in of_photos:
        parameter.requires_grad_(settings.train_photos)
    trained = train(
        towers,
        data,
        partial(click_loss, towers.fusion, data, settings.popularity),
        trainer,
        what="fine-tuning",
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        folder=out / CHECKPOINTS,
        run={"towers": towers.identity, "settings": record.settings, "listings": len(features.duplicates)},
        resume=resume,
    )
    for parameter in of_photos:
        parameter.requires_grad_(True)
    record.steps, record.seconds, record.losses = trained.steps, trained.seconds, trained.losses
    if trained.first:
        finish(out, towers, record, name="finetune.json")
    return record


@dataclass(frozen=True)
class Clicks(Dataset[Any]):
    """Interactions as batches of a query, its listing and mined negatives.

    rows: (M, 2) query and listing of each interaction; weights: (M,)
    hard: (Q, H) listings to mine negatives from, by query
    known: sorted query x listings + listing of every pair that was interacted with: no negatives of each other
    log_share: (N,) logarithm of each listing's share of the interactions, a share being at least 1/N
    """

    listings: ListingViews
    queries: Side
    rows: Places
    weights: Tensor
    hard: Places
    known: Tensor
    log_share: Tensor
    negatives: int

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """One batch; called in a worker. Listings stand in (B, 1 + negatives), the one interacted with first."""
        places = np.array([draw.listing for draw in draws])
        query, listing = self.rows[places].T
        random = [np.random.default_rng(draw.seed) for draw in draws]
        mined = [each.choice(self.hard[q], self.negatives) for each, q in zip(random, query, strict=True)]
        shown = np.concatenate([listing[:, None], np.array(mined, dtype=np.int64).reshape(len(draws), -1)], axis=1)
        numbers = np.array([each.random((shown.shape[1], 2)) for each in random]).reshape(-1, 2)
        seeds = [each.integers(2**62, size=shown.shape[1]) for each in random]
        flat = [
            Draw(int(place), float(photo), float(text), int(seed))
            for place, (photo, text), seed in zip(shown.flat, numbers, np.concatenate(seeds), strict=True)
        ]
        batch = self.listings.__getitems__(flat)
        for name in ("photo_weights", "text_weights"):
            batch[name] = batch[name].reshape(*shown.shape, -1)
        return batch | {
            "queries": self.queries.read(torch.from_numpy(query), None),
            "query": torch.from_numpy(query),
            "listing": torch.from_numpy(shown),
            "duplicates": batch["duplicates"].reshape(*shown.shape, 2),
            "weight": self.weights[places],
        }


def clicks_of(
    catalogue: Catalogue,
    features: CatalogueFeatures,
    towers: Towers,
    interactions: Interactions,
    settings: FinetuneSettings,
    trainer: TrainerSettings,
    runner: Runner = HERE,
) -> Clicks:
    """The training data of a run, its hard negatives mined with the towers as they are."""
    places = {listing.id: place for place, listing in enumerate(catalogue.listings)}
    texts = list(asked(interactions))
    number = {text: place for place, text in enumerate(texts)}
    rows = np.array([(number[row.query], places[row.listing]) for row in interactions.rows], dtype=np.int64)
    counts = np.bincount(rows[:, 1], minlength=len(places))
    share = np.maximum(counts / counts.sum(), 1 / len(places))
    pairs = np.unique(rows[:, 0] * len(places) + rows[:, 1])
    views = Views(texts, texts, np.arange(len(texts) + 1))
    frozen = trainer.text_backbone == "frozen"
    return Clicks(
        ListingViews.of(catalogue, features, towers, trainer, partial(sampled_views, towers.fusion)),
        Side(views, towers.text.features(texts) if frozen else None),
        rows,
        torch.tensor([row.weight for row in interactions.rows], dtype=torch.float32),
        mine(features, towers, texts, pairs, settings.mined, runner),
        torch.from_numpy(pairs),
        torch.from_numpy(np.log(share)).float(),
        settings.hard,
    )


def mine(
    features: CatalogueFeatures,
    towers: Towers,
    texts: Sequence[str],
    pairs: Places,
    ranks: tuple[int, int],
    runner: Runner = HERE,
) -> Places:
    """(Q, H) listings that the towers rank between `ranks` for each query, those interacted with left out.

    pairs: sorted query x listings + listing of those. Memory holds a few queries' scores of all listings.
    """
    listings = fuse(embed_features(features, towers), towers.fusion).vectors
    queries = embed_texts(texts, towers)
    first, last = min(ranks[0], max(0, len(listings) - 2)), min(ranks[1], len(listings))
    bounds = np.searchsorted(pairs, np.arange(len(queries) + 1) * len(listings))
    known = [pairs[start:end] % len(listings) for start, end in pairwise(bounds)]
    asked = ((queries[i : i + ASKED], known[i : i + ASKED]) for i in range(0, len(queries), ASKED))
    found = list(runner.map(Mining(listings, last), asked))
    return np.concatenate(found)[:, first:] if found else np.zeros((0, last - first), dtype=np.int64)


@dataclass(frozen=True)
class Mining:
    """The work of `mine`. listings: (N, d); last: how many are found for a query, at most N"""

    listings: Vectors
    last: int

    def __call__(self, asked: tuple[Vectors, list[Places]]) -> Places:
        """(Q, last) the best listings of each query, the best first; those that it knows come after all others."""
        rows = []
        queries, pairs = asked
        for scores, known in zip(queries @ self.listings.T, pairs, strict=True):
            scores[known] = -np.inf
            least = np.partition(scores, len(scores) - self.last)[len(scores) - self.last]
            best = np.flatnonzero(scores >= least)  # more than are wanted where some score the same
            rows.append(best[np.argsort(-scores[best], kind="stable")][: self.last])
        return np.array(rows, dtype=np.int64)


def sampled_views(
    fusion: Fusion, photos: Tensor, photo_draws: Tensor, texts: Tensor, text_draws: Tensor
) -> tuple[Chosen, Chosen]:
    """The primary view and one auxiliary view per modality (see `primary_and_one`)."""
    marginals = fusion.marginals
    return primary_and_one(photos, marginals.alpha, photo_draws), primary_and_one(texts, marginals.beta, text_draws)


def click_loss(fusion: Fusion, clicks: Clicks, popularity: bool, batch: dict[str, Any]) -> Tensor:
    """Weighted InfoNCE of queries against the listings of the batch, those of all processes.

    batch: queries (B, d); views, listing, duplicates (B, 1 + H, ...), the listing interacted with first; weight (B,)
    """
    listings, columns = fused_views(batch, fusion), batch["listing"].reshape(-1)
    rows, shown = batch["listing"].shape
    own = torch.arange(rows, device=columns.device) * shown
    scores = batch["queries"] @ listings.T * batch["scale"]
    if popularity:
        # A mined listing was not met by its popularity: it counts as one that nobody chose.
        share = clicks.log_share.to(columns.device)
        met = share.min().expand(len(columns)).scatter(0, own, share[columns[own]])
        scores = scores - met
    labels = batch["duplicates"].reshape(-1, 2)
    pairs = batch["query"][:, None] * len(clicks.log_share) + columns
    excused = torch.isin(pairs, clicks.known.to(columns.device)) | (labels[own][:, None] == labels).any(2)
    excused = excused.scatter(1, own[:, None], False)
    losses = scores.masked_fill(excused, _FAR).logsumexp(1) - scores.gather(1, own[:, None])[:, 0]
    weights: Tensor = batch["weight"]
    loss: Tensor = (losses * weights).sum() / weights.sum()
    return loss


def fused_views(batch: dict[str, Any], fusion: Fusion) -> Tensor:
    """(n, d) the fused embedding of each listing in a batch, from its sampled views, as `fuse` does it for all."""
    photos, texts = (
        ViewBatch(batch[f"{side}s"].flatten(0, -3), batch[f"{side}_weights"].flatten(0, -2))
        for side in ("photo", "text")
    )
    if fusion.marginals.kind == "agreement":
        photos = agreement(photos, texts, fusion.marginals.epsilon)
    elif fusion.marginals.kind == "learned":
        photos = learned(photos, batch["tilt"])
    gamma = torch.full_like(photos.weights[:, :1], fusion.gamma)
    gamma = gamma.masked_fill(~texts.present.any(1, keepdim=True), 1.0)
    gamma = gamma.masked_fill(~photos.present.any(1, keepdim=True), 0.0)
    return normalize(gamma * photos.barycentre() + (1 - gamma) * texts.barycentre(), dim=1)
