"""Recipe: a catalogue without labels to towers that put a listing's photos and texts side by side.

    towers = build_towers("offline")
    record = pretrain(catalogue_features(catalogue, towers), towers, PretrainSettings(seed=1), out=folder)

The methods differ only in which views they choose for a step and how they score two listings:

    factorized       primary view and one auxiliary view per modality, drawn at random: constant work per listing
    single-view      first photo and title only
    random-view      one view per modality, drawn at random
    all-pairs        every view with every view
    full-transport   every view, scored by the best entropic plan of each of the B² pairs of listings
    low-rank-transport   the same with plans of rank two
    mean-views       every view, scored by the plain means of both modalities, and so fused
    joint-text       single-view, on a catalogue made by `views.with_joint_text`

Source: arXiv 2512.18117; the losses and marginals are our reading of it, docs/method.md.
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
from wares.encoders.marginals import SampledViews, ViewBatch, all_views, learned_marginals, text_agreement_marginals
from wares.training import losses, transport
from wares.training.records import new_record, restore_checkpoint, save_checkpoint, save_trained_model
from wares.training.settings import MULTI_VIEW_METHODS
from wares.training.view_sampling import primary_view_only, sample_one_view, sample_primary_and_auxiliary

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from wares.data.views import Views
    from wares.encoders.base import Features, Tower
    from wares.encoders.features import CatalogueFeatures
    from wares.encoders.towers import Towers
    from wares.training.records import TrainingRecord
    from wares.training.settings import Method, PretrainSettings


TRANSPORT_RANK = 2  # of low-rank-transport
CHECKPOINT_SECONDS = 5.0  # seconds of training between checkpoints, which are made at the end of an epoch


def pretrain(
    features: CatalogueFeatures,
    towers: Towers,
    settings: PretrainSettings,
    out: Path | None = None,
    resume: bool = False,
) -> TrainingRecord:
    """Train the towers in place; with `out`, save them there with a record of what was done.

    out: folder of the model; checkpoints are kept in it while training runs
    resume: continue from the checkpoint in `out`, to the weights of an uninterrupted run of as many epochs

    Raises SettingsError where the catalogue has nothing to align, ModelError where the checkpoint is another run's.
    """
    photos = ModalityFeatures.from_views(features.photo_views, features.photos)
    texts = ModalityFeatures.from_views(features.text_views, features.texts)
    check_trainable(photos, texts, settings)
    towers.photo_attention.requires_grad_(settings.fusion.marginals.kind == "learned")
    optimiser = torch.optim.AdamW(
        towers.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    record = new_record(features, settings)
    if out is not None and resume:
        restore_checkpoint(out, towers, optimiser, record)
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
                save_checkpoint(out, towers, optimiser, record)
                saved = time.monotonic()
    towers.fusion = settings.fusion
    if out is not None:
        save_trained_model(out, towers, record)
    return record


def train_epoch(
    photos: ModalityFeatures,
    texts: ModalityFeatures,
    duplicates: Tensor,
    towers: Towers,
    optimiser: torch.optim.Optimizer,
    settings: PretrainSettings,
    record: TrainingRecord,
) -> float:
    """One pass over the listings; returns its mean loss. Its randomness follows from the seed and its number."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + len(record.losses))
    marginals = settings.fusion.marginals
    steps = math.ceil(len(duplicates) / settings.batch_size)
    sums, passed = 0.0, len(record.losses)
    for number, listings in enumerate(torch.randperm(len(duplicates), generator=generator).tensor_split(steps)):
        began = time.monotonic()
        share = fraction_done(record, settings, passed + number / steps)
        if share >= 1.0:
            return sums / max(1, number)
        optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 + math.cos(math.pi * share)) / 2
        draws = torch.rand(2, len(listings), generator=generator, dtype=torch.float64)
        chosen_photos = sample_views(settings.method, photos.counts[listings], marginals.alpha, draws[0])
        chosen_texts = sample_views(settings.method, texts.counts[listings], marginals.beta, draws[1])
        loss = batch_loss(
            photos.encode(towers.image, listings, chosen_photos, towers.dimension),
            texts.encode(towers.text, listings, chosen_texts, towers.dimension),
            duplicate_mask(duplicates[listings]),
            towers.scale,
            settings,
            towers.photo_attention,
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        record.steps += 1
        record.seconds += time.monotonic() - began
        sums += float(loss.detach())
    return sums / steps


def fraction_done(record: TrainingRecord, settings: PretrainSettings, epochs: float | None = None) -> float:
    """How much of the run is over, from 0 to 1: by the clock, or by epochs."""
    if settings.seconds is not None:
        return min(1.0, record.seconds / settings.seconds)
    return (len(record.losses) if epochs is None else epochs) / settings.epochs


def sample_views(method: Method, counts: Tensor, primary_weight: float, draws: Tensor) -> SampledViews:
    """Which views of one modality a step encodes, and their weights.

    counts: (B,) views per listing; draws: (B,) uniform in [0, 1), for the methods that draw
    """
    match method:
        case "factorized":
            return sample_primary_and_auxiliary(counts, primary_weight, draws)
        case "single-view" | "joint-text":
            return primary_view_only(counts)
        case "random-view":
            return sample_one_view(counts, draws)
        case "mean-views":
            return all_views(counts, None)
        case "all-pairs" | "full-transport" | "low-rank-transport":
            return all_views(counts, primary_weight)


@dataclass(frozen=True)
class ModalityFeatures:
    """One modality's part of the training data: features of all views and where each listing's begin."""

    features: Tensor
    offsets: Tensor
    counts: Tensor

    @classmethod
    def from_views(cls, views: Views, features: Features) -> ModalityFeatures:
        return cls(torch.from_numpy(features), torch.from_numpy(views.offsets), torch.from_numpy(views.counts))

    def encode(self, tower: Tower, listings: Tensor, sampled: SampledViews, dimension: int) -> ViewBatch:
        """Run the tower once over every chosen view of a batch of listings."""
        present = sampled.weights > 0
        places = (self.offsets[listings][:, None] + sampled.indices)[present]
        vectors = torch.zeros(*present.shape, dimension)
        if len(places):
            vectors[present] = tower(self.features[places])
        return ViewBatch(vectors, sampled.weights)


def batch_loss(
    photos: ViewBatch,
    texts: ViewBatch,
    duplicate_mask: Tensor,
    scale: Tensor,
    settings: PretrainSettings,
    photo_attention: Tensor | None = None,
) -> Tensor:
    """What a step minimises. photo_attention: (d,) direction of learned marginals."""
    match settings.method:
        case "full-transport":
            return losses.plan_score_loss(transport.full_scores(photos, texts), photos, texts, scale, duplicate_mask)
        case "low-rank-transport":
            return losses.plan_score_loss(
                transport.low_rank_scores(photos, texts, TRANSPORT_RANK), photos, texts, scale, duplicate_mask
            )
        case "mean-views":
            return losses.barycentric_loss(photos, texts, scale, duplicate_mask)
    marginals, weighing = settings.fusion.marginals, torch.zeros(())
    if marginals.kind == "agreement":
        photos = text_agreement_marginals(photos, texts, marginals.epsilon)
    elif marginals.kind == "learned" and photo_attention is not None:
        photos = learned_marginals(photos, photo_attention)
        weighing = losses.marginal_loss(photos, texts, scale, duplicate_mask)
        photos = photos.detach()
    between = losses.pairwise_loss if settings.loss == "pairwise" else losses.barycentric_loss
    loss = between(photos, texts, scale, duplicate_mask) + weighing
    if settings.intra_modal:
        within = losses.intra_modal_loss(photos, scale, duplicate_mask) + losses.intra_modal_loss(
            texts, scale, duplicate_mask
        )
        loss = loss + settings.intra_modal * within
    return loss


def check_trainable(photos: ModalityFeatures, texts: ModalityFeatures, settings: PretrainSettings) -> None:
    """Raise SettingsError where no loss could tell two listings apart."""
    both = int(((photos.counts > 0) & (texts.counts > 0)).sum())
    several = int(((photos.counts > 1) | (texts.counts > 1)).sum())
    if len(photos.counts) < 2:
        raise SettingsError("a catalogue of one listing has nothing to be told apart from. Index it untrained.")
    if both < 2 and (several < 2 or not settings.intra_modal or settings.method not in MULTI_VIEW_METHODS):
        raise SettingsError(
            f"{both} listings have both a photo and a text, so there is nothing to align. Add photos, "
            "or index with untrained towers (`wares index --towers offline`)."
        )
