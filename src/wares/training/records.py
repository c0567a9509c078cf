"""Records, checkpoints and model cards of pretraining."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from wares.core.errors import ModelError
from wares.core.files import atomic_write, write_json
from wares.encoders.model_card import model_card

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from _typeshed import DataclassInstance

    from wares.encoders.features import CatalogueFeatures
    from wares.encoders.towers import Towers


@dataclass
class TrainingRecord:
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


def new_record(features: CatalogueFeatures, settings: DataclassInstance) -> TrainingRecord:
    """A record of a run that has not begun. settings: of the recipe, a data class"""
    packages = ("wares", "torch", "numpy")
    return TrainingRecord(
        settings=asdict(settings),
        listings=len(features.duplicate_labels),
        photos=len(features.photos),
        texts=len(features.texts),
        truncated_texts=features.truncated_texts,
        skipped_photos=len(features.problems),
        versions={"python": platform.python_version()} | {name: version(name) for name in packages},
    )


def save_checkpoint(out: Path, towers: Towers, optimiser: torch.optim.Optimizer, record: TrainingRecord) -> None:
    """Write `save_checkpoint.pt` so that a kill at any moment leaves a whole one."""
    out.mkdir(parents=True, exist_ok=True)
    state = {
        "towers": towers.state_dict(),
        "keys": [towers.image.key, towers.text.key],
        "optimiser": optimiser.state_dict(),
        "record": asdict(record),
    }
    with atomic_write(out / "checkpoint.pt") as part:
        torch.save(state, part)


def restore_checkpoint(out: Path, towers: Towers, optimiser: torch.optim.Optimizer, record: TrainingRecord) -> None:
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


def save_trained_model(out: Path, towers: Towers, record: TrainingRecord, name: str = "pretrain.json") -> None:
    """Save the towers, the record under a name, and the model's card; the checkpoint has served."""
    towers.save(out)
    write_model_card(out, towers, record)
    write_json(asdict(record), out / name)
    (out / "checkpoint.pt").unlink(missing_ok=True)


def write_model_card(
    out: Path, towers: Towers, record: TrainingRecord, quality: Mapping[str, Mapping[str, float]] | None = None
) -> None:
    """Write the model's card; quality: system → measure → mean, where it was measured."""
    card = model_card(towers, asdict(record), record.versions["wares"], quality)
    (out / "README.md").write_text(card, encoding="utf-8")
