"""What commands print: tables for people, JSON for scripts, problems, and the command to run next."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from wares.cli.options import ReadingOptions
    from wares.shop.explanation import Hit
    from wares.shop.shop import Shop

TITLE_LENGTH = 120  # letters of a title that tables show


def console() -> Console:
    """A console as wide as the terminal; 120 columns in a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as JSON, alone on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def report_problems(problems: Sequence[object]) -> None:
    """Print every skipped row and photo to standard error, and their number."""
    for problem in problems:
        print(f"wares: {problem}", file=sys.stderr)
    if problems:
        print(f"wares: {len(problems):,} skipped in all; everything else is used.", file=sys.stderr)


def suggest(*command: object) -> None:
    """Print the command to run next, quoted for a shell and never broken into lines."""
    console().print(f"Next: {shlex.join(map(str, command))}", markup=False, soft_wrap=True)


def reading_arguments(reading: ReadingOptions) -> list[str]:
    """Options with which another command reads a catalogue in the same way."""
    fields = [word for name in reading.text_field for word in ("--text-field", name)]
    return fields + (["--on-error", "skip"] if reading.on_error == "skip" else [])


def shop_summary(shop: Shop) -> dict[str, Any]:
    """What scripts read of a shop."""
    from dataclasses import asdict

    summary = {"shop": str(shop.path), "listings": len(shop), "model": shop.build_info.model}
    return summary | {"vector_index": asdict(shop.vector_index)}


def first_words(title: str) -> str:
    """The first words of a title, which must not look like an option."""
    return " ".join(title.split()[:4]).lstrip("- ") or "something"


def print_hits(hits: Sequence[Hit], why: bool) -> None:
    """Print hits as a table. why: add a line for each view's contribution, and mark the photo that matches best"""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    reranked = ["reranked"] if any(hit.rerank_score is not None for hit in hits) else []
    numbers = ["", *reranked, "score", "price"]
    for name in ("", *reranked, "score", "id", "title", "price"):
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for rank, hit in enumerate(hits, 1):
        price = "" if hit.price is None else f"{hit.price:g}"
        rerank_score = ["" if hit.rerank_score is None else f"{hit.rerank_score:.3f}"] if reranked else []
        table.add_row(str(rank), *rerank_score, f"{hit.score:.3f}", escape(hit.id), escape(_cut(hit.title)), price)
        for part in hit.why if why else ():
            view = f"{part.view}, the best photo" if part.kind == "photo" and part.view == hit.photo else part.view
            contribution = f"[dim]{part.contribution:+.3f}[/dim]"
            table.add_row("", *([""] * len(reranked)), contribution, "", f"[dim]{escape(view)}[/dim]", "")
    console().print(table)
    photos = [part.contribution for hit in hits for part in hit.why if part.kind == "photo"] if why else []
    if photos and not any(photos):
        console().print("Photos weigh nothing: the image tower is untrained. Train one with `wares pretrain`.")


def _cut(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else f"{title[:TITLE_LENGTH].rstrip()}…"
