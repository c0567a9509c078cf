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
from wares.core.runners import LOCAL_RUNNER
from wares.data.interactions import Interactions, interaction_weights
from wares.data.views import Views
from wares.encoders.features import embed_features, embed_texts
from wares.encoders.fusion import fuse
from wares.encoders.marginals import ViewBatch, learned_marginals, text_agreement_marginals
from wares.training.datasets import ListingDataset, ListingDraw, ModalityData
from wares.training.records import new_record, save_trained_model
from wares.training.trainer import CHECKPOINT_FOLDER, train_towers
from wares.training.view_sampling import sample_primary_and_auxiliary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.core.runners import Runner
    from wares.data.listings import Catalogue
    from wares.encoders.features import CatalogueFeatures, Vectors
    from wares.encoders.listing_encoder import Batch
    from wares.encoders.marginals import SampledViews
    from wares.encoders.settings import Fusion
    from wares.encoders.towers import Towers
    from wares.training.records import TrainingRecord
    from wares.training.settings import FinetuneSettings, TrainerSettings


QUERIES_PER_BLOCK = 32  # queries that negatives are mined for at once
Indices = npt.NDArray[np.int64]
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
    runner: Runner = LOCAL_RUNNER,
) -> TrainingRecord:
    """Train the towers in place on interactions and save them in `out` with a record of what was done.

    features: of the catalogue under these towers
    interactions: those to learn from; keep the later ones apart to see what it gained
    resume: continue from the checkpoint in `out`; runner: where negatives are mined (wares.core.runners)

    Raises SettingsError where there are fewer than two interactions, ModelError where the checkpoint is another run's.
    """
    if len(interactions) < 2:
        raise SettingsError(f"{len(interactions)} interactions are too few to learn from.")
    data = build_interaction_dataset(catalogue, features, towers, interactions, settings, trainer, runner)
    record = new_record(features, settings)
    record.settings |= {
        "trainer": asdict(trainer),
        "interactions": len(interactions),
        "queries": len(data.negative_candidates),
    }
    of_photos = [parameter for parameter in towers.image.parameters() if parameter.requires_grad]
    for parameter in of_photos:
        parameter.requires_grad_(settings.train_image_head)
    trained = train_towers(
        towers,
        data,
        partial(interaction_loss, towers.fusion, data, settings.logq_correction),
        trainer,
        description="fine-tuning",
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        checkpoint_folder=out / CHECKPOINT_FOLDER,
        run_settings={
            "towers": towers.identity,
            "settings": record.settings,
            "listings": len(features.duplicate_labels),
        },
        resume=resume,
    )
    for parameter in of_photos:
        parameter.requires_grad_(True)
    record.steps, record.seconds, record.losses = trained.steps, trained.seconds, trained.losses
    if trained.is_first_process:
        save_trained_model(out, towers, record, name="finetune.json")
    return record


