"""Recipe: interactions of shoppers to towers that rank what shoppers choose.

    towers = load_towers("model")
    features = catalogue_features(catalogue, towers)
    earlier, later = read_interactions(path, ids).split(test_fraction=0.2)
    finetune(catalogue, features, towers, earlier, FinetuneSettings(), TrainerSettings(), out)

The text tower encodes a query. A listing is the fusion of its primary view and one random auxiliary view per modality.
The query retrieves its listing among the listings of the batch and hard negatives of the query. A shop still serves the
fusion of all views.

Source: query → item of arXiv 2512.18117; fusion, mining and correction are our reading, docs/explanation/method.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
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
from wares.data.duplicates import duplicate_mask
from wares.data.interactions import Interactions, interaction_weights
from wares.data.views import Views
from wares.encoders.features import embed_features, embed_texts
from wares.encoders.fusion import fuse
from wares.encoders.marginals import ViewBatch, learned_marginals, text_agreement_marginals
from wares.training.datasets import ListingDataset, ListingDraw, ModalityData
from wares.training.losses import MASK_VALUE
from wares.training.records import digest_views, new_record, save_trained_model
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


QUERIES_PER_BLOCK = 32  # queries that are scored at once to mine negatives
Indices = npt.NDArray[np.int64]


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
    """Train the towers in place on interactions, and save them in `out` with the training record.

    features: features of the catalogue from these towers
    interactions: training interactions; hold the latest ones out to measure the gain
    resume: continue from the checkpoint in `out`
    runner: runs the mining of hard negatives (wares.core.runners)

    Raises SettingsError if there are fewer than two interactions, ModelError if the checkpoint belongs to another run.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_towers, finetune
        >>> from wares.data.interactions import Interaction, Interactions
        >>> from wares.encoders import catalogue_features
        >>> from wares.training import FinetuneSettings, TrainerSettings
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Blue scarf")))
        >>> clicks = Interactions(
        ...     (Interaction("shoes", "1", "click", 1.0, 0.0), Interaction("winter", "2", "click", 1.0, 1.0))
        ... )
        >>> towers = build_towers("small")
        >>> features = catalogue_features(catalogue, towers)
        >>> settings = FinetuneSettings(epochs=1, hard_negatives=1)
        >>> finetune(catalogue, features, towers, clicks, settings, TrainerSettings(), Path("tuned")).steps
        1
    """
    if len(interactions) < 2:
        raise SettingsError(f"{len(interactions)} interactions are too few to train on. Collect at least two.")
    dataset = build_interaction_dataset(catalogue, features, towers, interactions, settings, trainer, runner)
    record = new_record(features, settings)
    record.settings |= {
        "trainer": asdict(trainer),
        "interactions": len(interactions),
        "queries": len(dataset.negative_candidates),
    }
    towers.aligned = towers.aligned or (settings.train_image_head and len(features.photos) > 0)
    fusion = towers.fusion if towers.aligned else replace(towers.fusion, gamma=0.0)
    image_weights = [parameter for parameter in towers.image.parameters() if parameter.requires_grad]
    for parameter in image_weights:
        parameter.requires_grad_(settings.train_image_head)
    result = train_towers(
        towers,
        dataset,
        partial(interaction_loss, fusion, dataset, settings),
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
            "photos and texts": digest_views(catalogue, features),
        },
        resume=resume,
    )
    for parameter in image_weights:
        parameter.requires_grad_(True)
    record.steps, record.seconds, record.losses = result.steps, result.seconds, result.losses
    if result.is_first_process:
        save_trained_model(out, towers, record, name="finetune.json")
    return record


@dataclass(frozen=True)
class InteractionDataset(Dataset[Any]):
    """Interactions as batches of a query, its listing and hard negatives.

    interactions, weights: (M, 2) query and listing of each interaction, and (M,) its weight
    negative_candidates: (Q, H) listings to sample the hard negatives of each query from
    known_pairs: sorted `query * N + listing` of every interaction; these pairs are not negatives of each other
    log_popularity: (N,) logarithm of each listing's fraction of the interactions, at least that of one interaction
    hard_negatives: number of hard negatives of each query, at most H; they differ from each other
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
        """The batch of the given interactions; called in a worker.

        Its listings have shape (B, 1 + hard_negatives), with the listing of the interaction first.
        """
        rows = np.array([draw.listing for draw in draws])
        query, positive = self.interactions[rows].T
        generators = [np.random.default_rng(draw.seed) for draw in draws]
        negatives = [
            generator.choice(self.negative_candidates[q], self.hard_negatives, replace=False)
            for generator, q in zip(generators, query, strict=True)
        ]
        listings = np.concatenate(
            [positive[:, None], np.array(negatives, dtype=np.int64).reshape(len(draws), -1)], axis=1
        )
        view_draws = np.array([generator.random((listings.shape[1], 2)) for generator in generators]).reshape(-1, 2)
        seeds = [generator.integers(2**62, size=listings.shape[1]) for generator in generators]
        listing_draws = [
            ListingDraw(int(listing), float(photo), float(text), int(seed))
            for listing, (photo, text), seed in zip(listings.flat, view_draws, np.concatenate(seeds), strict=True)
        ]
        batch = self.listings.__getitems__(listing_draws)
        for name in ("photo_weights", "text_weights"):
            batch[name] = batch[name].reshape(*listings.shape, -1)
        return batch | {
            "queries": self.queries.load(torch.from_numpy(query), torch.tensor([draw.seed for draw in draws])),
            "query": torch.from_numpy(query),
            "listing": torch.from_numpy(listings),
            "duplicate_labels": batch["duplicate_labels"].reshape(*listings.shape, 2),
            "weight": self.weights[rows],
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
    """The training data of a run, with hard negatives that these towers mine."""
    listing_indices = {listing.id: index for index, listing in enumerate(catalogue.listings)}
    texts = list(interaction_weights(interactions))
    query_indices = {text: index for index, text in enumerate(texts)}
    rows = np.array(
        [(query_indices[row.query], listing_indices[row.listing]) for row in interactions.rows], dtype=np.int64
    )
    counts = np.bincount(rows[:, 1], minlength=len(listing_indices))
    popularity = np.maximum(counts, 1) / counts.sum()
    pairs = np.unique(rows[:, 0] * len(listing_indices) + rows[:, 1])
    views = Views(texts, texts, np.arange(len(texts) + 1))
    frozen = trainer.text_backbone == "frozen"
    negatives = mine_hard_negatives(features, towers, texts, pairs, settings.hard_negative_ranks, runner)
    return InteractionDataset(
        ListingDataset.from_catalogue(
            catalogue, features, towers, trainer, partial(sample_primary_and_auxiliary_views, towers.fusion)
        ),
        ModalityData(views, towers.text.features(texts) if frozen else None),
        rows,
        torch.tensor([row.weight for row in interactions.rows], dtype=torch.float32),
        negatives,
        torch.from_numpy(pairs),
        torch.from_numpy(np.log(popularity)).float(),
        min(settings.hard_negatives, negatives.shape[1]),
    )


def mine_hard_negatives(
    features: CatalogueFeatures,
    towers: Towers,
    texts: Sequence[str],
    known_pairs: Indices,
    ranks: tuple[int, int],
    runner: Runner = LOCAL_RUNNER,
) -> Indices:
    """(Q, H) listings that the towers rank between `ranks` for each query, without its interactions.

    known_pairs: sorted `query * N + listing` of all interactions
    ranks: first rank, counted from 0, and the rank after the last

    Memory holds the scores of all listings for `QUERIES_PER_BLOCK` queries.
    """
    listings = fuse(embed_features(features, towers), towers.fusion).vectors
    queries = embed_texts(texts, towers)
    first, last = min(ranks[0], max(0, len(listings) - 2)), min(ranks[1], len(listings))
    bounds = np.searchsorted(known_pairs, np.arange(len(queries) + 1) * len(listings))
    known = [known_pairs[start:end] % len(listings) for start, end in pairwise(bounds)]
    blocks = (
        (queries[i : i + QUERIES_PER_BLOCK], known[i : i + QUERIES_PER_BLOCK])
        for i in range(0, len(queries), QUERIES_PER_BLOCK)
    )
    mined = list(runner.map(HardNegativeMiner(listings, last), blocks))
    return np.concatenate(mined)[:, first:] if mined else np.zeros((0, last - first), dtype=np.int64)


@dataclass(frozen=True)
class HardNegativeMiner:
    """Ranks listings for a block of queries.

    listings: (N, d) embeddings
    depth: number of listings to return for each query, at most N
    """

    listings: Vectors
    depth: int

    def __call__(self, block: tuple[Vectors, list[Indices]]) -> Indices:
        """(Q, depth) best listings of each query, best first; known listings come last.

        block: (Q, d) queries, and the known listings of each query
        """
        rows = []
        queries, known_listings = block
        for scores, known in zip(queries @ self.listings.T, known_listings, strict=True):
            scores[known] = -np.inf
            minimum = np.partition(scores, len(scores) - self.depth)[len(scores) - self.depth]
            best = np.flatnonzero(scores >= minimum)  # more than depth if scores tie
            rows.append(best[np.argsort(-scores[best], kind="stable")][: self.depth])
        return np.array(rows, dtype=np.int64)


def sample_primary_and_auxiliary_views(
    fusion: Fusion, photos: Tensor, photo_draws: Tensor, texts: Tensor, text_draws: Tensor
) -> tuple[SampledViews, SampledViews]:
    """Sample the primary view and one auxiliary view per modality (see `sample_primary_and_auxiliary`)."""
    marginals = fusion.marginals
    return (
        sample_primary_and_auxiliary(photos, marginals.alpha, photo_draws),
        sample_primary_and_auxiliary(texts, marginals.beta, text_draws),
    )


def interaction_loss(
    fusion: Fusion, dataset: InteractionDataset, settings: FinetuneSettings, batch: dict[str, Any]
) -> Tensor:
    """Weighted InfoNCE of queries against the listings of the batch, over all processes.

    The temperature is that of the towers or of the settings, whichever is lower.

    batch: queries (B, d); weight (B,); views, listing and duplicate_labels (B, 1 + H, ...), with the listing of the
        interaction first
    """
    listings, columns = fuse_batch(batch, fusion), batch["listing"].reshape(-1)
    rows, listings_per_row = batch["listing"].shape
    own = torch.arange(rows, device=columns.device) * listings_per_row
    scores = batch["queries"] @ listings.T * batch["scale"].clamp(min=1 / settings.temperature)
    if settings.logq_correction:
        # A hard negative is not sampled by its popularity: it is corrected as the least popular listing (our reading).
        popularity = dataset.log_popularity.to(columns.device)
        scores = scores - popularity.min().expand(len(columns)).scatter(0, own, popularity[columns[own]])
    labels = batch["duplicate_labels"].reshape(-1, 2)
    pairs = batch["query"][:, None] * len(dataset.log_popularity) + columns
    masked = torch.isin(pairs, dataset.known_pairs.to(columns.device)) | duplicate_mask(labels[own], labels)
    masked = masked.scatter(1, own[:, None], False)
    losses = scores.masked_fill(masked, MASK_VALUE).logsumexp(1) - scores.gather(1, own[:, None])[:, 0]
    weights: Tensor = batch["weight"]
    loss: Tensor = (losses * weights).sum() / weights.sum()
    return loss


def fuse_batch(batch: dict[str, Any], fusion: Fusion) -> Tensor:
    """(n, d) fused embedding of each listing in a batch from its sampled views, as `fuse` computes it from all."""
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
