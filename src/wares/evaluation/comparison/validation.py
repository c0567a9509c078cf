"""Early stopping and choice of fusion for every method of a comparison, without labels.

Each method trains as many epochs, and has the fusion, under which the titles of validation listings give the highest
log probability to their own photos (wares.training.early_stopping). Validation listings are training listings that
the trials leave out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wares.encoders.settings import Fusion, Marginals
from wares.training.early_stopping import held_out_size, validation_folds, validation_log_probs
from wares.training.settings import Method, PretrainSettings, method_fusion

if TYPE_CHECKING:
    from wares.encoders.features import CatalogueFeatures

OWN = "own"


@dataclass(frozen=True)
class Validation:
    """What was selected for a method and a seed.

    epochs, fusion: the selected number of epochs and fusion (`fusions_of_method`)
    log_probs: epochs -> fusion -> mean log probability of the validation listings' photos, given their titles; empty
        if there was nothing to validate with: then the maximum and the method's own fusion are selected
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

    training, views: as of `validation_log_probs`
    """
    start, folds = time.monotonic(), list(validation_folds(views, settings.seed))
    settings = replace(settings, fusion=method_fusion(settings.method, settings.fusion))
    fusions = fusions_of_method(settings.method, settings.fusion)
    log_probs = validation_log_probs(training, views, folds, towers, settings, fusions) if folds else {}
    epochs, fusion = select_best(log_probs) if log_probs else (settings.epochs, OWN)
    size, seconds = held_out_size(views, folds), time.monotonic() - start
    return Validation(settings.method, settings.seed, epochs, fusion, log_probs, *size, seconds)


def select_best(log_probs: Mapping[int, Mapping[str, float]]) -> tuple[int, str]:
    """Return the epochs and the fusion of the highest value; of equal ones the fewest epochs and the first fusion."""
    cells = {(epochs, name): value for epochs, row in log_probs.items() for name, value in row.items()}
    return max(cells, key=cells.__getitem__)
