"""The folder of a supervision run: the only code that knows its files, for those who write and who read them.

    run/settings.json              settings, and digests of the corpus and the queries
        tests.json                 digest of the test queries
        baselines/bm25.txt         results of the labelers, BM25, dense and their hybrid for the test queries
        round-2/dense/labels/          queries, listings and log-probabilities that it learned from, in parts
                      weights.parquet  the weight of each query
                      model/           the ranker
                      round.json       teachers, times, losses, ELBO, agreement; written last
                      run.txt          its results for the test queries; run+bm25.txt: fused with BM25's
        changes.json               queries whose results changed most
        reliability.json           known-item checks of labelers and rankers, and which round to keep
        results.json, report.html  measures against judgments, and the report (written by evaluation)

Everything of a round is in its own folder, so an interrupted run resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core.errors import ModelError, SettingsError
from wares.core.files import atomic_write, write_json
from wares.data.runs import read_run, write_run
from wares.ranking.rankers.registry import get_ranker, get_teacher
from wares.ranking.trained import TrainedRanker
from wares.supervision.records import Reliability, RoundRecord
from wares.supervision.settings import folder_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.runs import Run
    from wares.ranking.rankers.base import SoftLabels
    from wares.supervision.settings import SuperviseSettings

SETTINGS_FILE, TESTS_FILE, RELIABILITY, CHANGES, RESULTS = (
    f"{name}.json" for name in ("settings", "tests", "reliability", "changes", "results")
)
ROUND, WEIGHTS, RUN, HYBRID_RUN = "round.json", "weights.parquet", "run.txt", "run+bm25.txt"


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
        """True if the round's record, which is written last, is there."""
        return (self.path / ROUND).is_file()

    def read(self, names: Mapping[str, str] | None = None) -> RoundRecord:
        """The round's record. names: replacements for names in it. Raises ModelError if it is missing or damaged."""
        return RoundRecord(**_read_json(self.path / ROUND, names))

    def write(self, record: RoundRecord) -> None:
        """Write the record, which finishes the round."""
        write_json(asdict(record), self.path / ROUND)

    def write_weights(self, lessons: SoftLabels) -> None:
        """Write one row for each query: its id and its weight."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with atomic_write(self.path / WEIGHTS) as part:
            pq.write_table(pa.table({"id": [query.id for query in lessons.queries], "weight": lessons.weights}), part)

    def copy_labels(self, teachers: list[str]) -> None:
        """Copy the labels of another ranker of this round that had the same teachers, if there is one."""
        for record in sorted(self.path.parent.glob(f"*/{ROUND}")):
            other = RoundFolder(record.parent)
            if not self.labels.exists() and other.read().teachers == teachers:
                part = self.path / ".labels.part"
                shutil.rmtree(part, ignore_errors=True)
                shutil.copytree(other.labels, part)
                part.rename(self.labels)

    @property
    def has_results(self) -> bool:
        """True if its results for the test queries are there."""
        return (self.path / RUN).exists()

    def write_results(self, run: Run, with_bm25: Run) -> None:
        """Write its results for the test queries, last, and those fused with BM25's, first."""
        write_run(with_bm25, self.path / HYBRID_RUN)
        write_run(run, self.path / RUN)

    def read_results(self) -> dict[str, Run]:
        """Its results for the test queries by suffix of the system's name: "" alone, " + bm25" fused."""
        files = {"": self.path / RUN, " + bm25": self.path / HYBRID_RUN}
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
        if path.exists() and _read_json(path) != identity:
            raise ModelError(
                f"{self.path} holds a run with other settings, corpus, queries, or model files. Choose another --out."
            )

    def begin(self, identity: dict[str, Any]) -> None:
        """Write what makes this run this run."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(identity, self.path / SETTINGS_FILE)

    def begin_tests(self, tests: Sequence[Query]) -> None:
        """Delete results for other test queries than these, and what was measured of them."""
        path, digest = self.path / TESTS_FILE, text_digest([(query.id, query.text) for query in tests])
        if path.exists() and _read_json(path) == digest:
            return
        for old in (
            *self.path.glob("round-*/*/run*.txt"),
            *self.path.glob("baselines/*.txt"),
            *self.path.glob(RESULTS),
        ):
            old.unlink()
        write_json(digest, path)

    def round(self, number: int, ranker: str) -> RoundFolder:
        """The folder of a ranker in a round, finished or not."""
        return RoundFolder(self.path / f"round-{number}" / folder_name(ranker))

    def finished_rounds(self) -> list[RoundFolder]:
        """Every finished ranker of every round, in order."""
        folders = [RoundFolder(record.parent) for record in self.path.glob(f"round-*/*/{ROUND}")]
        return sorted(folders, key=lambda folder: (folder.number, folder.path.name))

    def read(self, name: str, names: Mapping[str, str] | None = None) -> Any:
        """What one of the run's JSON files holds. names: replacements for names in it. Raises ModelError."""
        return _read_json(self.path / name, names)

    def has(self, name: str) -> bool:
        """True if the run has one of its JSON files."""
        return (self.path / name).is_file()

    def write(self, name: str, value: Any) -> None:
        """Write one of the run's JSON files."""
        write_json(value, self.path / name)

    def reliability(self) -> Reliability | None:
        """The known-item checks; None if they are not done."""
        return Reliability(**self.read(RELIABILITY)) if self.has(RELIABILITY) else None

    def write_baseline(self, name: str, run: Run) -> None:
        """Write a baseline's results for the test queries."""
        path = self.path / "baselines" / f"{folder_name(name)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(run, path)

    def read_baselines(self) -> dict[str, Run]:
        """Results of the baselines for the test queries, by name."""
        names = {folder_name(name): name for name in self.read(SETTINGS_FILE)["settings"]["labelers"]}
        files = sorted((self.path / "baselines").glob("*.txt"))
        return {names.get(file.stem, file.stem): _read_results(file) for file in files}


