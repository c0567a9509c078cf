"""No harm by a label-free choice: how much auxiliary views weigh, chosen on listings held out of training.

    choice = choose_settings(features, "offline", PretrainSettings(seed=1))
    pretrain(features, towers, choice.settings)

What auxiliary views are worth differs from catalogue to catalogue: more photos of the goods help, photos of other
goods hurt. So the settings as given are tried beside some that lean less on auxiliary views, down to none, which is
single view. Each is trained on one part of the listings; in the other part, one view of a listing asks for another.
A listing's own views belong together: that is all the truth this needs.

Of the candidates that are not behind single view where a title asks for photos, the one with the best mean of all
protocols is chosen. "Not behind" is asked of the probability that the title gives to its own photos, which tells harm
from chance on far fewer listings than ranks do, and of ranks. Single view itself is always there to fall back on.

Source: our own, by cross-validation (Stone, 1974); docs/method.md has the reasoning, docs/log.md what else was tried.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from wares.core.files import write_json
from wares.core.progress import progress
from wares.encoders.registry import build_towers
from wares.training.held_out import LOG_PROBABILITY, TITLE_TO_PHOTOS, Floats, score_held_out
from wares.training.pretraining import pretrain
from wares.training.settings import method_fusion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from wares.encoders.features import CatalogueFeatures
    from wares.training.settings import PretrainSettings


WeightName = Literal["alpha", "beta", "intra_modal"]
Indices = npt.NDArray[np.int64]
MARGIN_IN_STANDARD_ERRORS = 1.0  # standard errors of average precision that are put down to chance
MIN_LISTINGS = 8  # listings that can be split
FOLD_COUNT = 5  # a fifth is held out: trials that learn from far fewer listings flatter auxiliary views
ENOUGH_HELD_OUT = 300  # listings held out, after which no further fold is tried
MAX_LISTINGS = 2000  # listings that are looked at


@dataclass(frozen=True)
class Candidate:
    """Settings that were tried, and how they did on listings held out of training.

    scores: protocol -> mean average precision
    difference, error: to primary views alone in title→photos, in average precision: mean over listings, standard error
    harmless: whether it may be chosen
    log_prob_difference, log_prob_error: as `paired_difference` and `error`, in the log probability that a title gives to its photos
    """

    alpha: float
    beta: float
    intra_modal: float
    scores: dict[str, float]
    difference: float
    error: float
    harmless: bool
    log_prob_difference: float = 0.0
    log_prob_error: float = 0.0

    @property
    def mean(self) -> float:
        """Mean average precision over all protocols."""
        return float(np.mean(list(self.scores.values())))


@dataclass(frozen=True)
class WeightSelection:
    """Settings to train with, and why.

    settings: those that were given, with the chosen values put in
    candidates: everything tried, primary views alone first; empty where there was nothing to choose
    listings: how many were held out, all folds together
    """

    settings: PretrainSettings
    candidates: tuple[Candidate, ...]
    listings: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """For the record of the run, and for reports."""
        return {
            "chosen": selectable_weights(self.settings),
            "listings": self.listings,
            "seconds": self.seconds,
            "candidates": [asdict(each) | {"mean": each.mean} for each in self.candidates],
        }

    def add_to_record(self, model: Path) -> None:
        """Add what was chosen, and why, to the record of the run beside a model, `pretrain.json`."""
        path = model / "pretrain.json"
        record = json.loads(path.read_text(encoding="utf-8")) | {"choice": self.to_json()}
        write_json(record, path)

    def render(self, console: Console) -> None:
        """Print the candidates side by side, the chosen one in bold; nothing where there was nothing to choose."""
        from rich.table import Table

        if not self.candidates:
            return
        table = Table(
            title=f"Weights chosen without labels, on {self.listings:,} listings held out",
            caption="Mean average precision. The last three rows: title → photos, against the first column.",
            show_header=False,
        )
        table.add_column()
        for each in self.candidates:
            weights = {"alpha": each.alpha, "beta": each.beta, "intra_modal": each.intra_modal}
            table.add_column(
                justify="right", style="bold" if weights == selectable_weights(self.settings) else "", no_wrap=True
            )
        table.add_row("α", *(f"{each.alpha:g}" for each in self.candidates))
        table.add_row("β", *(f"{each.beta:g}" for each in self.candidates))
        table.add_row("intra-modal", *(f"{each.intra_modal:g}" for each in self.candidates), end_section=True)
        for name in self.candidates[0].scores:
            table.add_row(name.replace("->", " → "), *(f"{each.scores[name]:.3f}" for each in self.candidates))
        table.add_row("mean", *(f"{each.mean:.3f}" for each in self.candidates), end_section=True)
        table.add_row("ahead", *(f"{each.difference:+.3f} ± {each.error:.3f}" for each in self.candidates))
        log_probability = (f"{each.log_prob_difference:+.2f} ± {each.log_prob_error:.2f}" for each in self.candidates)
        table.add_row("log probability", *log_probability)
        table.add_row("harm", *("" if each.harmless else "yes" for each in self.candidates))
        console.print(table)


def select_weights(
    features: CatalogueFeatures, towers: str, settings: PretrainSettings, fixed: Collection[WeightName] = ()
) -> WeightSelection:
    """The settings with alpha, beta and the intra-modal weight chosen for this catalogue.

    features: of the listings that will be trained on; nothing else is looked at
    towers: name of the towers; heads on their frozen features are trained, also where a backbone will be
    settings: of the method, and the boldest that will be tried; `seed` decides splits and trials
    fixed: knobs that keep the value they have in `settings`

    Nothing is tried, and the settings come back as they are, where nothing is free, the method has weights of its own
    (single-view), no listing has an auxiliary view, or fewer than `MIN_LISTINGS` listings have both a photo and a text.
    """
    began = time.monotonic()
    tried = candidate_settings(settings, fixed)
    both = (features.photo_views.counts > 0) & (features.text_views.counts > 0)
    several = (features.photo_views.counts > 1) | (features.text_views.counts > 1)
    free = [
        place
        for place, each in enumerate(tried)
        if all(selectable_weights(each)[k] == selectable_weights(settings)[k] for k in fixed)
    ]
    alike = len({each.fusion for each in tried}) == 1  # a method that knows no such weights
    if len(free) < 2 or alike or not several.any() or both.sum() < MIN_LISTINGS:
        return WeightSelection(settings, (), 0, time.monotonic() - began)
    splits = list(split_folds(both, settings.seed))
    model = build_towers(towers, settings.seed)
    start = {name: weights.clone() for name, weights in model.state_dict().items()}
    found: list[list[dict[str, Floats]]] = [[] for _ in tried]
    with progress(None, "choosing settings", total=len(splits) * len(tried), unit="trials") as bar:
        for (training, held_out), (place, candidate) in product(splits, enumerate(tried)):
            model.load_state_dict(start)
            pretrain(features.select(training), model, trial_settings(candidate))
            found[place].append(score_held_out(features.select(held_out), model))
            bar.update()
    table = assess_candidates(tried, [concatenate_folds(parts) for parts in found])
    best = max(free, key=lambda place: preference_key(table[place]))
    listings = sum(len(held_out) for _, held_out in splits)
    return WeightSelection(tried[best], tuple(table), listings, time.monotonic() - began)


def candidate_settings(settings: PretrainSettings, fixed: Collection[WeightName] = ()) -> list[PretrainSettings]:
    """What is tried: primary views alone, the settings as given, and some that lean less on auxiliary views.

    Fixed knobs keep their value, and what becomes equal is tried once. Primary views alone are always there, to be
    compared with.
    """
    given = selectable_weights(settings)
    leaning: list[dict[WeightName, float]] = [
        {},
        {"alpha": (1 + given["alpha"]) / 2, "beta": (1 + given["beta"]) / 2, "intra_modal": 0.0},
        {"alpha": 1.0, "intra_modal": 0.0},
        {"beta": 1.0, "intra_modal": 0.0},
    ]
    tried = [with_weights(settings, {"alpha": 1.0, "beta": 1.0, "intra_modal": 0.0})]
    tried += [with_weights(settings, {k: value for k, value in each.items() if k not in fixed}) for each in leaning]
    return list(dict.fromkeys(replace(each, fusion=method_fusion(each.method, each.fusion)) for each in tried))


def selectable_weights(settings: PretrainSettings) -> dict[WeightName, float]:
    """What can be chosen, as it is in some settings."""
    marginals = settings.fusion.marginals
    return {"alpha": marginals.alpha, "beta": marginals.beta, "intra_modal": settings.intra_modal}


def with_weights(settings: PretrainSettings, values: Mapping[WeightName, float]) -> PretrainSettings:
    """The settings with some knobs set."""
    all_values = {**selectable_weights(settings), **values}
    marginals = replace(settings.fusion.marginals, alpha=all_values["alpha"], beta=all_values["beta"])
    fusion = replace(settings.fusion, marginals=marginals)
    return replace(settings, fusion=fusion, intra_modal=all_values["intra_modal"])


def split_folds(both: npt.NDArray[np.bool_], seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Training and held-out listings, fold by fold until `ENOUGH_HELD_OUT` were held out; of a large catalogue, a sample.

    both: (N,) which listings have a photo and a text; every fold gets its share of them
    """
    order = np.random.default_rng(seed).permutation(len(both))
    order = order[np.argsort(~both[order], kind="stable")][:MAX_LISTINGS]
    for number in range(min(FOLD_COUNT, math.ceil(ENOUGH_HELD_OUT * FOLD_COUNT / len(order)))):
        held_out = np.arange(len(order)) % FOLD_COUNT == number
        yield np.sort(order[~held_out]), np.sort(order[held_out])


