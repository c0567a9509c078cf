"""The house rules: a pinned public surface, light imports, one direction of dependencies, label-free training."""

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
from pathlib import Path

import pytest

import wares

SOURCE = Path(wares.__file__).parent
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

# Data flows from left to right; a room may import only what stands to its left.
ORDER = [
    "errors",
    "naming",
    "progress",
    "catalogue",
    "interactions",
    "photos",
    "cluster",
    "cache",
    "views",
    "weights",
    "terms",
    "corpus",
    "check",
    "towers",
    "encode",
    "transport",
    "losses",
    "model_card",
    "trainer",
    "pretrain",
    "end_to_end",
    "fuse",
    "choose",
    "finetune",
    "runs",
    "queries",
    "labelers",
    "performance_prediction",
    "relabel",
    "labelling",
    "ranking_losses",
    "rankers",
    "reliability",
    "supervise",
    "reranking",
    "pyterrier",
    "content",
    "table",
    "vector_index",
    "in_memory",
    "shop",
    "rows",
    "versions",
    "index",
    "update",
    "incremental",
    "replicas",
    "search",
    "evaluate",
    "comparison",
    "compare",
    "report",
    "compare_report",
    "supervise_report",
    "serve",
    "samples",
    "demo",
    "cli",
]

# Rooms that make labels or train: they may never see a judgment.
LABEL_FREE = set(ORDER[ORDER.index("catalogue") : ORDER.index("evaluate")])


def module_name(path: Path) -> str:
    parts = ("wares", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
ROOMS = {name: path for name, path in MODULES.items() if name != "wares"}


def imports(name: str, source: str, package: bool) -> Iterator[str]:
    """The wares modules that a module names in any import statement, wherever it stands."""
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


def room(module: str) -> str:
    return module.split(".")[1]


def test_public_surface() -> None:
    assert wares.__all__ == [
        "Catalogue",
        "Evaluation",
        "Listing",
        "PretrainSettings",
        "Query",
        "WaresError",
        "__version__",
        "build_shop",
        "build_towers",
        "load_towers",
        "measure",
        "open_shop",
        "paired_tests",
        "read_catalogue",
        "read_qrels",
        "read_queries",
        "read_run",
    ]
    assert set(wares.__all__) <= set(dir(wares))


@pytest.mark.parametrize("name", wares.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(wares, name) is getattr(wares, name)


def test_no_public_name_hides_a_module() -> None:
    """What `wares.pretrain` means may not depend on what was imported first."""
    assert not set(wares.__all__) & {room(module) for module in ROOMS}


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'wear'"):
        _ = wares.wear


@pytest.mark.parametrize(
    "statement",
    ["import wares", "sys.argv = ['wares', '--help']\n    from wares.cli import main\n    main()"],
    ids=["import", "help"],
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
    """A family's own table of members, which `__init__` imports when asked for one, is no circle."""
    graph = {name: {target for target in imports_of(name) if not target.startswith(f"{name}.")} for name in ROOMS}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"modules import each other: {' -> '.join(circle.args[1])}")


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in ROOMS} <= set(ORDER), "a new room: give it a place in ORDER"


@pytest.mark.parametrize("name", ROOMS)
def test_imports_point_one_way(name: str) -> None:
    later = set(ORDER[ORDER.index(room(name)) + 1 :])
    assert not {target for target in imports_of(name) if room(target) in later}


@pytest.mark.parametrize("name", [name for name in ROOMS if room(name) in LABEL_FREE])
def test_training_is_label_free(name: str) -> None:
    assert "evaluate" not in {room(target) for target in imports_of(name)}
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {word for word in names if "qrels" in word.lower()}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    from wares.evaluate import measure", "wares.evaluate"),
        ("from wares import evaluate", "wares.evaluate"),
        ("import wares.evaluate as e", "wares.evaluate"),
        ("from ..evaluate import measure", "wares.evaluate"),
        ("from .. import evaluate", "wares.evaluate"),
    ],
)
def test_the_checker_sees_every_kind_of_import(source: str, found: str) -> None:
    assert found in set(imports("wares.towers.small", source, package=False))


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
