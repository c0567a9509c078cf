"""Early stopping and choice of fusion for every method of a comparison, without labels.

Each method is trained on four fifths of its training listings, for a few numbers of epochs up to a ceiling; the other
fifth is validation, in whole groups of duplicates. The number of epochs and the fusion under which the titles of the
validation listings give the highest log probability to their own photos are selected. Small catalogues are validated
in several folds, because a fifth of them decides nothing.

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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from wares.data.duplicates import MIN_GROUPS, group_count
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion, Marginals
from wares.training.held_out import LOG_PROBABILITY, score_held_out
from wares.training.pretraining import pretrain
from wares.training.settings import Method, PretrainSettings, method_fusion
from wares.training.weight_selection import split_folds, trial_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wares.encoders.features import CatalogueFeatures
    from wares.ranking.scoring import Indices

EPOCH_FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the ceiling
MIN_VALIDATION = 100  # listings; no further fold is added after this many
OWN = "own"


@dataclass(frozen=True)
class Validation:
    """What was selected for a method and a seed.

    epochs, fusion: the selected number of epochs and fusion (`fusions_of_method`)
    log_probs: epochs -> fusion -> mean log probability of the validation listings' photos, given their titles; empty
        if there was nothing to validate with: then the ceiling and the method's own fusion are selected
    listings, groups: number of validation listings, and of their groups of duplicates
    seconds: of all trials
    """

    method: Method
    seed: int
    epochs: int
    fusion: str
    log_probs: Mapping[int, Mapping[str, float]]
    listings: int
    groups: int
    seconds: float


def fusions_of_method(method: Method, fusion: Fusion) -> dict[str, Fusion]:
    """Return the fusions that every method is measured with, its own one first.

    own: of the method, with selected weights if it has any; primary: first photo and title only; uniform: the plain
    means of photos and of texts; agreement: the default of wares
    """
    return {
        OWN: method_fusion(method, fusion),
        "primary": method_fusion("single-view", fusion),
        "uniform": method_fusion("mean-views", fusion),
        "agreement": replace(fusion, marginals=Marginals()),
    }


FUSIONS = tuple(fusions_of_method("factorized", Fusion()))


def validate(
    training: CatalogueFeatures, views: CatalogueFeatures, towers: str, settings: PretrainSettings
) -> Validation:
    """Select the number of epochs, at most `settings.epochs`, and the fusion of a method.

    training: features of the training listings, with the views that the method trains on
    views: features of the same listings with all of their views, which are what is validated
    """
    start = time.monotonic()
    settings = replace(settings, fusion=method_fusion(settings.method, settings.fusion))
    log_probs: dict[int, dict[str, float]] = {}
    folds = list(validation_folds(views, settings.seed))
    held_out = np.concatenate([rest for _, rest in folds]) if folds else np.zeros(0, dtype=np.int64)
    for epochs in epoch_candidates(settings.epochs) if folds else ():
        values: dict[str, list[float]] = defaultdict(list)
        for part, rest in folds:
            model = build_towers(towers, settings.seed)
            pretrain(training.select(part), model, trial_settings(replace(settings, epochs=epochs)))
            for name, model.fusion in fusions_of_method(settings.method, settings.fusion).items():
                values[name] += score_held_out(views.select(rest), model)[LOG_PROBABILITY].tolist()
        log_probs[epochs] = {name: float(np.nanmean(by_listing)) for name, by_listing in values.items()}
    epochs, fusion = select_best(log_probs) if log_probs else (settings.epochs, OWN)
    groups = group_count(views.duplicate_labels[held_out])
    seconds = time.monotonic() - start
    return Validation(settings.method, settings.seed, epochs, fusion, log_probs, len(held_out), groups, seconds)


def validation_folds(features: CatalogueFeatures, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Return listings to train on and listings to validate with, until `MIN_VALIDATION` listings are held out.

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


def epoch_candidates(ceiling: int) -> list[int]:
    """Return the numbers of epochs that are tried, ascending; the last one is the ceiling."""
    return sorted({max(1, math.ceil(ceiling * fraction)) for fraction in EPOCH_FRACTIONS})


def select_best(log_probs: Mapping[int, Mapping[str, float]]) -> tuple[int, str]:
    """Return the epochs and the fusion of the highest value; of equal ones the fewest epochs and the first fusion."""
    cells = {(epochs, name): value for epochs, row in log_probs.items() for name, value in row.items()}
    return max(cells, key=cells.__getitem__)
