"""The walks in CONTRIBUTING: every function exists, and no call goes back up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from layout import MAY_IMPORT, resolve

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
ORDER = list(MAY_IMPORT)
STEP = re.compile(r"^(\d+\.|    -) `(wares\.[\w.]+)`", re.MULTILINE)
WALKS = {
    title: STEP.findall(TEXT.partition(f"### {title}\n")[2].partition("\n#")[0])
    for title in ("The path of a listing, from file to hit", "The path of a query, from log to ranker")
}


def package(path: str) -> str:
    return path.split(".")[1]


@pytest.mark.parametrize("title", WALKS)
def test_every_function_of_a_walk_exists(title: str) -> None:
    assert len(WALKS[title]) > 15
    for _, path in WALKS[title]:
        assert callable(resolve(path)), path


@pytest.mark.parametrize("title", WALKS)
def test_no_call_of_a_walk_goes_back_up(title: str) -> None:
    steps = [package(path) for margin, path in WALKS[title] if margin != "    -"]
    assert steps == sorted(steps, key=ORDER.index), "a step returns to an earlier package"
    caller = ""
    for margin, path in WALKS[title]:
        if margin != "    -":
            caller = package(path)
        assert package(path) in MAY_IMPORT[caller] | {caller}, f"{path} is above its caller"