def find_ranker(path: Path, name: str | None = None) -> TrainedRanker:
    """The ranker that a run keeps, or the one in a round's folder, whatever the run says of it.

    path: a run of `wares supervise`, or one ranker's folder in one of its rounds; name: which of a run's rankers
    Without a check (`reliability.json`) the last round is taken.
    Raises ModelError if nothing is found, SettingsError if a run has several rankers and none is named, or does not
    have the one that is.
    """
    if RoundFolder(path).finished:
        record = RoundFolder(path).read()
        return _trained_ranker(RunFolder(path.parents[1]), record.ranker, record.round, path / "model")
    run = RunFolder(path)
    if not run.has(SETTINGS_FILE):
        raise ModelError(
            f"{path} is neither a run of `wares supervise` nor the folder of a ranker in one. Name RUN or "
            "RUN/round-2/dense."
        )
    folders = {(record.ranker, record.round): folder for folder in run.finished_rounds() if (record := folder.read())}
    if not folders:
        raise ModelError(f"{path} has no finished round. Finish the run with `wares supervise --resume`.")
    rankers = dict.fromkeys(ranker for ranker, _ in folders)
    if name not in (None, *rankers):
        raise SettingsError(f"{path} has no ranker {name}; it has {', '.join(rankers)}.")
    names = [ranker for ranker in rankers if name in (None, ranker)]
    kept = {ranker: _kept_round(run, ranker, max(r for n, r in folders if n == ranker)) for ranker in names}
    if len(names) > 1:
        best = ", ".join(str(folders[ranker, round].path) for ranker, round in kept.items() if round)
        rejected = ", ".join(ranker for ranker, round in kept.items() if not round)
        choice = f"name the folder of one: {best}" if best else "it keeps none of them"
        raise SettingsError(
            f"{path} has several rankers; {choice}{f' (no round of {rejected} is kept)' if best and rejected else ''}."
        )
    [(only, round)] = kept.items()
    return _trained_ranker(run, only, round, folders[only, round].model if round else path)


def _trained_ranker(run: RunFolder, name: str, round: int, folder: Path) -> TrainedRanker:
    try:
        return TrainedRanker(name, round, folder, run.read(SETTINGS_FILE)["settings"]["seed"], run.path)
    except (KeyError, TypeError):
        raise ModelError(f"{run.path / SETTINGS_FILE} is damaged. Train the rankers again.") from None


def _kept_round(run: RunFolder, name: str, last: int) -> int:
    """The round that `reliability.json` names; 0 for the untrained ranker, the last one if nothing could be checked."""
    kept: dict[str, str] = run.read(RELIABILITY).get("kept", {}) if run.has(RELIABILITY) else {}
    if name not in kept:
        return last
    match = re.search(r", round (\d+)$", kept[name])
    return int(match[1]) if match else 0


def run_identity(settings: SuperviseSettings, corpus: Corpus, queries: Sequence[Query]) -> dict[str, Any]:
    """What makes a run this run, as JSON: settings, digests of corpus and queries, and of files that settings name."""
    members: dict[str, object] = {name: get_teacher(name) for name in settings.labelers}
    members |= {name: get_ranker(name) for name in settings.rankers}
    return {
        "settings": json.loads(json.dumps(asdict(settings))),
        "listings": len(corpus),
        "corpus": text_digest(list(zip(corpus.ids.tolist(), corpus.texts, strict=True))),
        "queries": text_digest([(query.id, query.text) for query in queries]),
        "files": {name: digest for name, member in members.items() if (digest := files_digest(member)) is not None},
    }


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


def _read_results(path: Path) -> Run:
    """Results of a system, which may have none for any query."""
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
