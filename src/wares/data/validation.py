"""What is in a catalogue and what is wrong with it: `wares check`. Nothing is encoded or trained here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from wares.core.errors import CatalogueError, PhotoError
from wares.core.progress import progress
from wares.data.catalogue import read_catalogue
from wares.data.duplicates import normalised_title
from wares.data.listings import Catalogue, OnError, Problem, Severity
from wares.data.photos import PhotoInfo, check_photos
from wares.data.views import listing_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table


SEVERITY_COSTS: dict[Severity, str] = {
    "row": "the listing",
    "view": "the photo, or the end of the text",
    "note": "nothing",
}
TEXT_COLUMNS = ("costs", "for example")  # columns of words
MAX_EXAMPLES = 3  # problems of each kind that `render` shows


@dataclass(frozen=True, slots=True)
class CountSummary:
    """Least, median and most of some counts; all 0 where there are none."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def from_counts(cls, counts: Iterable[float]) -> CountSummary:
        found = list(counts) or [0]
        return cls(min(found), median(found), max(found))


@dataclass(frozen=True)
class CheckReport:
    """What `check_catalogue` found; photos that do not decode are not counted among a listing's photos.

    texts: listings that have each text field, and lengths: its characters
    photos_per_listing, texts_per_listing: number of views -> number of listings
    photo_sides: shorter side of the photos, in pixels
    same_title, same_product: listings that share it with another listing
    shared_photos: photo -> listings with the very same file content, where there is more than one
    """

    catalogue: str
    listings: int
    photos: int
    texts: dict[str, int]
    lengths: dict[str, CountSummary]
    photos_per_listing: dict[int, int]
    texts_per_listing: dict[int, int]
    photo_sides: CountSummary
    same_title: int
    same_product: int
    shared_photos: dict[str, int]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether everything in the catalogue can be used; notes do not count."""
        return all(problem.severity == "note" for problem in self.problems)

    @property
    def kinds(self) -> dict[str, int]:
        """Number of problems of each kind, the most frequent first."""
        return dict(Counter(problem.kind for problem in self.problems).most_common())

    @property
    def next_step(self) -> str:
        if not self.ok:
            rows, views = (sum(problem.severity == kind for problem in self.problems) for kind in ("row", "view"))
            return (
                f"Mend what is listed above, or go on without it (listings: {rows:,}, photos and ends of texts: "
                f"{views:,}): pass --on-error skip to the next commands."
            )
        if self.photos == 0:
            return "No listing has a photo, so search will be by text alone. Add photos, or build the shop as it is."
        return f"Everything can be used. Next: wares pretrain {self.catalogue} --out MODEL"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values; every problem with the sentence that describes it."""
        problems = [{**asdict(problem), "text": str(problem)} for problem in self.problems]
        counts = {
            "without_photos": self.photos_per_listing.get(0, 0),
            "single_photo": self.photos_per_listing.get(1, 0),
            "without_description": self.listings - self.texts.get("description", 0),
        }
        return {**asdict(self), **counts, "ok": self.ok, "kinds": self.kinds, "problems": problems}

    def render(self, console: Console) -> None:
        """Print tables for people, and what to do next."""
        for table in (self._overview(), self._texts(), self._views(), self._problems()):
            if table.row_count:
                console.print(table)
        console.print(self.next_step, markup=False, highlight=False, soft_wrap=True)

    def _overview(self) -> Table:
        without = self.listings - self.texts.get("description", 0)
        sides = self.photo_sides
        rows = [
            ("listings", f"{self.listings:,}"),
            ("photos", f"{self.photos:,}"),
            (
                "photos, shorter side in pixels",
                f"{sides.minimum:,.0f} to {sides.maximum:,.0f}, median {sides.median:,.0f}",
            ),
            ("listings without photos", f"{self.photos_per_listing.get(0, 0):,}"),
            ("listings with a single photo", f"{self.photos_per_listing.get(1, 0):,}"),
            ("listings without a description", f"{without:,}"),
            ("listings that share their title", f"{self.same_title:,}"),
            ("listings that share their product", f"{self.same_product:,}"),
            ("photos that several listings use (logos, size charts?)", f"{len(self.shared_photos):,}"),
        ]
        return _table(f"Catalogue {self.catalogue}", ["", "count"], rows)

    def _texts(self) -> Table:
        rows = [
            (name, f"{count:,}", *(f"{n:,.0f}" for n in asdict(self.lengths[name]).values()))
            for name, count in self.texts.items()
        ]
        return _table("Texts", ["text", "listings", "shortest", "median", "longest (characters)"], rows)

    def _views(self) -> Table:
        numbers = sorted(self.photos_per_listing.keys() | self.texts_per_listing.keys())
        rows = [
            (str(n), f"{self.photos_per_listing.get(n, 0):,}", f"{self.texts_per_listing.get(n, 0):,}") for n in numbers
        ]
        return _table("Views", ["views", "listings with so many photos", "with so many texts"], rows)

    def _problems(self) -> Table:
        rows = []
        for kind, count in self.kinds.items():
            every = [str(problem) for problem in self.problems if problem.kind == kind]
            shown = every[:MAX_EXAMPLES] + [f"and {count - MAX_EXAMPLES:,} more (all with --json)"] * (
                count > MAX_EXAMPLES
            )
            costs = {SEVERITY_COSTS[problem.severity] for problem in self.problems if problem.kind == kind}
            rows.append((kind, f"{count:,}", " or ".join(sorted(costs)), "\n".join(shown)))
        return _table("Problems", ["kind", "count", "costs", "for example"], rows)


