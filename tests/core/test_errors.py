"""Errors in one line."""

from __future__ import annotations

import pytest

from wares.core.errors import one_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first.\nsecond"), "first"),
        (ValueError("no period"), "no period"),
        (ValueError(), "ValueError"),
        (MemoryError("."), "MemoryError"),
    ],
)
def test_the_first_line_of_a_message_or_the_name_of_the_type(error: Exception, line: str) -> None:
    assert one_line(error) == line
