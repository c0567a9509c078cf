"""Selecting the weights of auxiliary views without labels, on held-out listings.

    selection = select_weights(features, "offline", PretrainSettings(seed=1))
    pretrain(features, towers, selection.settings)

The value of auxiliary views differs between catalogues: more photos of the same goods help, photos of other goods hurt.
So the given settings are compared with settings that give auxiliary views less weight, down to none, which is single
view. Each candidate is trained on one part of the listings; in the other part, one view of a listing retrieves another.
The only truth that this needs is which views belong to the same listing.

Among the candidates that are not worse than single view in title→photos, the one with the best mean over all protocols
is selected. "Not worse" compares the probability that a title gives to its own photos, which separates harm from chance
on far fewer listings than ranks do, and it compares ranks. Single view itself is always among the candidates.

Source: our own, by cross-validation (Stone, 1974); docs/explanation/method.md has the
reasoning, docs/log.md what else was tried.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from wares.core.progress import progress
from wares.data.duplicates import MIN_GROUPS, duplicate_groups, group_count, split_by_group
from wares.encoders.registry import build_towers
from wares.training.held_out import LOG_PROBABILITY, TITLE_TO_PHOTOS, Floats, score_held_out
from wares.training.pretraining import pretrain
from wares.training.settings import method_fusion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from rich.console import Console

    from wares.encoders.features import CatalogueFeatures
    from wares.training.settings import PretrainSettings


WeightName = Literal["alpha", "beta", "intra_modal"]
Indices = npt.NDArray[np.int64]
MARGIN_IN_STANDARD_ERRORS = 1.0  # in average precision, attributed to chance
FOLD_COUNT = 5  # a fifth is held out: trials on far fewer training listings favour auxiliary views
ENOUGH_HELD_OUT = 300  # listings; no further fold is tried after this many
MAX_LISTINGS = 2000  # of a larger catalogue, a sample


@dataclass(frozen=True)
class Candidate:
    """Settings that were tried, and their scores on held-out listings.

    scores: protocol → mean average precision
    difference, error: difference to primary views alone in average precision of title→photos: mean over listings, and
        its standard error
    harmless: True if the settings may be chosen
    log_prob_difference, log_prob_error: the same for the log probability that a title gives to its photos
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
    """The selected settings and the scores of all candidates.

    settings: the given settings with the selected weights
    candidates: all candidates, primary views alone first; empty if there was nothing to select
    listings, groups: number of held-out listings, and of their groups of duplicates, over all folds
    seconds: time of the selection
    """

    settings: PretrainSettings
    candidates: tuple[Candidate, ...]
    listings: int
    groups: int
    seconds: float
    key: ClassVar[str] = "choice"

    def to_json(self) -> dict[str, Any]:
        """The selection as JSON, for the training record and for reports."""
        return {
            "chosen": selectable_weights(self.settings),
            "listings": self.listings,
            "groups": self.groups,
            "seconds": self.seconds,
            "candidates": [asdict(candidate) | {"mean": candidate.mean} for candidate in self.candidates],
        }

    def __str__(self) -> str:
        """One sentence for people; empty if there was nothing to select."""
        if not self.candidates:
            return ""
        chosen = ", ".join(f"{name} {value:g}" for name, value in selectable_weights(self.settings).items())
        return (
            f"{chosen} selected without labels, of {len(self.candidates)} candidates, on {self.listings:,} held-out "
            f"listings ({self.groups:,} groups)"
        )

    def render(self, console: Console) -> None:
        """Print the candidates side by side, the selected one in bold. Print nothing if there are no candidates."""
        from rich.table import Table

        candidates = self.candidates
        if not candidates:
            return
        table = Table(
            title=f"Weights selected without labels, on {self.listings:,} held-out listings ({self.groups:,} groups)",
            caption="Mean average precision. Last three rows: title → photos, compared with the first column.",
            show_header=False,
        )
        table.add_column()
        for c in candidates:
            weights = {"alpha": c.alpha, "beta": c.beta, "intra_modal": c.intra_modal}
            table.add_column(
                justify="right", style="bold" if weights == selectable_weights(self.settings) else "", no_wrap=True
            )
        table.add_row("α", *(f"{c.alpha:g}" for c in candidates))
        table.add_row("β", *(f"{c.beta:g}" for c in candidates))
        table.add_row("intra-modal", *(f"{c.intra_modal:g}" for c in candidates), end_section=True)
        for name in candidates[0].scores:
            table.add_row(name.replace("->", " → "), *(f"{c.scores[name]:.3f}" for c in candidates))
        table.add_row("mean", *(f"{c.mean:.3f}" for c in candidates), end_section=True)
        table.add_row("ahead", *(f"{c.difference:+.3f} ± {c.error:.3f}" for c in candidates))
        log_probability = (f"{c.log_prob_difference:+.2f} ± {c.log_prob_error:.2f}" for c in candidates)
        table.add_row("log probability", *log_probability)
        table.add_row("harm", *("" if c.harmless else "yes" for c in candidates))
        console.print(table)