@dataclass(frozen=True)
class InteractionDataset(Dataset[Any]):
    """Interactions as batches of a query, its listing and mined negatives.

    interactions: (M, 2) query and listing of each interaction; weights: (M,)
    negative_candidates: (Q, H) listings to mine negatives from, by query
    known_pairs: sorted query x listings + listing of every pair that was interacted with: no negatives of each other
    log_popularity: (N,) logarithm of each listing's share of the interactions, a share being at least 1/N
    """

    listings: ListingDataset
    queries: ModalityData
    interactions: Indices
    weights: Tensor
    negative_candidates: Indices
    known_pairs: Tensor
    log_popularity: Tensor
    hard_negatives: int

    def __len__(self) -> int:
        return len(self.interactions)

    def __getitems__(self, draws: Sequence[ListingDraw]) -> Batch:
        """One batch; called in a worker. Listings stand in (B, 1 + negatives), the one interacted with first."""
        places = np.array([draw.listing for draw in draws])
        query, listing = self.interactions[places].T
        random = [np.random.default_rng(draw.seed) for draw in draws]
        mined = [
            each.choice(self.negative_candidates[q], self.hard_negatives) for each, q in zip(random, query, strict=True)
        ]
        shown = np.concatenate([listing[:, None], np.array(mined, dtype=np.int64).reshape(len(draws), -1)], axis=1)
        numbers = np.array([each.random((shown.shape[1], 2)) for each in random]).reshape(-1, 2)
        seeds = [each.integers(2**62, size=shown.shape[1]) for each in random]
        flat = [
            ListingDraw(int(place), float(photo), float(text), int(seed))
            for place, (photo, text), seed in zip(shown.flat, numbers, np.concatenate(seeds), strict=True)
        ]
        batch = self.listings.__getitems__(flat)
        for name in ("photo_weights", "text_weights"):
            batch[name] = batch[name].reshape(*shown.shape, -1)
        return batch | {
            "queries": self.queries.load(torch.from_numpy(query), None),
            "query": torch.from_numpy(query),
            "listing": torch.from_numpy(shown),
            "duplicate_labels": batch["duplicate_labels"].reshape(*shown.shape, 2),
            "weight": self.weights[places],
        }


def build_interaction_dataset(
    catalogue: Catalogue,
    features: CatalogueFeatures,
    towers: Towers,
    interactions: Interactions,
    settings: FinetuneSettings,
    trainer: TrainerSettings,
    runner: Runner = LOCAL_RUNNER,
) -> InteractionDataset:
    """The training data of a run, its hard negatives mined with the towers as they are."""
    places = {listing.id: place for place, listing in enumerate(catalogue.listings)}
    texts = list(interaction_weights(interactions))
    number = {text: place for place, text in enumerate(texts)}
    rows = np.array([(number[row.query], places[row.listing]) for row in interactions.rows], dtype=np.int64)
    counts = np.bincount(rows[:, 1], minlength=len(places))
    share = np.maximum(counts / counts.sum(), 1 / len(places))
    pairs = np.unique(rows[:, 0] * len(places) + rows[:, 1])
    views = Views(texts, texts, np.arange(len(texts) + 1))
    frozen = trainer.text_backbone == "frozen"
    return InteractionDataset(
        ListingDataset.from_catalogue(
            catalogue, features, towers, trainer, partial(sample_primary_and_auxiliary_views, towers.fusion)
        ),
        ModalityData(views, towers.text.features(texts) if frozen else None),
        rows,
        torch.tensor([row.weight for row in interactions.rows], dtype=torch.float32),
        mine_hard_negatives(features, towers, texts, pairs, settings.hard_negative_ranks, runner),
        torch.from_numpy(pairs),
        torch.from_numpy(np.log(share)).float(),
        settings.hard_negatives,
    )


def mine_hard_negatives(
    features: CatalogueFeatures,
    towers: Towers,
    texts: Sequence[str],
    known_pairs: Indices,
    ranks: tuple[int, int],
    runner: Runner = LOCAL_RUNNER,
) -> Indices:
    """(Q, H) listings that the towers rank between `ranks` for each query, those interacted with left out.

    known_pairs: sorted query x listings + listing of those. Memory holds a few queries' scores of all listings.
    """
    listings = fuse(embed_features(features, towers), towers.fusion).vectors
    queries = embed_texts(texts, towers)
    first, last = min(ranks[0], max(0, len(listings) - 2)), min(ranks[1], len(listings))
    bounds = np.searchsorted(known_pairs, np.arange(len(queries) + 1) * len(listings))
    known = [known_pairs[start:end] % len(listings) for start, end in pairwise(bounds)]
    asked = (
        (queries[i : i + QUERIES_PER_BLOCK], known[i : i + QUERIES_PER_BLOCK])
        for i in range(0, len(queries), QUERIES_PER_BLOCK)
    )
    found = list(runner.map(HardNegativeMiner(listings, last), asked))
    return np.concatenate(found)[:, first:] if found else np.zeros((0, last - first), dtype=np.int64)


