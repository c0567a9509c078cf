"""The folder of a supervision run, written and read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core.errors import ModelError, SettingsError
from wares.core.files import _read, replaced
from wares.ranking.rankers.base import Lessons
from wares.ranking.rankers.registry import get_ranker, get_teacher
from wares.ranking.trained import TrainedRanker
from wares.supervision.records import RoundRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.supervision.settings import SuperviseSettings


def find_ranker(path: Path, name: str | None = None) -> TrainedRanker:
    """The ranker that a run keeps, or the one in a round's folder, whatever the run says of it.

    path: a run of `wares supervise`, or one ranker's folder in one of its rounds; name: which of a run's rankers
    Without a check (`reliability.json`) the last round is taken.
    Raises ModelError where nothing is found, SettingsError where a run has several rankers and none is named,
    or has not the one that is.
    """
    if (path / "round.json").is_file():
        about = _read(path / "round.json")
        return _of_run(path.parents[1], about["ranker"], about["round"], path / "model")
    if not (path / "settings.json").is_file():
        raise ModelError(f"{path} is no run of `wares supervise`, and no ranker's folder in one (RUN/round-2/dense).")
    rounds = {each.parent: _read(each) for each in sorted(path.glob("round-*/*/round.json"))}
    if not rounds:
        raise ModelError(f"{path} has no finished round. Finish the run with `wares supervise --resume`.")
    every = dict.fromkeys(about["ranker"] for about in rounds.values())
    if name not in (None, *every):
        raise SettingsError(f"{path} has no ranker {name}; it has {', '.join(every)}.")
    names = [each for each in every if name in (None, each)]
    folders = {(about["ranker"], about["round"]): folder for folder, about in rounds.items()}
    kept = {name: _kept_round(path, name, max(r for n, r in folders if n == name)) for name in names}
    if len(names) > 1:
        best = ", ".join(str(folders[name, round]) for name, round in kept.items() if round)
        rejected = ", ".join(name for name, round in kept.items() if not round)
        said = f"name the folder of one: {best}" if best else "it keeps none of them"
        raise SettingsError(
            f"{path} has several rankers; {said}{f' (no round of {rejected} is kept)' if best and rejected else ''}."
        )
    [(only, round)] = kept.items()
    return _of_run(path, only, round, folders[only, round] / "model" if round else path)


def _of_run(run: Path, name: str, round: int, folder: Path) -> TrainedRanker:
    about = _read(run / "settings.json")
    try:
        return TrainedRanker(name, round, folder, about["settings"]["seed"], run)
    except (KeyError, TypeError):
        raise ModelError(f"{run / 'settings.json'} is damaged. Train the rankers again.") from None


def _kept_round(run: Path, name: str, last: int) -> int:
    """Which round `reliability.json` names; 0 for the untrained ranker, the last one where nothing could be checked."""
    file = run / "reliability.json"
    checked = _read(file) if file.is_file() else None
    if checked is None:
        return last
    kept: dict[str, str] = checked.get("kept", {})
    if name not in kept:
        return last
    found = re.search(r", round (\d+)$", kept[name])
    return int(found[1]) if found else 0


SETTINGS, TESTS = "settings.json", "tests.json"


def identity(settings: SuperviseSettings, corpus: Corpus, queries: Sequence[Query]) -> dict[str, Any]:
    """What makes a run this run, as JSON: settings, the words of corpus and queries, and files that settings name."""
    members: dict[str, object] = {name: get_teacher(name) for name in settings.labelers}
    members |= {name: get_ranker(name) for name in settings.rankers}
    return {
        "settings": json.loads(json.dumps(asdict(settings))),
        "listings": len(corpus),
        "corpus": digest_of(list(zip(corpus.ids.tolist(), corpus.texts, strict=True))),
        "queries": digest_of([(query.id, query.text) for query in queries]),
        "files": {name: digest for name, each in members.items() if (digest := files_digest(each)) is not None},
    }


def files_digest(member: object) -> str | None:
    """SHA-256 of the file, or of all files of the model's folder but documents, that a labeler or ranker names; None
    without one.
    """
    named = getattr(member, "file", "") or getattr(member, "model", "")
    path = Path(named)
    if not named or not path.exists():
        return None
    files = (
        [path]
        if path.is_file()
        else sorted(each for each in path.rglob("*") if each.is_file() and each.suffix != ".md")
    )
    digest = hashlib.sha256()
    for each in files:
        with each.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def digest_of(texts: Sequence[tuple[str, str]]) -> str:
    """SHA-256 of texts and their ids."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def agree(out: Path, asked: dict[str, Any]) -> None:
    """See that a run that is there is the one that is asked for. Raises ModelError."""
    path = out / SETTINGS
    if out.is_dir() and any(out.iterdir()) and not (path.exists() or any(out.glob("round-*"))):
        raise ModelError(f"{out} holds files that are no run's, so it is left alone. Choose another --out.")
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != asked:
        raise ModelError(
            f"{out} holds a run with other settings, corpus, queries, or files that these name. Choose another --out."
        )


def read_round(folder: Path) -> RoundRecord:
    """What `teach` wrote down."""
    return RoundRecord(**json.loads((folder / "round.json").read_text(encoding="utf-8")))


def write_weights(lessons: Lessons, path: Path) -> None:
    """One row a query: its id and how much it counts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replaced(path) as part:
        pq.write_table(pa.table({"id": [query.id for query in lessons.queries], "weight": lessons.weights}), part)
