"""Progress: notices appear once."""

from __future__ import annotations

import pytest

from wares.core.progress import notice


def test_a_notice_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("2 of 3 texts are long.", "1 of 3 texts is long.", "2 of 3 texts are long."):
        notice(text)
    assert capsys.readouterr().err.splitlines() == ["2 of 3 texts are long.", "1 of 3 texts is long."]
