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
    joint-text       single-view, on a catalogue made by `views.joint_text`

Source: arXiv 2512.18117; the losses and marginals are our reading of it, docs/method.md.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from wares import losses, transport
from wares.errors import ModelError, SettingsError
from wares.model_card import model_card
from wares.progress import progress
from wares.towers import Fusion
from wares.transport import ViewBatch
from wares.views import Chosen, Marginals, all_views, any_one, primary_and_one, primary_only

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from _typeshed import DataclassInstance
    from torch import Tensor

    from wares.encode import CatalogueFeatures
    from wares.towers import Features, Tower, Towers
    from wares.views import Views

Method = Literal[
    "factorized",
    "single-view",
    "random-view",
    "all-pairs",
    "full-transport",
    "low-rank-transport",
    "mean-views",
    "joint-text",
]
Loss = Literal["pairwise", "barycentric"]
METHODS: tuple[Method, ...] = get_args(Method)
SEVERAL: tuple[Method, ...] = ("factorized", "all-pairs")  # methods whose losses are of several views a listing
RANK = 2  # of low-rank-transport
CHECKPOINT_EVERY = 5.0  # seconds of training between checkpoints, which are made at the end of an epoch


@dataclass(frozen=True)
class PretrainSettings:
    """Everything that decides a pretraining run, apart from the catalogue and the towers.

    method: see the top of this file
    loss: "pairwise" or "barycentric" (wares.losses); the transports and mean-views score listings in their own way
    fusion: how views are weighed, in training (marginals) and in the fused embedding (marginals and gamma)
    intra_modal: weight of the losses between views of one modality, >= 0
    batch_size: listings in a step at most, >= 2
    epochs: passes over the catalogue
    seconds: train for this long instead of `epochs`; None counts epochs
    learning_rate: of AdamW at the start; it falls to zero along a cosine
    seed: of the order of listings and the draw of views
    """

    method: Method = "factorized"
    loss: Loss = "pairwise"
    fusion: Fusion = field(default_factory=Fusion)
    intra_modal: float = 0.25
    batch_size: int = 128
    epochs: int = 30
    seconds: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("method", METHODS), ("loss", get_args(Loss))):
            if getattr(self, name) not in known:
                raise SettingsError(f"no {name} {getattr(self, name)!r}; there are {', '.join(known)}.")
        kind = self.fusion.marginals.kind
        if kind == "learned" and self.method not in SEVERAL:
            raise SettingsError(f"marginals are learned by {' or '.join(SEVERAL)}, not by {self.method}.")
        if kind == "uniform" and self.method != "mean-views":
            raise SettingsError(f"uniform marginals are those of mean-views, not of {self.method}.")
        for name, least in (("batch_size", 2), ("epochs", 1), ("intra_modal", 0), ("weight_decay", 0)):
            if not getattr(self, name) >= least:
                raise SettingsError(f"{name} must be at least {least}, not {getattr(self, name)}.")
        for name in ("learning_rate", "seconds"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be above 0, not {getattr(self, name)}.")


def method_fusion(method: Method, fusion: Fusion) -> Fusion:
    """How a method's views are fused: as it sees them, where it knows no marginals, else as asked."""
    match method:
        case "single-view" | "joint-text":
            return replace(fusion, marginals=Marginals("fixed", alpha=1.0, beta=1.0))
        case "mean-views":
            return replace(fusion, marginals=Marginals("uniform"))
        case _:
            return fusion


@dataclass
class PretrainRecord:
    """What a run did; written beside the model as `pretrain.json`.

    seconds: of training, over all the times it was resumed
    losses: mean of each epoch
    """

    settings: dict[str, Any]
    listings: int
    photos: int
    texts: int
    truncated_texts: int
    skipped_photos: int
    versions: dict[str, str]
    steps: int = 0
    seconds: float = 0.0
    resumed: int = 0
    losses: list[float] = field(default_factory=list)


def pretrain(
    features: CatalogueFeatures,
    towers: Towers,
    settings: PretrainSettings,
    out: Path | None = None,
    resume: bool = False,
) -> PretrainRecord:
    """Train the towers in place; with `out`, save them there with a record of what was done.

    out: folder of the model; checkpoints are kept in it while training runs
    resume: continue from the checkpoint in `out`, to the weights of an uninterrupted run of as many epochs

    Raises SettingsError where the catalogue has nothing to align, ModelError where the checkpoint is another run's.
    """
    photos = Modality.of(features.photo_views, features.photos)
    texts = Modality.of(features.text_views, features.texts)
    check_learnable(photos, texts, settings)
    towers.photo_tilt.requires_grad_(settings.fusion.marginals.kind == "learned")
    optimiser = torch.optim.AdamW(
        towers.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    record = new_record(features, settings)
    if out is not None and resume:
        restore(out, towers, optimiser, record)
    saved = time.monotonic()
    with progress(None, f"pretraining ({settings.method})", total=settings.epochs, unit="epochs") as bar:
        bar.update(len(record.losses))
        while share_done(record, settings) < 1.0:
            record.losses.append(epoch(photos, texts, features.duplicates, towers, optimiser, settings, record))
            bar.set_postfix(loss=f"{record.losses[-1]:.3f}", refresh=False)
            bar.update()
            if out is not None and time.monotonic() - saved > CHECKPOINT_EVERY:
                checkpoint(out, towers, optimiser, record)
                saved = time.monotonic()
    towers.fusion = settings.fusion
    if out is not None:
        finish(out, towers, record)
    return record


def epoch(
    photos: Modality,
    texts: Modality,
    duplicates: Tensor,
    towers: Towers,
    optimiser: torch.optim.Optimizer,
    settings: PretrainSettings,
    record: PretrainRecord,
) -> float:
    """One pass over the listings; returns its mean loss. Its randomness follows from the seed and its number."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + len(record.losses))
    marginals = settings.fusion.marginals
    steps = math.ceil(len(duplicates) / settings.batch_size)
    sums, passed = 0.0, len(record.losses)
    for number, listings in enumerate(torch.randperm(len(duplicates), generator=generator).tensor_split(steps)):
        began = time.monotonic()
        share = share_done(record, settings, passed + number / steps)
        if share >= 1.0:
            return sums / max(1, number)
        optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 + math.cos(math.pi * share)) / 2
        draws = torch.rand(2, len(listings), generator=generator, dtype=torch.float64)
        chosen_photos = choose(settings.method, photos.counts[listings], marginals.alpha, draws[0])
        chosen_texts = choose(settings.method, texts.counts[listings], marginals.beta, draws[1])
        loss = batch_loss(
            photos.encode(towers.image, listings, chosen_photos, towers.dimension),
            texts.encode(towers.text, listings, chosen_texts, towers.dimension),
            same_item(duplicates[listings]),
            towers.scale,
            settings,
            towers.photo_tilt,
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        record.steps += 1
        record.seconds += time.monotonic() - began
        sums += float(loss.detach())
    return sums / steps


def share_done(record: PretrainRecord, settings: PretrainSettings, epochs: float | None = None) -> float:
    """How much of the run is over, from 0 to 1: by the clock, or by epochs."""
    if settings.seconds is not None:
        return min(1.0, record.seconds / settings.seconds)
    return (len(record.losses) if epochs is None else epochs) / settings.epochs


def choose(method: Method, counts: Tensor, primary: float, draws: Tensor) -> Chosen:
    """Which views of one modality a step encodes, and their weights.

    counts: (B,) views per listing; draws: (B,) uniform in [0, 1), for the methods that draw
    """
    match method:
        case "factorized":
            return primary_and_one(counts, primary, draws)
        case "single-view" | "joint-text":
            return primary_only(counts)
        case "random-view":
            return any_one(counts, draws)
        case "mean-views":
            return all_views(counts, None)
        case "all-pairs" | "full-transport" | "low-rank-transport":
            return all_views(counts, primary)


@dataclass(frozen=True)
class Modality:
    """One modality's part of the training data: features of all views and where each listing's begin."""

    features: Tensor
    offsets: Tensor
    counts: Tensor

    @classmethod
    def of(cls, views: Views, features: Features) -> Modality:
        return cls(torch.from_numpy(features), torch.from_numpy(views.offsets), torch.from_numpy(views.counts))

    def encode(self, tower: Tower, listings: Tensor, chosen: Chosen, dimension: int) -> ViewBatch:
        """Run the tower once over every chosen view of a batch of listings."""
        present = chosen.weights > 0
        places = (self.offsets[listings][:, None] + chosen.places)[present]
        vectors = torch.zeros(*present.shape, dimension)
        if len(places):
            vectors[present] = tower(self.features[places])
        return ViewBatch(vectors, chosen.weights)


def batch_loss(
    photos: ViewBatch,
    texts: ViewBatch,
    same: Tensor,
    scale: Tensor,
    settings: PretrainSettings,
    tilt: Tensor | None = None,
) -> Tensor:
    """What a step minimises. tilt: (d,) direction of learned marginals."""
    match settings.method:
        case "full-transport":
            return losses.from_scores(transport.full_scores(photos, texts), photos, texts, scale, same)
        case "low-rank-transport":
            return losses.from_scores(transport.low_rank_scores(photos, texts, RANK), photos, texts, scale, same)
        case "mean-views":
            return losses.barycentric(photos, texts, scale, same)
    marginals, weighing = settings.fusion.marginals, torch.zeros(())
    if marginals.kind == "agreement":
        photos = transport.agreement(photos, texts, marginals.epsilon)
    elif marginals.kind == "learned" and tilt is not None:
        photos = transport.learned(photos, tilt)
        weighing = losses.marginal(photos, texts, scale, same)
        photos = photos.settled()
    between = losses.pairwise if settings.loss == "pairwise" else losses.barycentric
    loss = between(photos, texts, scale, same) + weighing
    if settings.intra_modal:
        within = losses.intra_modal(photos, scale, same) + losses.intra_modal(texts, scale, same)
        loss = loss + settings.intra_modal * within
    return loss


def same_item(duplicates: Tensor) -> Tensor:
    """(B, B) listings that are one product or share a title, and so are no negatives of each other.

    duplicates: (B, 2) labels of product and title
    """
    return (duplicates[:, None] == duplicates[None]).any(2)


def check_learnable(photos: Modality, texts: Modality, settings: PretrainSettings) -> None:
    """Raise SettingsError where no loss could tell two listings apart."""
    both = int(((photos.counts > 0) & (texts.counts > 0)).sum())
    several = int(((photos.counts > 1) | (texts.counts > 1)).sum())
    if len(photos.counts) < 2:
        raise SettingsError("a catalogue of one listing has nothing to be told apart from. Index it untrained.")
    if both < 2 and (several < 2 or not settings.intra_modal or settings.method not in SEVERAL):
        raise SettingsError(
            f"{both} listings have both a photo and a text, so there is nothing to align. Add photos, "
            "or index with untrained towers (`wares index --towers offline`)."
        )


def new_record(features: CatalogueFeatures, settings: DataclassInstance) -> PretrainRecord:
    """A record of a run that has not begun. settings: of the recipe, a data class"""
    packages = ("wares", "torch", "numpy")
    return PretrainRecord(
        settings=asdict(settings),
        listings=len(features.duplicates),
        photos=len(features.photos),
        texts=len(features.texts),
        truncated_texts=features.truncated,
        skipped_photos=len(features.problems),
        versions={"python": platform.python_version()} | {name: version(name) for name in packages},
    )


def checkpoint(out: Path, towers: Towers, optimiser: torch.optim.Optimizer, record: PretrainRecord) -> None:
    """Write `checkpoint.pt` so that a kill at any moment leaves a whole one."""
    out.mkdir(parents=True, exist_ok=True)
    state = {
        "towers": towers.state_dict(),
        "keys": [towers.image.key, towers.text.key],
        "optimiser": optimiser.state_dict(),
        "record": asdict(record),
    }
    torch.save(state, out / "checkpoint.new")
    os.replace(out / "checkpoint.new", out / "checkpoint.pt")


def restore(out: Path, towers: Towers, optimiser: torch.optim.Optimizer, record: PretrainRecord) -> None:
    """Continue the run whose checkpoint lies in `out`: fill the towers, the optimiser and the record."""
    path = out / "checkpoint.pt"
    if not path.exists():
        raise ModelError(f"{out} has no checkpoint to resume from. Leave out --resume to start a run.")
    try:
        state = torch.load(path, weights_only=True)
        then = {"towers": state["keys"]} | state["record"]
    except (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, TypeError):
        raise ModelError(f"{path} is damaged. Leave out --resume to start anew.") from None
    now = {"towers": [towers.image.key, towers.text.key]} | asdict(record)
    for name in ("towers", "settings", "listings", "photos", "texts"):
        if then[name] != now[name]:
            raise ModelError(
                f"{path} is of a run with other {name} ({then[name]}; this run: {now[name]}). Choose another --out."
            )
    towers.load_state_dict(state["towers"])
    optimiser.load_state_dict(state["optimiser"])
    for name in ("steps", "seconds", "losses"):
        setattr(record, name, state["record"][name])
    record.resumed = state["record"]["resumed"] + 1


def finish(out: Path, towers: Towers, record: PretrainRecord, name: str = "pretrain.json") -> None:
    """Save the towers, the record under a name, and the model's card; the checkpoint has served."""
    towers.save(out)
    write_card(out, towers, record)
    (out / name).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    (out / "checkpoint.pt").unlink(missing_ok=True)


def write_card(
    out: Path, towers: Towers, record: PretrainRecord, quality: Mapping[str, Mapping[str, float]] | None = None
) -> None:
    """Write the model's card; quality: system → measure → mean, where it was measured."""
    card = model_card(towers, asdict(record), record.versions["wares"], quality)
    (out / "README.md").write_text(card, encoding="utf-8")
