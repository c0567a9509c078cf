"""Atomic files: what a killed writer left goes with the next write, and what a running one writes stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wares.core.files import atomic_write


def test_a_file_is_replaced_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text("old")
    with atomic_write(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_write(path) as part:
        part.write_text((tmp_path / "no such file").read_text())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_next_write_deletes_what_an_ended_process_left_of_this_file(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    path = tmp_path / "part-[1].parquet"
    ended_part = tmp_path / f".part-[1].parquet.{ended.pid}.part"
    running_part = tmp_path / f".part-[1].parquet.{os.getppid()}.part"
    other_file = tmp_path / f".part-1.parquet.{ended.pid}.part"
    for leftover in (ended_part, running_part, other_file):
        leftover.write_text("half")
    with atomic_write(path) as part:
        part.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, running_part, other_file])
