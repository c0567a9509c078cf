"""Building towers by name, and loading and packing saved ones.

A tower is a backbone and a head: `preprocess` prepares the inputs of the backbone, `encode` runs the backbone and
`forward` runs the head. A backbone is normally frozen: `features` runs it once per photo or text and the result is
cached; `wares.encoders.backbones` makes a backbone trainable. A tower that is trained from scratch has no backbone: its
`preprocess` prepares pixels or token ids, and everything else is its head.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from wares.core.errors import ModelError, SettingsError, condensed
from wares.encoders.families import BUILT_IN_TOWERS, HubTowers
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import MODEL_FORMAT, TOWER_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wares.encoders.base import Tower
    from wares.encoders.towers import Towers


def build_towers(name: str = "offline", seed: int = 0) -> Towers:
    """Build untrained towers by name.

    name: "offline", "small", or a hub name or model folder: of a joint model (CLIP, SigLIP), or VISION+TEXT for two
        separate models
    seed: seed of the random weights of the heads

    Raises ModelError if the name is unknown or the weights cannot be loaded.

    Example:
        >>> from wares import build_towers
        >>> build_towers("small").dimension
        128
    """
    family = BUILT_IN_TOWERS[name]() if name in BUILT_IN_TOWERS else HubTowers(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family.build()


def load_towers(folder: Path | str) -> Towers:
    """Load towers that `Towers.save` wrote.

    Raises ModelError if the folder is no model, is damaged, has another format, or needs other frozen weights.

    Example:
        >>> from wares import build_towers, load_towers
        >>> build_towers("small").save("model")
        >>> load_towers("model").name
        'small'
    """
    folder = Path(folder)
    description = _read_description(folder)
    towers = build_towers(description.name)
    for side, key in description.keys.items():
        if getattr(towers, side).key != key:
            raise ModelError(
                f"{folder} was trained on {key}, but {getattr(towers, side).key} is installed. Install the former, "
                "or train the model again."
            )
    for side in description.trained:
        tower: Tower = getattr(towers, side)
        tower.trained_backbone = tower.trainable_backbone()
        if tower.trained_backbone is not None:
            tower.trained_backbone.requires_grad_(False)
    try:
        towers.load_state_dict(load_file(str(folder / "towers.safetensors")))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{folder}/towers.safetensors does not load ({condensed(error)}). Train the model again."
        ) from None
    towers.fusion, towers.aligned = description.fusion, description.aligned
    towers.min_temperature = description.min_temperature
    return towers


def pack_towers(towers: Towers) -> dict[str, bytes]:
    """Name and content of each file that `Towers.save` writes, to send towers to another process."""
    with TemporaryDirectory() as folder:
        towers.save(folder)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def unpack_towers(files: Mapping[str, bytes]) -> Towers:
    """Towers from the files of `pack_towers`, on the GPU if this process has one.

    Raises ModelError as `load_towers` does.
    """
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return load_towers(folder).to("cuda" if torch.cuda.is_available() else "cpu")


class _Description(NamedTuple):
    """The content of `towers.json`. keys: by tower; trained: towers whose backbone was trained"""

    name: str
    keys: dict[str, str]
    trained: list[str]
    fusion: Fusion
    min_temperature: float
    aligned: bool


def _read_description(folder: Path) -> _Description:
    """Read `towers.json`. Raises ModelError."""
    try:
        about = json.loads((folder / "towers.json").read_text(encoding="utf-8"))
        if about["format"] != MODEL_FORMAT:
            raise ModelError(
                f"{folder} has model format {about['format']}, but this version of wares reads format {MODEL_FORMAT}. "
                "Train the model again."
            )
        fusion = Fusion(Marginals(**about["fusion"]["marginals"]), about["fusion"]["gamma"])
        trained = [side for side in TOWER_NAMES if side in about["trained"]]
        keys = {side: about[side] for side in TOWER_NAMES}
        return _Description(
            about["name"], keys, trained, fusion, float(about["min_temperature"]), bool(about["aligned"])
        )
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{folder} is not a model (no towers.json). Make a model with `wares pretrain`.") from None
    except (ValueError, TypeError, LookupError, SettingsError):
        raise ModelError(f"{folder}/towers.json is damaged. Train the model again.") from None
