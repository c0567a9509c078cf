"""The rules of the layout: the public face, light imports, one direction of imports, label-free training."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from types import ModuleType

import pytest
from layout import INSIDE, MAY_IMPORT, MODULES, SOURCE

import wares

HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "lancedb",
    "matplotlib",
    "scipy",
    "ot",
    "bm25s",
    "numba",
    "faiss",
    "ray",
}

JUDGES = {"evaluation", "serve", "samples", "cli"}  # all other packages train or label, and never see a judgment


def imports(name: str, source: str, package: bool) -> Iterator[str]:
    """The wares modules that a module names in any import statement, at any depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = name.split(".") if package else name.split(".")[:-1]
            base = ".".join([*here[: len(here) - node.level + 1], *filter(None, [node.module])])
            base = base if node.level else node.module or ""
            targets = [found if (found := f"{base}.{alias.name}") in MODULES else base for alias in node.names]
        else:
            continue
        yield from (target for target in targets if target.split(".")[0] == "wares")


def imports_of(name: str) -> set[str]:
    path = MODULES[name]
    return set(imports(name, path.read_text(encoding="utf-8"), path.name == "__init__.py")) - {"wares", name}


def package_of(module: str) -> str:
    return module.split(".")[1]


def test_public_surface() -> None:
    assert wares.__all__ == [
        "Catalogue",
        "Listing",
        "PretrainSettings",
        "Query",
        "SuperviseSettings",
        "WaresError",
        "build_shop",
        "build_towers",
        "compare",
        "evaluate",
        "finetune",
        "load_towers",
        "open_shop",
        "pretrain",
        "read_catalogue",
        "read_qrels",
        "read_queries",
        "read_run",
        "search",
        "supervise",
    ]
    assert set(wares.__all__) <= set(dir(wares))


@pytest.mark.parametrize("package", ["wares", *(f"wares.{name}" for name in MAY_IMPORT)])
def test_every_name_of_a_face_resolves_and_hides_no_module(package: str) -> None:
    face = import_module(package)
    for name in face.__all__:
        value = getattr(face, name)
        assert value is getattr(face, name)
        assert not isinstance(value, ModuleType)
        assert f"{package}.{name}" not in MODULES


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_face_is_small_and_says_what_it_is_for(package: str) -> None:
    face = import_module(f"wares.{package}")
    assert len(face.__all__) <= 10
    assert face.__doc__ is not None
    assert re.search(r"^May import: ", face.__doc__, re.MULTILINE)
    assert re.search(r"^Add ", face.__doc__, re.MULTILINE)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="wear"):
        getattr(wares, "wear")  # noqa: B009  (mypy knows that there is no such name)


@pytest.mark.parametrize(
    "statement",
    [
        "import wares",
        *(f"import wares.{package}" for package in MAY_IMPORT),
        "sys.argv = ['wares', '--help']\n    from wares.cli.main import main\n    main()",
    ],
    ids=["wares", *MAY_IMPORT, "help"],
)
def test_light_start(statement: str) -> None:
    script = (
        f"import json, sys\ntry:\n    {statement}\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert not loaded & HEAVY


def test_no_import_circles() -> None:
    graph = {name: imports_of(name) for name in INSIDE}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"modules import each other: {' -> '.join(circle.args[1])}")


def test_the_packages_are_these() -> None:
    assert {package_of(module) for module in INSIDE} == set(MAY_IMPORT)


@pytest.mark.parametrize("name", INSIDE)
def test_imports_point_one_way(name: str) -> None:
    allowed = MAY_IMPORT[package_of(name)] | {package_of(name)}
    assert not {target for target in imports_of(name) if package_of(target) not in allowed}


@pytest.mark.parametrize("name", [name for name in INSIDE if package_of(name) not in JUDGES])
def test_training_is_label_free(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {word for word in names if "qrels" in word.lower()}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    from wares.evaluation.measures import measure", "wares.evaluation.measures"),
        ("from wares import evaluation", "wares.evaluation"),
        ("import wares.evaluation.measures as e", "wares.evaluation.measures"),
        ("from ..evaluation.measures import measure", "wares.evaluation.measures"),
        ("from .. import evaluation", "wares.evaluation"),
    ],
)
def test_the_checker_sees_every_kind_of_import(source: str, found: str) -> None:
    assert found in set(imports("wares.encoders.small", source, package=False))


def test_imports_in_the_readme_resolve() -> None:
    readme = (SOURCE.parents[1] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    named = [
        (node.module, alias.name)
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    ]
    assert ("wares", "read_catalogue") in named
    for module, name in named:
        assert hasattr(import_module(module), name), f"README.md imports {name} from {module}"
