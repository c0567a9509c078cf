"""No harm by a label-free choice: alpha, beta and the intra-modal weight, chosen on listings held out of training.

    choice = choose_settings(features, "offline", PretrainSettings(seed=1))
    pretrain(features, towers, choice.settings)

What auxiliary views are worth differs from catalogue to catalogue: more photos of the goods help, photos of other goods
hurt. So a few candidates are trained on a part of the listings, and on the rest one view of a listing is asked for
another. A listing's views belong together: that is all the truth this needs. Among the candidates that do not fall
behind single view where primary views are asked (title→photos), the one with the best mean of all protocols is
chosen. Single view is itself a candidate, so there always is one.

Source: our own; held-out selection as in cross-validation (Stone, 1974). docs/method.md has the reasoning.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from wares.encode import embed_features
from wares.fuse import barycentres
from wares.pretrain import pretrain, same_item
from wares.progress import progress
from wares.towers import build_towers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from rich.console import Console

    from wares.encode import CatalogueFeatures, Embeddings, Vectors
    from wares.pretrain import PretrainSettings
    from wares.towers import Towers

Knob = Literal["alpha", "beta", "gamma", "intra_modal", "marginals"]
Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

PRIMARY = "title->photos"  # the protocol that nothing may harm
FEWEST = 10  # listings that can be split
FOLDS = 2
MOST = 1000  # listings that are looked at


@dataclass(frozen=True)
class Candidate:
    """Settings that were tried, and how they did on listings held out of training.

    scores: protocol -> mean average precision
    difference, error: to single view in title→photos, mean over listings and its standard error
    harmless: whether it may be chosen
    """

    alpha: float
    beta: float
    intra_modal: float
    scores: dict[str, float]
    difference: float
    error: float
    harmless: bool

    @property
    def mean(self) -> float:
        """Over all protocols."""
        return float(np.mean(list(self.scores.values()))) if self.scores else 0.0


@dataclass(frozen=True)
class Choice:
    """Settings to train with, and why.

    settings: those that were given, with the chosen values put in
    candidates: everything tried, single view first; empty where nothing was left to choose
    listings: how many were held out, all folds together
    """

    settings: PretrainSettings
    candidates: tuple[Candidate, ...]
    listings: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """What the record of a run keeps."""
        marginals = self.settings.fusion.marginals
        return {
            "chosen": {
                "marginals": marginals.kind,
                "alpha": marginals.alpha,
                "beta": marginals.beta,
                "gamma": self.settings.fusion.gamma,
                "intra_modal": self.settings.intra_modal,
            },
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "listings": self.listings,
            "seconds": self.seconds,
        }

    def render(self, console: Console) -> None:
        """Print the candidates as a table, the chosen one in bold."""
        from rich.table import Table

        marginals = self.settings.fusion.marginals
        chosen = (marginals.alpha, marginals.beta, self.settings.intra_modal)
        table = Table(title=f"Chosen on {self.listings:,} listings held out (mean average precision)")
        names = list(dict.fromkeys(name for candidate in self.candidates for name in candidate.scores))
        for column in ("α", "β", "intra-modal", *names, "mean", "harm"):
            table.add_column(column, justify="right")
        for each in self.candidates:
            knobs = (each.alpha, each.beta, each.intra_modal)
            values = [*(each.scores[name] for name in names), each.mean]
            table.add_row(
                *(f"{knob:g}" for knob in knobs),
                *(f"{value:.3f}" for value in values),
                "" if each.harmless else f"{each.difference:+.3f} ± {each.error:.3f}",
                style="bold" if knobs == chosen else "",
            )
        console.print(table)


def choose_settings(
    features: CatalogueFeatures, towers: str, settings: PretrainSettings, fixed: Collection[Knob] = ()
) -> Choice:
    """The settings with alpha, beta and the intra-modal weight chosen for this catalogue.

    features: of the listings that will be trained on; nothing else is looked at
    towers: name of the towers; heads on frozen features are trained, also where the backbone will be
    settings: of the method; all other values are kept, also in the trials. `seed` decides splits and trainings
    fixed: knobs that keep the value they have in `settings`

    Nothing is chosen, and no time is spent, where the catalogue has no auxiliary view or too few listings.
    """
    began = time.monotonic()
    tried = candidates(settings, fixed)
    if len(tried) < 2 or not has_auxiliary_views(features) or len(features.duplicates) < FEWEST:
        return Choice(settings, (), 0, time.monotonic() - began)
    model = build_towers(towers, settings.seed)
    start = {name: weights.clone() for name, weights in model.state_dict().items()}
    found: list[dict[str, Values]] = [{} for _ in tried]
    splits = list(folds(len(features.duplicates), settings.seed))
    with progress(None, "choosing settings", total=len(splits) * len(tried), unit="trainings") as bar:
        for training, held_out in splits:
            part, rest = features.select(training), features.select(held_out)
            for place, candidate in enumerate(tried):
                model.load_state_dict(start)
                pretrain(part, model, replace(candidate, seconds=None))
                _append(found[place], held_out_scores(embed_features(rest, model), rest, model))
                bar.update()
    table = judged(tried, [{name: each for name, each in row.items() if not np.isnan(each).all()} for row in found])
    best = max((place for place, each in enumerate(table) if each.harmless), key=lambda place: table[place].mean)
    return Choice(tried[best], tuple(table), sum(len(part) for _, part in splits), time.monotonic() - began)


def candidates(settings: PretrainSettings, fixed: Collection[Knob]) -> list[PretrainSettings]:
    """What is tried, single view first: the knobs that are not fixed take each of a few values."""
    marginals = settings.fusion.marginals
    tried: list[PretrainSettings] = []
    for alpha, beta, intra_modal in GRID:
        weights = replace(
            marginals,
            alpha=marginals.alpha if "alpha" in fixed else alpha,
            beta=marginals.beta if "beta" in fixed else beta,
        )
        within = settings.intra_modal if "intra_modal" in fixed else intra_modal
        tried.append(replace(settings, fusion=replace(settings.fusion, marginals=weights), intra_modal=within))
    return list(dict.fromkeys(tried))


GRID = (
    (1.0, 1.0, 0.0),  # single view
    (0.5, 0.5, 0.25),
    (0.75, 0.5, 0.25),
    (1.0, 0.5, 0.25),
    (0.75, 0.75, 0.25),
    (1.0, 0.75, 0.25),
)


def has_auxiliary_views(features: CatalogueFeatures) -> bool:
    """Whether any listing has a second photo or a second text."""
    return bool((features.photo_views.counts > 1).any() or (features.text_views.counts > 1).any())


def folds(listings: int, seed: int) -> Iterator[tuple[Places, Places]]:
    """Training and held-out listings, each listing held out once; of a large catalogue, a sample."""
    order = np.random.default_rng(seed).permutation(listings)[:MOST]
    for part in np.array_split(order, FOLDS):
        yield np.sort(np.setdiff1d(order, part)), np.sort(part)


def judged(tried: Sequence[PretrainSettings], found: Sequence[Mapping[str, Values]]) -> list[Candidate]:
    """Mean scores of every candidate, and whether it falls behind the first in title→photos.

    found: for each candidate, protocol -> (N,) value of each listing held out; NaN where it did not ask
    """
    table = []
    for settings, values in zip(tried, found, strict=True):
        difference = values[PRIMARY] - found[0][PRIMARY] if PRIMARY in values else np.zeros(1)
        difference = difference[~np.isnan(difference)]
        mean, error = float(difference.mean()), float(difference.std() / np.sqrt(len(difference)))
        marginals = settings.fusion.marginals
        table.append(
            Candidate(
                marginals.alpha,
                marginals.beta,
                settings.intra_modal,
                {name: float(np.nanmean(each)) for name, each in values.items()},
                mean,
                error,
                mean >= 0.0,
            )
        )
    return table


def held_out_scores(embeddings: Embeddings, features: CatalogueFeatures, towers: Towers) -> dict[str, Values]:
    """Protocol -> (N,) average precision of each listing when its views ask for another of its views.

    title->photos and, for every other text field, text->photos; auxiliary photos ask for the title and for the first
    photo. The text that asks is left out of the agreement that weighs the photos. Listings that share a product or a
    title are relevant to each other. NaN where a listing has no view that asks.
    """
    photos, texts = embeddings.photo_views, embeddings.text_views
    same = same_item(features.duplicates).numpy()
    with_photos, with_texts = np.flatnonzero(photos.counts > 0), np.flatnonzero(texts.counts > 0)
    first, title = photos.offsets[with_photos], texts.offsets[with_texts]
    found: dict[str, Values] = {}
    names = np.array(texts.names, dtype=np.object_)
    for name in dict.fromkeys(texts.names):
        others = replace(embeddings, text_views=texts.keep(names != name), texts=embeddings.texts[names != name])
        means = barycentres(others, towers.fusion.marginals, "photo")[0][with_photos]
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        asking = np.flatnonzero((names == name) & (photos.counts > 0)[texts.owners])
        found[f"{name}->photos"] = _precision(embeddings.texts, asking, texts.owners, means, same[:, with_photos])
    extra = np.setdiff1d(np.arange(len(embeddings.photos)), first)
    for name, vectors, owned in (
        ("photo->title", embeddings.texts[title], same[:, with_texts]),
        ("photo->primary-photo", embeddings.photos[first], same[:, with_photos]),
    ):
        found[name] = _precision(embeddings.photos, extra, photos.owners, vectors, owned)
    return found


def _precision(
    views: Vectors, asking: Places, owners: Places, ranked: Vectors, relevant: npt.NDArray[np.bool_]
) -> Values:
    """(N,) mean average precision of the asking views of each listing; NaN where none asks.

    relevant: (N, M) which of the M ranked vectors answer listing n
    """
    truth = relevant[owners[asking]]
    asking, truth = asking[truth.any(1)], truth[truth.any(1)]
    order = np.argsort(-(views[asking] @ ranked.T), axis=1, kind="stable")
    hits = np.take_along_axis(truth, order, axis=1)
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    values = (precision * hits).sum(1) / hits.sum(1)
    counts = np.bincount(owners[asking], minlength=len(relevant))
    sums = np.bincount(owners[asking], values, minlength=len(relevant))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _append(found: dict[str, Values], more: Mapping[str, Values]) -> None:
    """Put the listings of another fold behind those that are there, NaN for a protocol that one of them lacks."""
    before, now = (len(next(iter(each.values()), ())) for each in (found, more))
    for name in dict.fromkeys([*found, *more]):
        found[name] = np.concatenate([found.get(name, np.full(before, np.nan)), more.get(name, np.full(now, np.nan))])
