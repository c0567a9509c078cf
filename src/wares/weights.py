"""Weights of a model in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_weights(weights: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors by name as safetensors, for whoever may read the folder: the library lets their owner alone."""
    save_file({name: value.contiguous() for name, value in weights.items()}, str(file))
    file.chmod(file.parent.stat().st_mode & 0o666)
