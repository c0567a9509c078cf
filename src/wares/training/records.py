"""Records, checkpoints and model cards of pretraining and fine-tuning."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from wares.core.errors import ModelError
from wares.core.files import atomic_write, write_json
from wares.data.digests import photo_digests
from wares.encoders.model_card import model_card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from _typeshed import DataclassInstance

    from wares.data.listings import Catalogue
    from wares.encoders.features import CatalogueFeatures
    from wares.encoders.towers import Towers


@dataclass
class TrainingRecord:
    """Data, settings and results of a training run, saved with the model as `pretrain.json` or `finetune.json`.

    skipped_photos: number of photos that could not be read
    seconds: training time, over all resumed parts of the run
    resumed: number of times the run was resumed
    losses: mean loss of each epoch
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
    """The record of a run that starts now. settings: settings of the recipe, a dataclass"""
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


def identify_run(towers: Towers, features: CatalogueFeatures, record: TrainingRecord) -> dict[str, Any]:
    """What decides a run, from its start: a run that is resumed has to have the same."""
    digest = hashlib.sha256()
    for part in (features.photo_views.offsets, features.photos, features.text_views.offsets, features.texts):
        digest.update(np.ascontiguousarray(part).data)
    return {
        "towers": [towers.image.key, towers.text.key],
        "settings": record.settings,
        "listings": record.listings,
        "photos and texts": digest.hexdigest(),
    }


def save_checkpoint(
    out: Path, towers: Towers, optimiser: torch.optim.Optimizer, record: TrainingRecord, run: dict[str, Any]
) -> None:
    """Write `checkpoint.pt` atomically, so that a killed run leaves a complete checkpoint. run: of `identify_run`"""
    out.mkdir(parents=True, exist_ok=True)
    state = {
        "towers": towers.state_dict(),
        "run": run,
        "optimiser": optimiser.state_dict(),
        "record": asdict(record),
    }
    with atomic_write(out / "checkpoint.pt") as part:
        torch.save(state, part)


def restore_checkpoint(
    out: Path, towers: Towers, optimiser: torch.optim.Optimizer, record: TrainingRecord, run: dict[str, Any]
) -> None:
    """Load the checkpoint in `out` into the towers, the optimiser and the record. run: of `identify_run`

    Raises ModelError if there is no checkpoint, it is damaged, or it belongs to another run.
    """
    path = out / "checkpoint.pt"
    if not path.exists():
        raise ModelError(f"{out} has no checkpoint to resume. Start the run without --resume.")
    try:
        state = torch.load(path, weights_only=True)
        saved = state["run"]
    except (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, TypeError):
        raise ModelError(f"{path} is damaged. Start the run again without --resume.") from None
    check_same_run(path, saved, run)
    towers.load_state_dict(state["towers"])
    optimiser.load_state_dict(state["optimiser"])
    for name in ("steps", "seconds", "losses"):
        setattr(record, name, state["record"][name])
    record.resumed = state["record"]["resumed"] + 1


def check_same_run(checkpoint: Path, saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Raise ModelError if a checkpoint belongs to a run with another value of `current`."""
    for name, value in current.items():
        if saved.get(name) != value:
            raise ModelError(
                f"{checkpoint} belongs to a run with other {name} ({saved.get(name)}; this run: {value}). "
                "Choose another --out."
            )


def digest_views(catalogue: Catalogue, features: CatalogueFeatures) -> str:
    """SHA-256 of the contents of all photos, of all texts, and of the listings that they belong to."""
    photos, texts = features.photo_views, features.text_views
    digests = photo_digests([catalogue.photo_path(name) for name in photos.items])
    content = [list(map(str, digests)), photos.offsets.tolist(), texts.items, texts.offsets.tolist()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def save_trained_model(out: Path, towers: Towers, record: TrainingRecord, name: str = "pretrain.json") -> None:
    """Save the towers, the record and the model card, and delete the checkpoint. name: file of the record"""
    towers.save(out)
    write_model_card(out, towers, record)
    write_json(asdict(record), out / name)
    (out / "checkpoint.pt").unlink(missing_ok=True)


class Selection(Protocol):
    """What was selected without labels. Its string is one sentence for people, empty if nothing was to be selected."""

    @property
    def key(self) -> str:
        """Its key in the record."""

    def to_json(self) -> dict[str, Any]:
        """Return the selection as a JSON object."""


def add_selections(
    out: Path, towers: Towers, record: TrainingRecord, selections: Sequence[Selection]
) -> dict[str, Any]:
    """Add selections to the record and to the model card of a saved model. Returns the record as a JSON object."""
    written = asdict(record) | {selection.key: selection.to_json() for selection in selections}
    write_json(written, out / "pretrain.json")
    write_model_card(out, towers, record, selections=[str(selection) for selection in selections if str(selection)])
    return written


def write_model_card(
    out: Path,
    towers: Towers,
    record: TrainingRecord,
    quality: Mapping[str, Mapping[str, float]] | None = None,
    selections: Sequence[str] = (),
) -> None:
    """Write the model card. quality, selections: as of `model_card`"""
    card = model_card(towers, asdict(record), record.versions["wares"], quality, selections)
    (out / "README.md").write_text(card, encoding="utf-8")