def trial_settings(candidate: PretrainSettings) -> PretrainSettings:
    """The settings for a part of the listings: as many steps as the whole would take, and no clock."""
    share = 1 - 1 / FOLD_COUNT
    return replace(candidate, batch_size=max(2, round(candidate.batch_size * share)), seconds=None)


def assess_candidates(candidates: Sequence[PretrainSettings], found: Sequence[Mapping[str, Floats]]) -> list[Candidate]:
    """Every candidate's means, and whether it is behind the first, primary views alone, in title→photos.

    found: of each, protocol -> (N,) value of each listing held out; NaN where it did not ask

    Not behind: at least level in log probability, and at most `MARGIN_IN_STANDARD_ERRORS` standard errors below in average precision.
    """
    table = []
    for settings, values in zip(candidates, found, strict=True):
        (difference, error), (certainty, certainty_error) = (
            mean_and_standard_error(_asked(values[each] - found[0][each]))
            for each in (TITLE_TO_PHOTOS, LOG_PROBABILITY)
        )
        means = {name: float(_asked(row).mean()) for name, row in values.items() if len(_asked(row))}
        del means[LOG_PROBABILITY]
        harmless = certainty >= 0.0 and difference >= -MARGIN_IN_STANDARD_ERRORS * error
        own = selectable_weights(settings)
        table.append(
            Candidate(
                own["alpha"],
                own["beta"],
                own["intra_modal"],
                means,
                difference,
                error,
                harmless,
                certainty,
                certainty_error,
            )
        )
    return table


def preference_key(candidate: Candidate) -> tuple[bool, float]:
    """Harmless ones first, by their mean over protocols; among the others the one that is least behind."""
    return candidate.harmless, candidate.mean if candidate.harmless else candidate.log_prob_difference


def mean_and_standard_error(values: Floats) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


def _asked(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def concatenate_folds(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """The listings of all folds, one after another."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
