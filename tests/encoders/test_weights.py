"""Weights in files: what is written is read, by whoever may read the folder."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wares.encoders.base import save_weights


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o775])
def test_who_may_read_the_folder_may_read_the_file(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    save_weights({"a": torch.arange(6.0).reshape(2, 3).T}, tmp_path / "x.safetensors")
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == mode & 0o666
    assert load_file(tmp_path / "x.safetensors")["a"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
