"""Commands of wares, in this process and in others, and the environment that other processes need."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wares.cli.main import main

TESTS = Path(__file__).resolve().parent
SOURCE = TESTS.parent / "src"


@dataclass(frozen=True)
class Answer:
    """What a command leaves behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def wares(*arguments: object) -> Answer:
    """Run a command in this process, from the arguments to the exit code."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["wares", *map(str, arguments)])
        patch.setenv("COLUMNS", "120")
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> Answer:
    """A command that must succeed."""
    answer = wares(*arguments)
    assert answer.code == 0, answer.err
    return answer


def refused(*arguments: object) -> str:
    """The one line on standard error of a command that must fail."""
    answer = wares(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("wares: ") and answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    return answer.err


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=100, env=environment())


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from wares.cli.main import main; main()", *map(str, arguments)]


def environment(*folders: Path) -> dict[str, str]:
    """Variables under which another process finds wares, the helpers of these tests, and modules of other folders."""
    paths = [str(path) for path in (SOURCE, TESTS, *folders)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [*paths, os.environ.get("PYTHONPATH")]))}
