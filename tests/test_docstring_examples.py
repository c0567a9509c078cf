"""Examples in docstrings: every function of a package's face has one, and all of them run."""

from __future__ import annotations

import doctest
from importlib import import_module
from inspect import isclass, isfunction
from pathlib import Path
from types import ModuleType

import pytest
from layout import MAY_IMPORT, MODULES

FACES = ["wares", *(f"wares.{package}" for package in MAY_IMPORT)]
PUBLIC = sorted({f"{face}.{name}" for face in FACES for name in import_module(face).__all__})
OPTIONAL = {"wares.supervision.pyterrier": "pyterrier"}  # module -> the library without which it does not load


def member(path: str) -> object:
    face, _, name = path.rpartition(".")
    return getattr(import_module(face), name)


@pytest.mark.parametrize("path", [path for path in PUBLIC if isfunction(member(path))])
def test_every_public_function_has_an_example(path: str) -> None:
    assert ">>>" in (member(path).__doc__ or ""), f"{path} needs an example in its docstring"


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.parametrize("name", [name for name, path in MODULES.items() if ">>>" in path.read_text(encoding="utf-8")])
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    tests = examples(import_module(name))
    assert tests
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        report: list[str] = []
        runner.run(test, out=report.append)
        assert not "".join(report), "".join(report)


def test_classes_and_functions_are_all_there_is_in_a_face() -> None:
    assert all(isclass(member(path)) or isfunction(member(path)) for path in PUBLIC)
