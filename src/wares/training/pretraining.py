"""Recipe: a catalogue without labels to towers that embed the photos and texts of a listing close together.

    towers = build_towers("offline")
    record = pretrain(catalogue_features(catalogue, towers), towers, PretrainSettings(seed=1), out=folder)

The methods differ only in the views that they sample for a step and in the score of two listings:

    factorized       primary view and one random auxiliary view per modality: constant work per listing
    single-view      first photo and title only
    random-view      one random view per modality
    all-pairs        every view with every view
    full-transport   every view, scored by the optimal entropic plan of each of the B² pairs of listings
    low-rank-transport   the same with plans of rank two
    mean-views       every view, scored and fused by the plain means of both modalities
    joint-text       single-view, on a catalogue made by `views.with_joint_text`

Source: arXiv 2512.18117; the losses and marginals are our reading of it, docs/explanation/method.md.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from wares.core.errors import SettingsError
from wares.core.progress import progress
from wares.data.duplicates import duplicate_mask
from wares.encoders.features import CatalogueFeatures, catalogue_features
from wares.encoders.marginals import (
    SampledViews,
    ViewBatch,
    all_views,
    learned_marginals,
    primary_share,
    text_agreement_marginals,
)
from wares.training import losses, transport
from wares.training.records import identify_run, new_record, restore_checkpoint, save_checkpoint, save_trained_model
from wares.training.settings import MULTI_VIEW_METHODS, PretrainSettings
from wares.training.view_sampling import drop_features, primary_view_only, sample_one_view, sample_primary_and_auxiliary

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from wares.data.listings import Catalogue
    from wares.data.views import Views
    from wares.encoders.base import Features, Tower
    from wares.encoders.towers import Towers
    from wares.training.records import TrainingRecord
    from wares.training.settings import Method


TRANSPORT_RANK = 2  # of low-rank-transport
CHECKPOINT_SECONDS = 5.0  # seconds of training between checkpoints, which are saved at the end of an epoch


def pretrain(
    catalogue: Catalogue | CatalogueFeatures,
    towers: Towers,
    settings: PretrainSettings | None = None,
    out: Path | None = None,
    resume: bool = False,
) -> TrainingRecord:
    """Train the towers in place on a catalogue, without labels.

    catalogue: a catalogue, or its features under these towers (`catalogue_features`) if several trainings share them
    settings: the defaults unless given
    out: folder for the model and the training record, and for checkpoints during training; None saves nothing
    resume: continue from the checkpoint in `out`, to the same weights as an uninterrupted run of as many epochs

    Raises SettingsError if the catalogue has nothing to align, ModelError if the checkpoint belongs to another run.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, PretrainSettings, build_towers, pretrain
        >>> boots = Listing("1", "Red boots", description="Leather, lined")
        >>> scarf = Listing("2", "Blue scarf", description="Wool for winter")
        >>> towers = build_towers("small")
        >>> pretrain(Catalogue(Path("."), (boots, scarf)), towers, PretrainSettings(epochs=2)).steps
        2
    """
    settings = settings or PretrainSettings()
    features = catalogue if isinstance(catalogue, CatalogueFeatures) else catalogue_features(catalogue, towers)
    photos = ModalityFeatures.from_views(features.photo_views, features.photos, photo_dropout(towers, settings))
    texts = ModalityFeatures.from_views(features.text_views, features.texts)
    check_trainable(photos, texts, settings)
    towers.photo_attention.requires_grad_(settings.fusion.marginals.kind == "learned")
    optimiser = torch.optim.AdamW(
        towers.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    record = new_record(features, settings)
    run = {} if out is None else identify_run(towers, features, record)
    if out is not None and resume:
        restore_checkpoint(out, towers, optimiser, record, run)
    saved = time.monotonic()
    with progress(None, f"pretraining ({settings.method})", total=settings.epochs, unit="epochs") as bar:
        bar.update(len(record.losses))
        while fraction_done(record, settings) < 1.0:
            record.losses.append(
                train_epoch(photos, texts, features.duplicate_labels, towers, optimiser, settings, record)
            )
            bar.set_postfix(loss=f"{record.losses[-1]:.3f}", refresh=False)
            bar.update()
            if out is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
                save_checkpoint(out, towers, optimiser, record, run)
                saved = time.monotonic()
    mark_trained(towers, settings, photos, texts)
    if out is not None:
        save_trained_model(out, towers, record)
    return record


def train_epoch(
    photos: ModalityFeatures,
    texts: ModalityFeatures,
    duplicate_labels: Tensor,
    towers: Towers,
    optimiser: torch.optim.Optimizer,
    settings: PretrainSettings,
    record: TrainingRecord,
) -> float:
    """Train for one pass over the listings; returns the mean loss.

    The seed and the number of the epoch decide all randomness.
    """
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + len(record.losses))
    marginals = settings.fusion.marginals
    steps = math.ceil(len(duplicate_labels) / settings.batch_size)
    loss_sum, epochs_before = 0.0, len(record.losses)
    for step, listings in enumerate(torch.randperm(len(duplicate_labels), generator=generator).tensor_split(steps)):
        start = time.monotonic()
        done = fraction_done(record, settings, epochs_before + step / steps)
        if done >= 1.0:
            return loss_sum / max(1, step)
        optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
        draws = torch.rand(2, len(listings), generator=generator, dtype=torch.float64)
        sampled_photos = sample_views(settings.method, photos.counts[listings], marginals.alpha, draws[0])
        sampled_texts = sample_views(settings.method, texts.counts[listings], marginals.beta, draws[1])
        loss = batch_loss(
            photos.encode(towers.image, listings, sampled_photos, towers.dimension, generator),
            texts.encode(towers.text, listings, sampled_texts, towers.dimension, generator),
            duplicate_mask(duplicate_labels[listings]),
            towers.scale,
            settings,
            towers.photo_attention,
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        record.steps += 1
        record.seconds += time.monotonic() - start
        loss_sum += float(loss.detach())
    return loss_sum / steps


def photo_dropout(towers: Towers, settings: PretrainSettings) -> float:
    """Probability with which a step drops each photo feature: 0 for a joint model, whose image head needs no ridge."""
    return 0.0 if towers.is_joint else settings.photo_dropout


def fraction_done(record: TrainingRecord, settings: PretrainSettings, epochs: float | None = None) -> float:
    """Completed part of the run, from 0 to 1: of the training time if it is limited, otherwise of the epochs."""
    if settings.seconds is not None:
        return min(1.0, record.seconds / settings.seconds)
    return (len(record.losses) if epochs is None else epochs) / settings.epochs


def sample_views(method: Method, counts: Tensor, primary_weight: float, draws: Tensor) -> SampledViews:
    """Sample the views of one modality that a step encodes.

    counts: (B,) number of views of each listing
    draws: (B,) uniform random numbers in [0, 1), for the methods that sample at random
    """
    match method:
        case "factorized":
            return sample_primary_and_auxiliary(counts, primary_weight, draws)
        case "single-view" | "joint-text":
            return primary_view_only(counts)
        case "random-view":
            return sample_one_view(counts, draws)
        case "mean-views":
            return all_views(counts, primary_share(counts, 0.5))
        case "all-pairs" | "full-transport" | "low-rank-transport":
            return all_views(counts, primary_weight)


@dataclass(frozen=True)
class ModalityFeatures:
    """Features of all views of one modality.

    features: (V, ...); offsets: (N+1,) the first view of each listing; counts: (N,) number of its views
    dropout: probability with which a step drops each feature
    """

    features: Tensor
    offsets: Tensor
    counts: Tensor
    dropout: float = 0.0

    @classmethod
    def from_views(cls, views: Views, features: Features, dropout: float = 0.0) -> ModalityFeatures:
        return cls(torch.from_numpy(features), torch.from_numpy(views.offsets), torch.from_numpy(views.counts), dropout)

    def encode(
        self, tower: Tower, listings: Tensor, sampled: SampledViews, dimension: int, generator: torch.Generator
    ) -> ViewBatch:
        """Encode every sampled view of a batch of listings in one forward pass. generator: of the dropped features"""
        present = sampled.weights > 0
        indices = (self.offsets[listings][:, None] + sampled.indices)[present]
        vectors = torch.zeros(*present.shape, dimension)
        if len(indices):
            vectors[present] = tower(drop_features(self.features[indices], self.dropout, generator))
        return ViewBatch(vectors, sampled.weights)


def batch_loss(
    photos: ViewBatch,
    texts: ViewBatch,
    duplicate_mask: Tensor,
    scale: Tensor,
    settings: PretrainSettings,
    photo_attention: Tensor | None = None,
) -> Tensor:
    """The loss that a step minimises. photo_attention: (d,) direction of learned marginals"""
    match settings.method:
        case "full-transport":
            return losses.plan_score_loss(transport.full_scores(photos, texts), photos, texts, scale, duplicate_mask)
        case "low-rank-transport":
            return losses.plan_score_loss(
                transport.low_rank_scores(photos, texts, TRANSPORT_RANK), photos, texts, scale, duplicate_mask
            )
        case "mean-views":
            return losses.barycentric_loss(photos, texts, scale, duplicate_mask)
    marginals, marginal_loss = settings.fusion.marginals, torch.zeros(())
    if marginals.kind == "agreement":
        photos = text_agreement_marginals(photos, texts, marginals.epsilon)
    elif marginals.kind == "learned" and photo_attention is not None:
        photos = learned_marginals(photos, photo_attention)
        marginal_loss = losses.marginal_loss(photos, texts, scale, duplicate_mask)
        photos = photos.detach()
    between = losses.pairwise_loss if settings.loss == "pairwise" else losses.barycentric_loss
    loss = between(photos, texts, scale, duplicate_mask) + marginal_loss
    if settings.intra_modal:
        within = losses.intra_modal_loss(photos, scale, duplicate_mask) + losses.intra_modal_loss(
            texts, scale, duplicate_mask
        )
        loss = loss + settings.intra_modal * within
    return loss


def mark_trained(towers: Towers, settings: PretrainSettings, photos: ModalityFeatures, texts: ModalityFeatures) -> None:
    """Give trained towers their fusion. They are aligned if a listing had both a photo and a text to learn from."""
    towers.fusion = settings.fusion
    towers.aligned = towers.aligned or bool(((photos.counts > 0) & (texts.counts > 0)).any())


def check_trainable(photos: ModalityFeatures, texts: ModalityFeatures, settings: PretrainSettings) -> None:
    """Raise SettingsError if the catalogue gives the loss nothing to align."""
    both = int(((photos.counts > 0) & (texts.counts > 0)).sum())
    several = int(((photos.counts > 1) | (texts.counts > 1)).sum())
    if len(photos.counts) < 2:
        raise SettingsError("one listing is too few to train on. Index it untrained: `wares index --towers offline`.")
    if both < 2 and (several < 2 or not settings.intra_modal or settings.method not in MULTI_VIEW_METHODS):
        raise SettingsError(
            f"{both} listings have both a photo and a text, so there is nothing to align. Add photos, "
            "or index the catalogue with untrained towers (`wares index --towers offline`)."
        )
