"""The documents: links lead somewhere, every page is reachable, and commands, options and names are those of the code.

The site itself is built by `make docs`, which checks more: anchors, references between pages, and the API reference.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import NamedTuple

import pytest
from command_pages import help_texts
from layout import MODULES, resolve

from wares.ranking.labelers.registry import labelers
from wares.ranking.rankers.registry import rankers

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GENERATED = ("docs/reference/cli.md", "docs/reference/api/")  # `make docs` writes them
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
    *(page for page in sorted(DOCS.rglob("*.md")) if not str(page.relative_to(ROOT)).startswith(GENERATED)),
]
GUIDES = [page for page in PAGES if page.name not in ("log.md", "CHANGELOG.md")]  # of wares as it is, not as it was
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
FENCE = re.compile(r"^ *(`{3,}|:{3,})(.*?)\n(.*?)^ *\1", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
NAME = re.compile(r"`(wares(?:\.\w+)+)`")
SPEC = re.compile(r"`([a-z][a-z0-9-]*)\((\w+=[^`]*)\)`")
IMPORT = re.compile(r"^from (wares[\w.]*) import (.+)$", re.MULTILINE)


class Command(NamedTuple):
    """A command line of wares in a document."""

    page: str
    name: str
    options: frozenset[str]


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(text: str, *languages: str) -> Iterator[str]:
    """Code blocks of a page in one of some languages."""
    for _, language, code in FENCE.findall(text):
        if language.strip() in languages:
            yield code


def slugs(text: str) -> set[str]:
    """Anchors that headings of a page get."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()) for heading in headings)
    return {word.replace(" ", "-") for word in words}


def commands(page: Path) -> Iterator[Command]:
    """Command lines of wares in the shell blocks of a page."""
    for code in fences(page.read_text("utf-8"), "sh", ""):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else line.split()
            if "wares" in words:
                name, *rest = words[words.index("wares") + 1 :]
                yield Command(relative(page), name, frozenset(word for word in rest if OPTION.fullmatch(word)))


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Command -> the options that its help names."""
    return {name: set(OPTION.findall(text)) for name, text in help_texts().items()}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target, anchor in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path = (page.parent / target).resolve() if target else page
        if relative(path).startswith(GENERATED):
            continue
        assert path.exists(), f"{relative(page)} links to {target}, which does not exist"
        if anchor:
            assert anchor[1:] in slugs(path.read_text("utf-8")), f"{relative(page)}: no heading {target}{anchor}"


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set()
    for page in DOCS.rglob("*.md"):
        for code in fences(page.read_text("utf-8"), "{toctree}"):
            entries = [line.strip() for line in code.splitlines() if line.strip() and not line.startswith(":")]
            paths = (re.sub(r".*<(.+)>", r"\1", entry) for entry in entries)
            listed |= {relative((page.parent / f"{path}.md").resolve()) for path in paths if not path.startswith("/")}
    pages = {relative(page) for page in PAGES if page != ROOT / "README.md"}
    assert pages - listed == {"docs/index.md"}


def test_commands_of_the_guides_exist_with_their_options(options: dict[str, set[str]]) -> None:
    seen = [command for page in GUIDES for command in commands(page)]
    assert len(seen) > 50
    for command in seen:
        if command.name.startswith("-"):  # an option of wares itself
            continue
        assert command.name in options, f"{command.page}: no command `wares {command.name}`"
        unknown = command.options - options[command.name]
        assert not unknown, f"{command.page}: wares {command.name} has no {', '.join(sorted(unknown))}"


def test_names_of_the_guides_exist() -> None:
    for page in GUIDES:
        text = page.read_text("utf-8")
        imported = [(module, name) for module, names in IMPORT.findall(text) for name in re.findall(r"\w+", names)]
        dotted = [tuple(name.rsplit(".", 1)) for name in NAME.findall(text)]
        for module, name in [*imported, *dotted]:
            path = f"{module}.{name}"
            assert path in MODULES or resolve(path), f"{relative(page)} names {path}, which does not exist"


def test_specs_of_labelers_and_rankers_have_these_settings() -> None:
    page = DOCS / "reference" / "labelers-and-rankers.md"
    specs = SPEC.findall(page.read_text("utf-8"))
    assert len(specs) > 10
    for name, settings in specs:
        members = [family[name] for family in (labelers(), rankers()) if name in family]
        known = {setting for member in members for setting in signature(member).parameters}
        unknown = set(re.findall(r"(\w+)=", settings)) - known
        assert members, f"no labeler or ranker {name}"
        assert not unknown, f"{name} has no setting {', '.join(sorted(unknown))}"