def check_catalogue(path: str | Path, on_error: OnError = "skip", text_fields: Sequence[str] = ()) -> CheckReport:
    """Read a whole catalogue, decode every photo, and count.

    on_error: "skip" lists every problem in the report; "stop" raises CatalogueError at the first
    text_fields: other columns that are texts of a listing

    Raises CatalogueError where nothing can be read at all.
    """
    catalogue = read_catalogue(path, on_error, text_fields)
    found = _decode_all_photos(catalogue)
    bad = tuple(_unreadable_photos(catalogue, found))
    if bad and on_error == "stop":
        raise CatalogueError(f"{bad[0]} Or pass --on-error skip.")
    facts = {name: fact for name, fact in found.items() if isinstance(fact, PhotoInfo)}
    photos = [[name for name in listing.images if name in facts] for listing in catalogue.listings]
    texts = [listing_texts(listing) for listing in catalogue.listings]
    lengths: dict[str, list[int]] = defaultdict(list)
    for name, text in chain.from_iterable(texts):
        lengths[name].append(len(text))
    shared, repeated = _duplicate_photos(catalogue, photos, facts)
    return CheckReport(
        catalogue=str(path),
        listings=len(catalogue),
        photos=len(facts),
        texts={name: len(counts) for name, counts in lengths.items()},
        lengths={name: CountSummary.from_counts(counts) for name, counts in lengths.items()},
        photos_per_listing=_histogram(photos),
        texts_per_listing=_histogram(texts),
        photo_sides=CountSummary.from_counts(min(fact.width, fact.height) for fact in facts.values()),
        same_title=_count_shared(normalised_title(listing.title) for listing in catalogue.listings),
        same_product=_count_shared(listing.product for listing in catalogue.listings),
        shared_photos=shared,
        problems=(*catalogue.problems, *bad, *repeated),
    )


def _decode_all_photos(catalogue: Catalogue) -> dict[str, PhotoInfo | PhotoError]:
    """Every photo of the catalogue, decoded once."""
    names = list(dict.fromkeys(name for listing in catalogue.listings for name in listing.images))
    facts = check_photos([catalogue.photo_path(name) for name in names])
    return dict(zip(names, progress(facts, "decoding photos", total=len(names), unit="photos"), strict=True))


def _unreadable_photos(catalogue: Catalogue, found: dict[str, PhotoInfo | PhotoError]) -> Iterator[Problem]:
    for index, listing in enumerate(catalogue.listings):
        for name in listing.images:
            fact = found[name]
            if isinstance(fact, PhotoError):
                yield catalogue.photo_problem(index, fact)


def _duplicate_photos(
    catalogue: Catalogue, photos: Sequence[Sequence[str]], facts: dict[str, PhotoInfo]
) -> tuple[dict[str, int], list[Problem]]:
    """Photos of the same content: how many listings share each, and those repeated within one listing."""
    names: dict[str, str] = {}  # digest -> the first photo of that content
    owners: dict[str, int] = Counter()
    repeated = []
    for index, listing in enumerate(photos):
        seen: dict[str, str] = {}
        for name in listing:
            digest = facts[name].digest
            if digest in seen:
                message = f"{name} is the same photo as {seen[digest]}"
                line = catalogue.lines[index]
                remedy = "Remove one of them"
                repeated.append(Problem(catalogue.file_name, line, "images", message, remedy, "repeated photo", "note"))
            seen.setdefault(digest, name)
        for digest, name in seen.items():
            owners[names.setdefault(digest, name)] += 1
    return {name: count for name, count in owners.items() if count > 1}, repeated


def _histogram(views: Iterable[Sequence[object]]) -> dict[int, int]:
    return dict(sorted(Counter(len(row) for row in views).items()))


def _count_shared(keys: Iterable[str | None]) -> int:
    """How many have a key that another has too."""
    return sum(count for key, count in Counter(keys).items() if key and count > 1)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 or name in TEXT_COLUMNS else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
