"""Early stopping: the number of epochs that suits a catalogue, selected on held-out listings without labels.

    stopping = select_epochs(features, "offline", settings)
    pretrain(features, towers, replace(settings, epochs=stopping.epochs))

Heads learn a small catalogue by heart, and a large one needs time. So a few numbers of epochs up to a maximum are
tried on four fifths of the listings; the one under which the titles of the other fifth give the highest log
probability to their own photos is selected. Groups of duplicates are held out as a whole, and small catalogues in
several folds, because a fifth of them decides nothing.

Each number of epochs is a training of its own, with its own learning rate schedule, as it is then trained: a checkpoint
in the middle of a longer schedule would stop at a learning rate that no training of the selected length ends with.

Source: early stopping (Prechelt, "Early stopping – but when?", 1998); the criterion is that of
wares.training.weight_selection.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wares.core.progress import progress
from wares.data.duplicates import MIN_GROUPS, group_count
from wares.encoders.registry import build_towers
from wares.training.held_out import LOG_PROBABILITY, score_held_out
from wares.training.pretraining import pretrain
from wares.training.weight_selection import MAX_LISTINGS, split_folds, trial_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wares.encoders.features import CatalogueFeatures
    from wares.encoders.settings import Fusion
    from wares.training.settings import PretrainSettings
    from wares.training.weight_selection import Indices

EPOCH_FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the maximum
MIN_VALIDATION = 100  # listings; no further fold is added after this many


@dataclass(frozen=True)
class EarlyStopping:
    """The selected number of epochs, and what it was selected by.

    log_probs: epochs → mean log probability of the held-out listings' photos, given their titles; empty if there was
        nothing to select
    listings, groups: number of held-out listings, and of their groups of duplicates
    seconds: of all trials
    """

    epochs: int
    log_probs: Mapping[int, float]
    listings: int
    groups: int
    seconds: float
    key: ClassVar[str] = "early_stopping"

    def to_json(self) -> dict[str, Any]:
        """The selection as JSON, for the training record."""
        return asdict(self)

    def __str__(self) -> str:
        """One sentence for people; empty if there was nothing to select."""
        if not self.log_probs:
            return ""
        tried = ", ".join(f"{epochs}: {value:.2f}" for epochs, value in self.log_probs.items())
        return (
            f"{self.epochs} epochs selected without labels, on {self.listings:,} held-out listings "
            f"({self.groups:,} groups); log probability by epochs {tried}"
        )


def select_epochs(features: CatalogueFeatures, towers: str, settings: PretrainSettings) -> EarlyStopping:
    """Select the number of epochs, at most `settings.epochs`, without labels.

    features: features of the training listings
    towers: name of the towers, whose heads the trials train
    settings: settings of the run; `seed` decides folds and trials

    Returns `settings.epochs` without trials if training time is limited instead, if there is only one number to try,
    if the listings with both a photo and a text are fewer than `MIN_GROUPS` groups of duplicates, or if there are more
    than `MAX_LISTINGS` listings: a sample of them would be learned by heart sooner than all of them.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, PretrainSettings, build_towers
        >>> from wares.encoders import catalogue_features
        >>> from wares.training import select_epochs
        >>> features = catalogue_features(Catalogue(Path("."), (Listing("1", "Red boots"),)), build_towers("small"))
        >>> select_epochs(features, "small", PretrainSettings()).epochs
        60
    """
    start, folds = time.monotonic(), list(validation_folds(features, settings.seed))
    too_many = len(features.duplicate_labels) > MAX_LISTINGS
    if settings.seconds is not None or len(epoch_candidates(settings.epochs)) == 1 or too_many or not folds:
        return EarlyStopping(settings.epochs, {}, 0, 0, time.monotonic() - start)
    by_fusion = validation_log_probs(features, features, folds, towers, settings, {"": settings.fusion})
    log_probs = {epochs: values[""] for epochs, values in by_fusion.items()}
    best = max(log_probs, key=log_probs.__getitem__)  # of equal ones the fewest
    return EarlyStopping(best, log_probs, *held_out_size(features, folds), time.monotonic() - start)


def validation_log_probs(
    training: CatalogueFeatures,
    views: CatalogueFeatures,
    folds: list[tuple[Indices, Indices]],
    towers: str,
    settings: PretrainSettings,
    fusions: Mapping[str, Fusion],
) -> dict[int, dict[str, float]]:
    """Return epochs → fusion → mean log probability of the held-out listings' photos, given their titles.

    training: features of the training listings, with the views that the method trains on
    views: features of the same listings with all of their views, which are what is held out
    folds: of `validation_folds`
    """
    log_probs: dict[int, dict[str, float]] = {}
    candidates = epoch_candidates(settings.epochs)
    with progress(None, "selecting epochs", total=len(candidates) * len(folds), unit="trials") as bar:
        for epochs in candidates:
            values: dict[str, list[float]] = defaultdict(list)
            for part, rest in folds:
                model = build_towers(towers, settings.seed)
                pretrain(training.select(part), model, trial_settings(replace(settings, epochs=epochs)))
                for name, model.fusion in fusions.items():
                    values[name] += score_held_out(views.select(rest), model)[LOG_PROBABILITY].tolist()
                bar.update()
            log_probs[epochs] = {name: float(np.nanmean(by_listing)) for name, by_listing in values.items()}
    return log_probs


def validation_folds(features: CatalogueFeatures, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield listings to train on and listings to validate with, until `MIN_VALIDATION` listings are held out.

    Nothing if the listings with both a photo and a text form fewer than `MIN_GROUPS` groups of duplicates.
    """
    labels = features.duplicate_labels.numpy()
    both = (features.photo_views.counts > 0) & (features.text_views.counts > 0)
    if group_count(labels[both]) < MIN_GROUPS:
        return
    count = 0
    for training, held_out in split_folds(labels, both, seed):
        yield training, held_out
        count += len(held_out)
        if count >= MIN_VALIDATION:
            return


def held_out_size(features: CatalogueFeatures, folds: list[tuple[Indices, Indices]]) -> tuple[int, int]:
    """Return the number of listings that the folds hold out, and of their groups of duplicates."""
    held_out = np.concatenate([rest for _, rest in folds]) if folds else np.zeros(0, dtype=np.int64)
    return len(held_out), group_count(features.duplicate_labels[held_out])


def epoch_candidates(maximum: int) -> list[int]:
    """Return the numbers of epochs that are tried, ascending; the last one is the maximum."""
    return sorted({max(1, math.ceil(maximum * fraction)) for fraction in EPOCH_FRACTIONS})