@dataclass(frozen=True)
class HardNegativeMiner:
    """The work of `mine_hard_negatives`. listings: (N, d); depth: how many are found for a query, at most N"""

    listings: Vectors
    depth: int

    def __call__(self, asked: tuple[Vectors, list[Indices]]) -> Indices:
        """(Q, last) the best listings of each query, the best first; those that it knows come after all others."""
        rows = []
        queries, pairs = asked
        for scores, known in zip(queries @ self.listings.T, pairs, strict=True):
            scores[known] = -np.inf
            least = np.partition(scores, len(scores) - self.depth)[len(scores) - self.depth]
            best = np.flatnonzero(scores >= least)  # more than are wanted where some score the same
            rows.append(best[np.argsort(-scores[best], kind="stable")][: self.depth])
        return np.array(rows, dtype=np.int64)


def sample_primary_and_auxiliary_views(
    fusion: Fusion, photos: Tensor, photo_draws: Tensor, texts: Tensor, text_draws: Tensor
) -> tuple[SampledViews, SampledViews]:
    """The primary view and one auxiliary view per modality (see `sample_primary_and_auxiliary`)."""
    marginals = fusion.marginals
    return sample_primary_and_auxiliary(photos, marginals.alpha, photo_draws), sample_primary_and_auxiliary(
        texts, marginals.beta, text_draws
    )


def interaction_loss(
    fusion: Fusion, dataset: InteractionDataset, logq_correction: bool, batch: dict[str, Any]
) -> Tensor:
    """Weighted InfoNCE of queries against the listings of the batch, those of all processes.

    batch: queries (B, d); views, listing, duplicates (B, 1 + H, ...), the listing interacted with first; weight (B,)
    """
    listings, columns = fuse_batch(batch, fusion), batch["listing"].reshape(-1)
    rows, shown = batch["listing"].shape
    own = torch.arange(rows, device=columns.device) * shown
    scores = batch["queries"] @ listings.T * batch["scale"]
    if logq_correction:
        # A mined listing was not met by its popularity: it counts as one that nobody chose.
        share = dataset.log_popularity.to(columns.device)
        met = share.min().expand(len(columns)).scatter(0, own, share[columns[own]])
        scores = scores - met
    labels = batch["duplicate_labels"].reshape(-1, 2)
    pairs = batch["query"][:, None] * len(dataset.log_popularity) + columns
    excused = torch.isin(pairs, dataset.known_pairs.to(columns.device)) | (labels[own][:, None] == labels).any(2)
    excused = excused.scatter(1, own[:, None], False)
    losses = scores.masked_fill(excused, _FAR).logsumexp(1) - scores.gather(1, own[:, None])[:, 0]
    weights: Tensor = batch["weight"]
    loss: Tensor = (losses * weights).sum() / weights.sum()
    return loss


def fuse_batch(batch: dict[str, Any], fusion: Fusion) -> Tensor:
    """(n, d) the fused embedding of each listing in a batch, from its sampled views, as `fuse` does it for all."""
    photos, texts = (
        ViewBatch(batch[f"{side}s"].flatten(0, -3), batch[f"{side}_weights"].flatten(0, -2))
        for side in ("photo", "text")
    )
    if fusion.marginals.kind == "agreement":
        photos = text_agreement_marginals(photos, texts, fusion.marginals.epsilon)
    elif fusion.marginals.kind == "learned":
        photos = learned_marginals(photos, batch["photo_attention"])
    gamma = torch.full_like(photos.weights[:, :1], fusion.gamma)
    gamma = gamma.masked_fill(~texts.present.any(1, keepdim=True), 1.0)
    gamma = gamma.masked_fill(~photos.present.any(1, keepdim=True), 0.0)
    return normalize(gamma * photos.barycentre() + (1 - gamma) * texts.barycentre(), dim=1)
