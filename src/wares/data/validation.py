"""Checks of a catalogue for `wares check`: counts, and every problem."""

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
TEXT_COLUMNS = ("costs", "for example")  # left-aligned
MAX_EXAMPLES = 3  # problems shown per kind


@dataclass(frozen=True, slots=True)
class CountSummary:
    """Minimum, median and maximum of counts; all 0 if there are none."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def from_counts(cls, counts: Iterable[float]) -> CountSummary:
        values = list(counts) or [0]
        return cls(min(values), median(values), max(values))


@dataclass(frozen=True)
class CheckReport:
    """Results of `check_catalogue`; photos that do not decode do not count as photos.

    texts, lengths: by text field, number of listings that have it, and its length in characters
    photos_per_listing, texts_per_listing: number of views -> number of listings
    photo_sides: shorter side of the photos, in pixels
    same_title, same_product: number of listings that share it with another listing
    shared_photos: photo -> number of listings with the same file content, if more than one
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
        """Whether the whole catalogue is usable; notes do not count."""
        return all(problem.severity == "note" for problem in self.problems)

    @property
    def kinds(self) -> dict[str, int]:
        """Number of problems of each kind, the most frequent first."""
        return dict(Counter(problem.kind for problem in self.problems).most_common())

    @property
    def next_step(self) -> str:
        """What the user does next, in one sentence or two."""
        if not self.ok:
            rows, views = (sum(problem.severity == kind for problem in self.problems) for kind in ("row", "view"))
            return (
                "Fix the problems above, or skip those rows and photos with --on-error skip in the next commands "
                f"(it skips {rows:,} listings, and {views:,} photos or ends of texts)."
            )
        if self.photos == 0:
            return "No listing has a photo, so search uses texts only. Add photos, or build the shop without them."
        return f"The whole catalogue is usable. Next: wares pretrain {self.catalogue} --out MODEL"

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values, with each problem as a sentence."""
        problems = [{**asdict(problem), "text": str(problem)} for problem in self.problems]
        counts = {
            "without_photos": self.photos_per_listing.get(0, 0),
            "single_photo": self.photos_per_listing.get(1, 0),
            "without_description": self.listings - self.texts.get("description", 0),
        }
        return {**asdict(self), **counts, "ok": self.ok, "kinds": self.kinds, "problems": problems}

    def render(self, console: Console) -> None:
        """Print the report as tables, and the next step."""
        for table in (self._overview(), self._texts(), self._views(), self._problems()):
            if table.row_count:
                console.print(table)
        console.print(self.next_step, markup=False, highlight=False, soft_wrap=True)

    def _overview(self) -> Table:
        without_description = self.listings - self.texts.get("description", 0)
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
            ("listings without a description", f"{without_description:,}"),
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
        return _table("Views", ["views", "listings with this number of photos", "with this number of texts"], rows)

    def _problems(self) -> Table:
        rows = []
        for kind, count in self.kinds.items():
            examples = [str(problem) for problem in self.problems if problem.kind == kind]
            shown = examples[:MAX_EXAMPLES] + [f"and {count - MAX_EXAMPLES:,} more (all with --json)"] * (
                count > MAX_EXAMPLES
            )
            costs = {SEVERITY_COSTS[problem.severity] for problem in self.problems if problem.kind == kind}
            rows.append((kind, f"{count:,}", " or ".join(sorted(costs)), "\n".join(shown)))
        return _table("Problems", ["kind", "count", "costs", "for example"], rows)


def check_catalogue(path: str | Path, on_error: OnError = "skip", text_fields: Sequence[str] = ()) -> CheckReport:
    """Read a whole catalogue, decode every photo, and count views and problems.

    on_error: "skip" lists every problem in the report; "stop" raises CatalogueError at the first
    text_fields: further columns that are texts of a listing

    Raises CatalogueError if no listing is readable.
    """
    catalogue = read_catalogue(path, on_error, text_fields)
    outcomes = _decode_all_photos(catalogue)
    unreadable = tuple(_unreadable_photos(catalogue, outcomes))
    if unreadable and on_error == "stop":
        raise CatalogueError(f"{unreadable[0]} Or pass --on-error skip.")
    infos = {name: info for name, info in outcomes.items() if isinstance(info, PhotoInfo)}
    photos = [[name for name in listing.images if name in infos] for listing in catalogue.listings]
    texts = [listing_texts(listing) for listing in catalogue.listings]
    lengths: dict[str, list[int]] = defaultdict(list)
    for name, text in chain.from_iterable(texts):
        lengths[name].append(len(text))
    shared, duplicates = _duplicate_photos(catalogue, photos, infos)
    return CheckReport(
        catalogue=str(path),
        listings=len(catalogue),
        photos=len(infos),
        texts={name: len(counts) for name, counts in lengths.items()},
        lengths={name: CountSummary.from_counts(counts) for name, counts in lengths.items()},
        photos_per_listing=_histogram(photos),
        texts_per_listing=_histogram(texts),
        photo_sides=CountSummary.from_counts(min(info.width, info.height) for info in infos.values()),
        same_title=_count_shared(normalised_title(listing.title) for listing in catalogue.listings),
        same_product=_count_shared(listing.product for listing in catalogue.listings),
        shared_photos=shared,
        problems=(*catalogue.problems, *unreadable, *duplicates),
    )


def _decode_all_photos(catalogue: Catalogue) -> dict[str, PhotoInfo | PhotoError]:
    """Decode each photo of the catalogue once."""
    names = list(dict.fromkeys(name for listing in catalogue.listings for name in listing.images))
    outcomes = check_photos([catalogue.photo_path(name) for name in names])
    return dict(zip(names, progress(outcomes, "decoding photos", total=len(names), unit="photos"), strict=True))


def _unreadable_photos(catalogue: Catalogue, outcomes: dict[str, PhotoInfo | PhotoError]) -> Iterator[Problem]:
    for index, listing in enumerate(catalogue.listings):
        for name in listing.images:
            outcome = outcomes[name]
            if isinstance(outcome, PhotoError):
                yield catalogue.photo_problem(index, outcome)


def _duplicate_photos(
    catalogue: Catalogue, photos: Sequence[Sequence[str]], infos: dict[str, PhotoInfo]
) -> tuple[dict[str, int], list[Problem]]:
    """Numbers of listings that share a photo's content, and problems of duplicates within a listing."""
    names: dict[str, str] = {}  # digest -> the first photo with that content
    listings: dict[str, int] = Counter()
    duplicates = []
    for index, listing_photos in enumerate(photos):
        seen: dict[str, str] = {}
        for name in listing_photos:
            digest = infos[name].digest
            if digest in seen:
                message = f"{name} is the same photo as {seen[digest]}"
                line = catalogue.lines[index]
                remedy = "Remove one of them"
                duplicates.append(
                    Problem(catalogue.file_name, line, "images", message, remedy, "duplicate photo", "note")
                )
            seen.setdefault(digest, name)
        for digest, name in seen.items():
            listings[names.setdefault(digest, name)] += 1
    return {name: count for name, count in listings.items() if count > 1}, duplicates


def _histogram(views: Iterable[Sequence[object]]) -> dict[int, int]:
    return dict(sorted(Counter(len(row) for row in views).items()))


def _count_shared(keys: Iterable[str | None]) -> int:
    """Number of keys that occur more than once, with repetitions; None does not count."""
    return sum(count for key, count in Counter(keys).items() if key and count > 1)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index == 0 or name in TEXT_COLUMNS else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
