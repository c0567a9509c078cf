"""The folder of a supervision run: the only code that knows its files, to write and to read them.

    run/settings.json              format, settings, and digests of the corpus and the queries
        queries.jsonl              the queries that rankers learn from
        tests.json                 digest of the test queries, and how many of them are training queries
        baselines/bm25.txt         results of the labelers, BM25, dense and their hybrid for the test queries
        round-2/dense/labels/          queries, listings and log-probabilities that it learned from, in parts
                      weights.parquet  the weight of each query
                      model/           the ranker
                      round.json       teachers, times, losses, ELBO, overlap; written last
                      run.txt          its results for the test queries; run+bm25.txt: fused with BM25's
        changes.json               queries whose results changed most
        reliability.json           known-item checks of labelers and rankers, and which round to keep
        results.json, report.html  measures against judgments, and the report (written by evaluation)

Each round of a ranker has a folder of its own, so an interrupted run resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wares.core.errors import ModelError
from wares.core.files import atomic_write, write_json
from wares.data.queries import write_queries
from wares.data.runs import read_run, write_run
from wares.ranking.rankers.registry import get_ranker, get_teacher
from wares.supervision.records import Reliability, RoundRecord
from wares.supervision.settings import folder_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.runs import Run
    from wares.ranking.rankers.base import SoftLabels
    from wares.supervision.settings import DevSet, SuperviseSettings

Record = TypeVar("Record", RoundRecord, Reliability)
RUN_FORMAT = 2  # in settings.json
SETTINGS_FILE, TESTS_FILE, RELIABILITY_FILE, CHANGES_FILE, RESULTS_FILE = (
    f"{name}.json" for name in ("settings", "tests", "reliability", "changes", "results")
)
QUERIES_FILE = "queries.jsonl"
ROUND_FILE, WEIGHTS_FILE, RUN_FILE, HYBRID_RUN_FILE = "round.json", "weights.parquet", "run.txt", "run+bm25.txt"


@dataclass(frozen=True)
class RoundFolder:
    """The folder of one ranker in one round."""

    path: Path

    @property
    def labels(self) -> Path:
        """The folder of the labels."""
        return self.path / "labels"

    @property
    def model(self) -> Path:
        """The folder of the trained ranker."""
        return self.path / "model"

    @property
    def number(self) -> int:
        """The number of the round, from 1."""
        return int(self.path.parent.name.removeprefix("round-"))

    @property
    def previous(self) -> RoundFolder:
        """The folder of the same ranker in the round before."""
        return RoundFolder(self.path.parents[1] / f"round-{self.number - 1}" / self.path.name)

    @property
    def finished(self) -> bool:
        """True if the round's record, which is written last, exists."""
        return (self.path / ROUND_FILE).is_file()

    def read(self, names: Mapping[str, str] | None = None) -> RoundRecord:
        """The round's record. names: replacements for names in it. Raises ModelError if it is missing or damaged."""
        return _record(RoundRecord, self.path / ROUND_FILE, names)

    def write(self, record: RoundRecord) -> None:
        """Write the record, which finishes the round."""
        write_json(asdict(record), self.path / ROUND_FILE)

    def write_weights(self, soft_labels: SoftLabels) -> None:
        """Write one row for each query: its id and its weight."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        ids = [query.id for query in soft_labels.queries]
        with atomic_write(self.path / WEIGHTS_FILE) as part:
            pq.write_table(pa.table({"id": ids, "weight": soft_labels.weights}), part)

    def copy_labels(self, teachers: list[str]) -> None:
        """Copy the labels of another ranker of this round that had the same teachers, if there is one."""
        for record in sorted(self.path.parent.glob(f"*/{ROUND_FILE}")):
            other = RoundFolder(record.parent)
            if not self.labels.exists() and other.read().teachers == teachers:
                part = self.path / ".labels.part"
                shutil.rmtree(part, ignore_errors=True)
                shutil.copytree(other.labels, part)
                part.rename(self.labels)

    @property
    def has_results(self) -> bool:
        """True if its results for the test queries exist."""
        return (self.path / RUN_FILE).exists()

    def write_results(self, run: Run, with_bm25: Run) -> None:
        """Write its results for the test queries; those alone come last, since `has_results` looks for them."""
        write_run(with_bm25, self.path / HYBRID_RUN_FILE)
        write_run(run, self.path / RUN_FILE)

    def read_results(self) -> dict[str, Run]:
        """Its results for the test queries by suffix of the system's name: "" alone, " + bm25" fused."""
        files = {"": self.path / RUN_FILE, " + bm25": self.path / HYBRID_RUN_FILE}
        return {suffix: _read_results(path) for suffix, path in files.items() if path.exists()}


