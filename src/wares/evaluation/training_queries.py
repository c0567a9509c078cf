"""Which of the measured queries a system was trained on, as far as its run folder is still there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from wares.data.queries import read_queries
from wares.data.query_log import shared_queries
from wares.shop.layout import BUILDS_FOLDER, read_current_build
from wares.shop.reranking import QUERY_TOWER_FOLDER, RANKER_FILE, RANKER_FOLDER
from wares.supervision.run_folder import QUERIES_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.listings import Query


def learned_queries(system: Path, queries: Sequence[Query]) -> list[Query]:
    """The queries that `wares supervise` trained a system on, compared by normalised text.

    system: a shop, whose rankers name their run, or a run file of a ranker in the folder of its run
    """
    runs = [run for run in _run_folders(system) if (run / QUERIES_FILE).is_file()]
    return shared_queries(queries, [query for run in runs for query in read_queries(run / QUERIES_FILE)])


def _run_folders(system: Path) -> list[Path]:
    if not system.is_dir():
        folders = system.absolute().parents
        return [folders[2]] if len(folders) > 2 and folders[1].name.startswith("round-") else []
    build = system / BUILDS_FOLDER / read_current_build(system).build
    files = [build / folder / RANKER_FILE for folder in (RANKER_FOLDER, QUERY_TOWER_FOLDER)]
    return [Path(json.loads(file.read_text(encoding="utf-8"))["run"]) for file in files if file.is_file()]
