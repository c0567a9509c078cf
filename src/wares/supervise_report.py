"""Judging a supervised run: its results for test queries against judgments, for reporting only.

Reads what `wares.supervise` wrote; nothing that trains or labels sees any of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wares.errors import EvaluationError
from wares.evaluate import MEASURES, evaluate
from wares.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.evaluate import Evaluation, Qrels
    from wares.runs import Run


def judge(run: Path, qrels: Qrels, measures: Sequence[str] = MEASURES) -> Evaluation:
    """Measure every system of a run and test it against BM25; write `results.json` into the run.

    Raises EvaluationError where the run has no results.
    """
    found = evaluate(run_results(run), qrels, "bm25", measures)
    (run / "results.json").write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    return found


def run_results(run: Path) -> dict[str, Run]:
    """Results by system: the baselines, and `RANKER STRATEGY-ROUND`, alone and with BM25.

    In the first round every strategy is weak supervision, and is called so.
    """
    strategy = json.loads((run / "settings.json").read_text(encoding="utf-8"))["settings"]["strategy"]
    found = {path.stem: read_run(path) for path in sorted((run / "baselines").glob("*.txt"))}
    for about in sorted(run.glob("round-*/*/round.json"), key=lambda path: (_round(path), path.parent.name)):
        number, ranker = _round(about), json.loads(about.read_text(encoding="utf-8"))["ranker"]
        name = f"{ranker} {strategy if number > 1 else 'weak'}-{number}"
        for file, suffix in (("run.txt", ""), ("run+bm25.txt", " + bm25")):
            if (about.parent / file).exists():
                found[name + suffix] = read_run(about.parent / file)
    if not found:
        raise EvaluationError(f"{run} has no results for test queries. Run `wares supervise` with --test-queries.")
    return found


def _round(about: Path) -> int:
    return int(about.parents[1].name.removeprefix("round-"))