def select_weights(
    features: CatalogueFeatures, towers: str, settings: PretrainSettings, fixed: Collection[WeightName] = ()
) -> WeightSelection:
    """Select alpha, beta and the intra-modal weight for a catalogue, without labels.

    features: features of the training listings
    towers: name of the towers; the trials train heads on frozen features, even if a backbone is trained later
    settings: settings of the run; no candidate gives auxiliary views more weight; `seed` decides folds and trials
    fixed: weights that keep their value in `settings`

    Returns the given settings without candidates if all weights are fixed, the method has weights of its own
    (single-view), no listing has an auxiliary view, or the listings with both a photo and a text are fewer than
    `MIN_GROUPS` groups of duplicates.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, PretrainSettings, build_towers
        >>> from wares.encoders import catalogue_features
        >>> from wares.training import select_weights
        >>> features = catalogue_features(Catalogue(Path("."), (Listing("1", "Red boots"),)), build_towers("small"))
        >>> select_weights(features, "small", PretrainSettings()).candidates
        ()
    """
    start = time.monotonic()
    candidates = candidate_settings(settings, fixed)
    both = (features.photo_views.counts > 0) & (features.text_views.counts > 0)
    labels = features.duplicate_labels.numpy()
    several = (features.photo_views.counts > 1) | (features.text_views.counts > 1)
    eligible = [
        index
        for index, candidate in enumerate(candidates)
        if all(selectable_weights(candidate)[name] == selectable_weights(settings)[name] for name in fixed)
    ]
    same_fusion = len({candidate.fusion for candidate in candidates}) == 1  # the method has weights of its own
    if len(eligible) < 2 or same_fusion or not several.any() or group_count(labels[both]) < MIN_GROUPS:
        return WeightSelection(settings, (), 0, 0, time.monotonic() - start)
    splits = list(split_folds(labels, both, settings.seed))
    model = build_towers(towers, settings.seed)
    initial_weights = {name: weights.clone() for name, weights in model.state_dict().items()}
    scores: list[list[dict[str, Floats]]] = [[] for _ in candidates]
    with progress(None, "selecting weights", total=len(splits) * len(candidates), unit="trials") as bar:
        for (training, held_out), (index, candidate) in product(splits, enumerate(candidates)):
            model.load_state_dict(initial_weights)
            pretrain(features.select(training), model, trial_settings(candidate))
            scores[index].append(score_held_out(features.select(held_out), model))
            bar.update()
    assessed = assess_candidates(candidates, [concatenate_folds(parts) for parts in scores])
    best = max(eligible, key=lambda index: preference_key(assessed[index]))
    held_out = np.concatenate([rest for _, rest in splits])
    groups = group_count(labels[held_out])
    return WeightSelection(candidates[best], tuple(assessed), len(held_out), groups, time.monotonic() - start)


def candidate_settings(settings: PretrainSettings, fixed: Collection[WeightName] = ()) -> list[PretrainSettings]:
    """Candidates: primary views alone, the given settings, and settings with less weight on auxiliary views.

    Fixed weights keep their value, and equal candidates occur once. Primary views alone ignore `fixed`: all others are
    compared with them.
    """
    given = selectable_weights(settings)
    changes: list[dict[WeightName, float]] = [
        {},
        {"alpha": (1 + given["alpha"]) / 2, "beta": (1 + given["beta"]) / 2, "intra_modal": 0.0},
        {"alpha": 1.0, "intra_modal": 0.0},
        {"beta": 1.0, "intra_modal": 0.0},
    ]
    candidates = [with_weights(settings, {"alpha": 1.0, "beta": 1.0, "intra_modal": 0.0})]
    for change in changes:
        candidates.append(with_weights(settings, {name: value for name, value in change.items() if name not in fixed}))
    return list(dict.fromkeys(replace(c, fusion=method_fusion(c.method, c.fusion)) for c in candidates))


