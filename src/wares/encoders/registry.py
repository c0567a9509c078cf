"""Towers: the two encoders, of photos and of texts, into one shared space.

A tower is a backbone under a head: `inputs` prepares what the backbone reads, `encode` runs the backbone and
`forward` the head. A frozen backbone, which is the rule, is run once per photo or text by `features`, and what
it gives is cached; `wares.encoders.backbones` makes one trainable. A tower trained from scratch has no backbone:
it prepares pixels or tokens in `inputs`, and all else is its head.

One file per family: `offline` (weights from Python packages), `hub` (any model name), `small` (from scratch).
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from wares.core.errors import ModelError, SettingsError
from wares.encoders import hub
from wares.encoders.families import BUILDERS
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import MODEL_FORMAT, TOWER_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wares.encoders.base import Tower
    from wares.encoders.towers import Towers


def build_towers(name: str = "offline", seed: int = 0) -> Towers:
    """Untrained towers by name.

    name: "offline", "small", or a hub name or model folder: one of a joint model (CLIP, SigLIP), or
        VISION+TEXT for two separate models
    seed: of the heads' random weights

    Raises ModelError where the name or the weights behind it cannot be had.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in BUILDERS:
            built: Towers = import_module(BUILDERS[name]).build()
            return built
        return hub.build(name)


def load_towers(folder: Path | str) -> Towers:
    """Towers that were saved with `Towers.save`. Raises ModelError with what to do."""
    folder = Path(folder)
    name, keys, trained, fusion = _described(folder)
    towers = build_towers(name)
    for side, key in keys.items():
        if getattr(towers, side).key != key:
            raise ModelError(f"{folder} was trained on {key}; installed here is {getattr(towers, side).key}.")
    for side in trained:
        tower: Tower = getattr(towers, side)
        tower.trained_backbone = tower.trainable_backbone()
        if tower.trained_backbone is not None:
            tower.trained_backbone.requires_grad_(False)
    try:
        towers.load_state_dict(load_file(str(folder / "towers.safetensors")))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{folder}/towers.safetensors does not load ({reason}). Train the model again.") from None
    towers.fusion = fusion
    return towers


def pack_towers(towers: Towers) -> dict[str, bytes]:
    """The files that `Towers.save` writes."""
    with TemporaryDirectory() as folder:
        towers.save(Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def unpack_towers(files: Mapping[str, bytes]) -> Towers:
    """Towers that another process has packed, on a GPU where this one has one. Raises ModelError as `load_towers`."""
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return load_towers(folder).to("cuda" if torch.cuda.is_available() else "cpu")


def _described(folder: Path) -> tuple[str, dict[str, str], list[str], Fusion]:
    """Name, keys by side, sides whose backbone was trained, and fusion of the model saved in a folder."""
    try:
        about = json.loads((folder / "towers.json").read_text(encoding="utf-8"))
        if about["format"] != MODEL_FORMAT:
            raise ModelError(f"{folder} has model format {about['format']}; this wares reads format {MODEL_FORMAT}.")
        fusion = Fusion(Marginals(**about["fusion"]["marginals"]), about["fusion"]["gamma"])
        trained = [side for side in TOWER_NAMES if side in about["trained"]]
        return about["name"], {side: about[side] for side in TOWER_NAMES}, trained, fusion
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{folder} holds no model (no towers.json). Make one with `wares pretrain`.") from None
    except (ValueError, TypeError, LookupError, SettingsError):
        raise ModelError(f"{folder}/towers.json is damaged. Train the model again.") from None
