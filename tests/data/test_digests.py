"""Digests of files: equal bytes have equal digests."""

from __future__ import annotations

from pathlib import Path

from wares.data.digests import file_digest


def test_equal_bytes_have_equal_digests(tmp_path: Path) -> None:
    one, two, other = tmp_path / "one", tmp_path / "two", tmp_path / "other"
    one.write_bytes(b"abc")
    two.write_bytes(b"abc")
    other.write_bytes(b"abd")
    assert file_digest(one) == file_digest(two) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(one) != file_digest(other)
