"""A Python function as a labeler: by its decorator in a program, by its file and name elsewhere.

@labeler
def exact_words(query: str, listings: Sequence[Listing]) -> list[float | None]:
    return [float(query in listing.title) or None for listing in listings]

get_labeler("function(file='my_labels.py', name='exact_words')")
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

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
    """A function of a query's text and listings that returns a score per listing, or None to abstain."""

    function: LabelingFunction

    def fit(self, corpus: Corpus) -> FunctionScorer:
        """The function as a scorer of the corpus's listings."""
        return FunctionScorer(self.function, corpus.catalogue.listings)


def labeler(function: LabelingFunction) -> FunctionLabeler:
    """Make a labeler of a function of a query and listings.

    Source: labeling functions as in snorkel (Ratner et al., VLDB 2017).

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, Query
        >>> from wares.data.corpus import Corpus
        >>> @labeler
        ... def exact_words(query, listings):
        ...     return [1.0 if query in listing.title else None for listing in listings]
        >>> corpus = Corpus(Catalogue(Path("."), (Listing("1", "red boots"), Listing("2", "blue mug"))))
        >>> exact_words.fit(corpus).retrieve([Query("q", "mug")], k=1).listings.tolist()
        [[1]]
    """
    return FunctionLabeler(function)


@dataclass(frozen=True)
class FileFunctionLabeler:
    """A function of a Python file, with or without `@labeler`; the file is run when the labeler is fitted.

    file: its path; name: of the function
    """

    requires: ClassVar[str] = "a Python file"
    source: ClassVar[str] = "Ratner et al., VLDB 2017"
    file: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not self.file or not self.name:
            raise SettingsError(
                "function needs a file and a name. Write function(file='my_labels.py', name='my_function')."
            )

    def fit(self, corpus: Corpus) -> FunctionScorer:
        """Run the file. Raises SettingsError if it fails, or has no such function."""
        return FunctionScorer(LoadedFunction(self.file, self.name), corpus.catalogue.listings)


class LoadedFunction:
    """A function of a file. Unpickling it in another process runs the file again."""

    def __init__(self, file: str, name: str) -> None:
        self.file, self.__name__ = file, name
        self.function = _find_function(_run_file(file), name, file)

    def __call__(self, query: str, listings: Sequence[Listing]) -> Sequence[float | None]:
        return self.function(query, listings)

    def __reduce__(self) -> tuple[type[LoadedFunction], tuple[str, str]]:
        return LoadedFunction, (self.file, self.__name__)


class FunctionScorer:
    """A function over one corpus. To retrieve, it scores every listing."""

    single_threaded: ClassVar[bool] = True

    def __init__(self, function: LabelingFunction, listings: Sequence[Listing]) -> None:
        self.function, self.listings = function, listings

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k listings of the highest score per query."""
        all_listings = np.broadcast_to(np.arange(len(self.listings)), (len(queries), len(self.listings)))
        return Labels.from_scores(all_listings, self.score(queries, all_listings)).top(k)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores by the function; NaN for None, NaN and values that float32 cannot hold.

        Raises SettingsError if the function fails, or does not return one score per listing.
        """
        scores = np.full(listings.shape, np.nan, dtype=np.float32)
        for i, query in enumerate(queries):
            present = np.flatnonzero(listings[i] != NO_LISTING)
            candidates = [self.listings[index] for index in listings[i, present]]
            scores[i, present] = call_function(self.function, query.text, candidates)
        return np.where(np.isfinite(scores), scores, np.float32(np.nan))


def call_function(function: LabelingFunction, query: str, listings: Sequence[Listing]) -> Scores:
    """(n,) scores of n listings by a function; NaN for None. Raises SettingsError if they are not valid."""
    name, shown_query = getattr(function, "__name__", "the function"), _shorten(query)
    try:
        returned = function(query, listings)
        values = list(returned) if isinstance(returned, Iterable) else None
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(f"{name} failed for {shown_query}: {_failure(error)}. Fix the function.") from error
    if values is None:
        raise SettingsError(
            f"{name} returned {_shorten(returned)} for {shown_query}. Return a list with one score per listing."
        )
    if len(values) != len(listings):
        raise SettingsError(
            f"{name} returned {len(values)} scores for {len(listings)} listings of {shown_query}. "
            "Return one score per listing."
        )
    for value in values:
        if not _is_score(value):
            raise SettingsError(f"{name} returned {_shorten(value)} for {shown_query}. Return numbers or None.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        return np.array([np.nan if value is None else float(value) for value in values]).astype(np.float32)


def _is_score(value: object) -> bool:
    if value is None:
        return True
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, str | bytes)


def _run_file(file: str) -> ModuleType:
    """Run a Python file as a module. Raises SettingsError."""
    try:
        source = Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}. Name a Python file.") from error
    module = ModuleType(f"function file {file}")
    module.__file__ = file
    sys.modules[module.__name__] = module  # dataclasses of the file look their module up here
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except Exception as error:
        raise SettingsError(f"cannot run {file}: {_failure(error)}. Fix the file.") from error
    return module


def _find_function(module: ModuleType, name: str, file: str) -> LabelingFunction:
    names = [key for key, value in vars(module).items() if _is_own_function(value, module)]
    if name not in names:
        raise SettingsError(f"{file} has no function {name!r}; it has {', '.join(names) or 'none'}.")
    function: LabelingFunction = _undecorated(getattr(module, name))
    return function


def _is_own_function(value: object, module: ModuleType) -> bool:
    """Whether a value is a function that the module defines, and does not import."""
    function: object = _undecorated(value)
    own = getattr(function, "__module__", None) == module.__name__
    return own and callable(function) and not isinstance(function, type)


def _undecorated(value: Any) -> Any:
    return value.function if isinstance(value, FunctionLabeler) else value


def _failure(error: Exception) -> str:
    """Type, message and position of an error, in one line."""
    if isinstance(error, SyntaxError):
        message, file, line = error.msg, error.filename, error.lineno
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        message, file, line = str(error), last.filename, last.lineno
    text = ": ".join(filter(None, [type(error).__name__, " ".join(message.split()).rstrip(".")]))
    return f"{text} ({Path(file or '').name}, line {line})"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