@dataclass(frozen=True)
class RunFolder:
    """The folder of a supervision run."""

    path: Path

    def check(self, identity: dict[str, Any]) -> None:
        """Raise ModelError if the folder holds another run or other files."""
        path = self.path / SETTINGS_FILE
        if self.path.is_dir() and any(self.path.iterdir()) and not (path.exists() or any(self.path.glob("round-*"))):
            raise ModelError(f"{self.path} is not empty and is not a supervision run. Choose another --out.")
        if path.exists() and self.read_settings() != identity:
            raise ModelError(
                f"{self.path} holds a run with other settings, corpus, queries, or model files. Choose another --out."
            )

    def read_settings(self, names: Mapping[str, str] | None = None) -> Any:
        """The run's identity (`run_identity`) as JSON. names: replacements for names in it.

        Raises ModelError if it is missing, damaged, or of another format.
        """
        identity = _read_json(self.path / SETTINGS_FILE, names)
        number = identity.get("format", 1) if isinstance(identity, dict) else None
        if number is None or not isinstance(identity.get("settings"), dict):
            raise ModelError(f"{self.path / SETTINGS_FILE} is damaged. Train the rankers again.")
        if number != RUN_FORMAT:
            raise ModelError(
                f"{self.path} is a supervision run of format {number}; this version of wares reads format "
                f"{RUN_FORMAT}. Train the rankers again."
            )
        return identity

    def begin(self, identity: dict[str, Any], queries: Sequence[Query]) -> None:
        """Create the folder and write the run's identity and its training queries."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_queries(queries, self.path / QUERIES_FILE)
        write_json(identity, self.path / SETTINGS_FILE)

    def begin_tests(self, test_queries: Sequence[Query], learned: int) -> None:
        """Delete results for other test queries than these, and their measures.

        learned: number of test queries that are training queries too
        """
        path, digest = self.path / TESTS_FILE, text_digest([(query.id, query.text) for query in test_queries])
        tests = {"digest": digest, "learned": learned}
        if path.exists() and _read_json(path) == tests:
            return
        for old in (
            *self.path.glob("round-*/*/run*.txt"),
            *self.path.glob("baselines/*.txt"),
            *self.path.glob(RESULTS_FILE),
        ):
            old.unlink()
        write_json(tests, path)

    @property
    def learned_tests(self) -> int:
        """Number of test queries that are training queries too. Raises ModelError if the run has no test queries."""
        return int(_read_json(self.path / TESTS_FILE)["learned"])

    def round(self, number: int, ranker: str) -> RoundFolder:
        """The folder of a ranker in a round, finished or not."""
        return RoundFolder(self.path / f"round-{number}" / folder_name(ranker))

    def finished_rounds(self) -> list[RoundFolder]:
        """Folders of the finished rankers, by round and name."""
        folders = [RoundFolder(record.parent) for record in self.path.glob(f"round-*/*/{ROUND_FILE}")]
        return sorted(folders, key=lambda folder: (folder.number, folder.path.name))

    def read(self, name: str, names: Mapping[str, str] | None = None) -> Any:
        """The content of one of the run's JSON files. names: replacements for names in it. Raises ModelError."""
        return _read_json(self.path / name, names)

    def has(self, name: str) -> bool:
        """True if one of the run's JSON files exists."""
        return (self.path / name).is_file()

    def write(self, name: str, value: Any) -> None:
        """Write one of the run's JSON files."""
        write_json(value, self.path / name)

    def reliability(self) -> Reliability | None:
        """The known-item checks; None if they have not been run. Raises ModelError if the file is damaged."""
        return _record(Reliability, self.path / RELIABILITY_FILE) if self.has(RELIABILITY_FILE) else None

    def write_reliability(self, reliability: Reliability) -> None:
        """Write the known-item checks."""
        self.write(RELIABILITY_FILE, asdict(reliability))

    def write_baseline(self, name: str, run: Run) -> None:
        """Write a baseline's results for the test queries."""
        path = self.path / "baselines" / f"{folder_name(name)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(run, path)

    def read_baselines(self) -> dict[str, Run]:
        """Results of the baselines for the test queries, by name."""
        names = {folder_name(name): name for name in self.read_settings()["settings"]["labelers"]}
        files = sorted((self.path / "baselines").glob("*.txt"))
        return {names.get(file.stem, file.stem): _read_results(file) for file in files}


def run_identity(
    settings: SuperviseSettings, corpus: Corpus, queries: Sequence[Query], dev: DevSet | None = None
) -> dict[str, Any]:
    """What tells a run from others, as JSON: settings, and digests of the corpus, the queries and the files named."""
    members: dict[str, object] = {name: get_teacher(name) for name in settings.labelers}
    members |= {name: get_ranker(name) for name in settings.rankers}
    identity = {
        "format": RUN_FORMAT,
        "settings": json.loads(json.dumps(asdict(settings))),
        "listings": len(corpus),
        "corpus": text_digest(list(zip(corpus.ids.tolist(), corpus.texts, strict=True))),
        "queries": text_digest([(query.id, query.text) for query in queries]),
        "files": {name: digest for name, member in members.items() if (digest := files_digest(member)) is not None},
    }
    return identity if dev is None else identity | {"dev": [len(dev.queries), dev.digest]}


def files_digest(member: object) -> str | None:
    """SHA-256 of the file or model folder (without documents) that a labeler or ranker names; None without one."""
    named = getattr(member, "file", "") or getattr(member, "model", "")
    path = Path(named)
    if not named or not path.exists():
        return None
    contents = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix != ".md")
    digest = hashlib.sha256()
    for content in [path] if path.is_file() else contents:
        with content.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def text_digest(texts: Sequence[tuple[str, str]]) -> str:
    """SHA-256 of texts and their ids."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _record(kind: type[Record], file: Path, names: Mapping[str, str] | None = None) -> Record:
    """A record from its JSON file. Raises ModelError if it is missing or damaged."""
    try:
        return kind(**_read_json(file, names))
    except TypeError:
        raise ModelError(f"{file} is damaged. Train the rankers again.") from None


def _read_results(path: Path) -> Run:
    """Results of a system; empty if it has none for any query."""
    return read_run(path) if path.stat().st_size else {}


def _read_json(file: Path, names: Mapping[str, str] | None = None) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        for name, replacement in (names or {}).items():
            text = text.replace(_quoted(name), _quoted(replacement))
        return json.loads(text)
    except FileNotFoundError:
        raise ModelError(f"{file} is missing. Name a run of `wares supervise` with all of its files.") from None
    except ValueError:
        raise ModelError(f"{file} is damaged. Train the rankers again.") from None


def _quoted(name: str) -> str:
    """A name as it appears inside a JSON text."""
    return json.dumps(name, ensure_ascii=False)[1:-1]