def selectable_weights(settings: PretrainSettings) -> dict[WeightName, float]:
    """Values of the weights that can be selected."""
    marginals = settings.fusion.marginals
    return {"alpha": marginals.alpha, "beta": marginals.beta, "intra_modal": settings.intra_modal}


def with_weights(settings: PretrainSettings, values: Mapping[WeightName, float]) -> PretrainSettings:
    """The settings with the given weights."""
    all_values = {**selectable_weights(settings), **values}
    marginals = replace(settings.fusion.marginals, alpha=all_values["alpha"], beta=all_values["beta"])
    fusion = replace(settings.fusion, marginals=marginals)
    return replace(settings, fusion=fusion, intra_modal=all_values["intra_modal"])


def split_folds(
    labels: npt.NDArray[np.int64], both: npt.NDArray[np.bool_], seed: int
) -> Iterator[tuple[Indices, Indices]]:
    """Training and held-out listings of each fold, until `ENOUGH_HELD_OUT` listings are held out.

    labels: (N, 2) of `duplicate_labels`; no group is on both sides of a fold, or held out by two folds
    both: (N,) True for each listing with a photo and a text; the folds share their groups equally. A catalogue of more
        than `MAX_LISTINGS` is sampled
    """
    order = np.random.default_rng(seed).permutation(len(both))
    sample = np.sort(order[np.argsort(~both[order], kind="stable")][:MAX_LISTINGS])
    groups = duplicate_groups(labels[sample])
    with_both = np.isin(groups, groups[both[sample]])
    parts = [sample[with_both], sample[~with_both]]  # each fold holds out a share of either part
    for number in range(min(FOLD_COUNT, math.ceil(ENOUGH_HELD_OUT * FOLD_COUNT / len(sample)))):
        held_out = []
        for index, part in enumerate(parts):
            rest, chosen = split_by_group(labels[part], 1 / (FOLD_COUNT - number), seed + number)
            if number == FOLD_COUNT - 1:
                rest, chosen = chosen[:0], np.arange(len(part))
            held_out.append(part[chosen])
            parts[index] = part[rest]
        fold = np.sort(np.concatenate(held_out))
        yield np.setdiff1d(sample, fold), fold


def trial_settings(candidate: PretrainSettings) -> PretrainSettings:
    """Settings for the listings of a fold: as many steps as the whole catalogue takes, without a time limit."""
    fraction = 1 - 1 / FOLD_COUNT
    return replace(candidate, batch_size=max(2, round(candidate.batch_size * fraction)), seconds=None)


def assess_candidates(
    candidates: Sequence[PretrainSettings], scores: Sequence[Mapping[str, Floats]]
) -> list[Candidate]:
    """Compare every candidate with the first one, primary views alone, in title→photos.

    scores: for each candidate, protocol → (N,) value of each held-out listing; NaN if it was not measured

    A candidate is harmless if its mean log probability is not lower, and its average precision is at most
    `MARGIN_IN_STANDARD_ERRORS` standard errors lower.
    """
    assessed = []
    for settings, values in zip(candidates, scores, strict=True):
        (difference, error), (log_prob_difference, log_prob_error) = (
            mean_and_standard_error(_measured(values[protocol] - scores[0][protocol]))
            for protocol in (TITLE_TO_PHOTOS, LOG_PROBABILITY)
        )
        means = {name: float(_measured(row).mean()) for name, row in values.items() if len(_measured(row))}
        del means[LOG_PROBABILITY]
        assessed.append(
            Candidate(
                **selectable_weights(settings),
                scores=means,
                difference=difference,
                error=error,
                harmless=log_prob_difference >= 0.0 and difference >= -MARGIN_IN_STANDARD_ERRORS * error,
                log_prob_difference=log_prob_difference,
                log_prob_error=log_prob_error,
            )
        )
    return assessed


def preference_key(candidate: Candidate) -> tuple[bool, float]:
    """Sort key, higher is better: harmless candidates by mean over protocols, then others by log probability."""
    return candidate.harmless, candidate.mean if candidate.harmless else candidate.log_prob_difference


def mean_and_standard_error(values: Floats) -> tuple[float, float]:
    """Mean, and its standard error."""
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


def _measured(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def concatenate_folds(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Values of the listings of all folds, one after another."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
