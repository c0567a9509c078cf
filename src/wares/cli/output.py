"""What commands print: tables, JSON, problems, and the command to run next."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

from wares.cli.options import OnError

if TYPE_CHECKING:
    from rich.console import Console

    from wares.shop.explanation import Hit
    from wares.shop.shop import Shop


TITLE = 120  # letters of a title that tables show


def _told(shop: Shop) -> dict[str, Any]:
    """What scripts are told of a shop."""
    from dataclasses import asdict

    about = {"shop": str(shop.path), "listings": len(shop), "model": shop.build_info.model}
    return about | {"vector_index": asdict(shop.vector_index)}


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def _report_problems(problems: list[Any]) -> None:
    """Everything that was left out, and how much it is, on standard error."""
    for problem in problems:
        print(f"wares: {problem}", file=sys.stderr)
    if problems:
        print(f"wares: {len(problems):,} in all; everything else is used.", file=sys.stderr)


def _next(*command: object) -> None:
    """A command to go on with, as a shell takes it; never broken into lines."""
    _console().print(f"Next: {shlex.join(map(str, command))}", markup=False, soft_wrap=True)


def _as_it_was_read(text_field: list[str] | None, on_error: OnError) -> list[str]:
    """The options that another command needs to read a catalogue in the same way."""
    fields = [word for name in text_field or () for word in ("--text-field", name)]
    return fields + (["--on-error", "skip"] if on_error == OnError.skip else [])


def _some_words(title: str) -> str:
    """The beginning of a title, which must not look like an option."""
    return " ".join(title.split()[:4]).lstrip("- ") or "something"


def _shown(title: str) -> str:
    """A title as far as a table has room for it."""
    return title if len(title) <= TITLE else f"{title[:TITLE].rstrip()}…"


def _print_hits(console: Console, hits: list[Hit], why: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    reranked = ["reranked"] if any(hit.rerank_score is not None for hit in hits) else []
    numbers = ["", *reranked, "score", "price"]
    for name in ("", *reranked, "score", "id", "title", "price"):
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for rank, hit in enumerate(hits, 1):
        price = "" if hit.price is None else f"{hit.price:g}"
        by_ranker = ["" if hit.rerank_score is None else f"{hit.rerank_score:.3f}"] if reranked else []
        table.add_row(str(rank), *by_ranker, f"{hit.score:.3f}", escape(hit.id), escape(_shown(hit.title)), price)
        blank = [""] * len(by_ranker)
        for share in hit.why if why else ():
            table.add_row(
                "", *blank, f"[dim]{share.contribution:+.3f}[/dim]", "", f"[dim]{escape(share.view)}[/dim]", ""
            )
    console.print(table)
