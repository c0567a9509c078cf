"""A plain Python function as a labeler: in a program by its decorator, elsewhere by its file and name.

@labeler
def exact_words(query: str, listings: Sequence[Listing]) -> list[float | None]:
    return [float(query in each.title) or None for each in listings]

    get_labeler("function(file='my_labels.py', name='exact_words')")
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.core.errors import SettingsError
from wares.ranking.scoring import NO_LISTING, Labels

if TYPE_CHECKING:
    from wares.data.corpus import Corpus
    from wares.data.listings import Listing, Query
    from wares.ranking.scoring import Indices, Scores


LabelingFunction = Callable[[str, Sequence["Listing"]], Sequence[float | None]]
MAX_SHOWN_CHARACTERS = 60  # characters of a query or a value in a message


@dataclass(frozen=True)
class FunctionLabeler:
    """A function of a query's text and listings, which returns a score, or None to abstain, for each listing."""

    function: LabelingFunction

    def fit(self, corpus: Corpus) -> FunctionScorer:
        """The function on the listings of a corpus."""
        return FunctionScorer(self.function, corpus.catalogue.listings)


def labeler(function: LabelingFunction) -> FunctionLabeler:
    """Make a labeler of a function (after snorkel's labeling functions, Ratner et al., VLDB 2017)."""
    return FunctionLabeler(function)


@dataclass(frozen=True)
class FileFunctionLabeler:
    """A function in a Python file, which is run when the labeler is put to work; `@labeler` makes no difference.

    file: its path; name: of the function
    """

    file: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not self.file or not self.name:
            raise SettingsError("function needs a file and a name: function(file='my_labels.py', name='my_function').")

    def fit(self, corpus: Corpus) -> FunctionScorer:
        """Run the file. Raises SettingsError where that fails, or it has no such function."""
        return FunctionScorer(LoadedFunction(self.file, self.name), corpus.catalogue.listings)


class LoadedFunction:
    """A function of a file; in another process, to which it was sent, the file is run again."""

    def __init__(self, file: str, name: str) -> None:
        self.file, self.__name__ = file, name
        self.function = _found(_run(file), name, file)

    def __call__(self, query: str, listings: Sequence[Listing]) -> Sequence[float | None]:
        return self.function(query, listings)

    def __reduce__(self) -> tuple[type[LoadedFunction], tuple[str, str]]:
        return LoadedFunction, (self.file, self.__name__)


class FunctionScorer:
    """A function over one corpus. To retrieve, it is asked about every listing."""

    def __init__(self, function: LabelingFunction, listings: Sequence[Listing]) -> None:
        self.function, self.listings = function, listings

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k listings of highest score for each query."""
        everything = np.broadcast_to(np.arange(len(self.listings)), (len(queries), len(self.listings)))
        return Labels.from_scores(everything, self.score(queries, everything)).top(k)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """What the function says; None and whatever is no finite number in single precision is abstaining.

        Raises SettingsError where it fails, or does not say one thing for each listing.
        """
        found = np.full(listings.shape, np.nan, dtype=np.float32)
        for place, query in enumerate(queries):
            there = np.flatnonzero(listings[place] != NO_LISTING)
            found[place, there] = call_function(
                self.function, query.text, [self.listings[i] for i in listings[place, there]]
            )
        return np.where(np.isfinite(found), found, np.float32(np.nan))


def call_function(function: LabelingFunction, query: str, listings: Sequence[Listing]) -> Scores:
    """(n,) what a function says of n listings; NaN for None. Raises SettingsError where that cannot be used."""
    name, asked = getattr(function, "__name__", "the function"), _short(query)
    try:
        returned = function(query, listings)
        values = list(returned) if isinstance(returned, Iterable) else None
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(f"{name} failed for {asked}: {_failure(error)}. Mend the function.") from error
    if values is None:
        raise SettingsError(f"{name} returned {_short(returned)} for {asked}, and not a list of scores.")
    if len(values) != len(listings):
        raise SettingsError(f"{name} returned {len(values)} scores for {len(listings)} listings of {asked}.")
    for value in values:
        if not _is_score(value):
            raise SettingsError(f"{name} returned {_short(value)} for {asked}; a score is a number, or None.")
    with np.errstate(over="ignore"):  # what single precision cannot hold becomes infinite
        return np.array([np.nan if value is None else float(value) for value in values]).astype(np.float32)


def _is_score(value: object) -> bool:
    if value is None:
        return True
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, str | bytes)


def _run(file: str) -> ModuleType:
    """The file as a module."""
    try:
        source = Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}. Name a Python file.") from error
    module = ModuleType(f"function file {file}")
    module.__file__ = file
    sys.modules[module.__name__] = module  # where data classes of the file look for it
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except Exception as error:
        raise SettingsError(f"{file} does not run: {_failure(error)}. Mend the file.") from error
    return module


def _found(module: ModuleType, name: str, file: str) -> LabelingFunction:
    own = [key for key, value in vars(module).items() if _is_function(value, module)]
    if name not in own:
        raise SettingsError(f"{file} has no function {name!r}; it has {', '.join(own) or 'none'}.")
    function: LabelingFunction = _undecorated(getattr(module, name))
    return function


def _is_function(value: object, module: ModuleType) -> bool:
    """One of the file's own, and not what it imports."""
    function: object = _undecorated(value)
    own = getattr(function, "__module__", None) == module.__name__
    return own and callable(function) and not isinstance(function, type)


def _undecorated(value: Any) -> Any:
    return value.function if isinstance(value, FunctionLabeler) else value


def _failure(error: Exception) -> str:
    """What happened and where, in one line."""
    if isinstance(error, SyntaxError):
        message, file, line = error.msg, error.filename, error.lineno
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        message, file, line = str(error), last.filename, last.lineno
    text = ": ".join(filter(None, [type(error).__name__, " ".join(message.split()).rstrip(".")]))
    return f"{text} ({Path(file or '').name}, line {line})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
