"""Judging: rank measures, significance, and cross-view protocols.

The one room that sees judgments; nothing that trains or makes labels may import it. Measures bear the names of
ir_measures (`nDCG@10`, `R@100`, `AP(rel=2)`), which parse and print to the same thing. Tables and plots of
whole comparisons are next door, in `report`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.core.errors import EvaluationError
from wares.data.runs import Run
from wares.evaluation.measures import DEFAULT_MEASURES, coverage, measure
from wares.evaluation.significance import SIGNIFICANCE_LEVEL, paired_tests

if TYPE_CHECKING:
    from rich.console import Console

    from wares.evaluation.measures import Coverage, PerQuery, Qrels
    from wares.evaluation.significance import PairedTest, SignificanceTest


# Whole evaluations


@dataclass(frozen=True)
class Evaluation:
    """Systems on the same judged query_count: means, tests against a baseline, and what was left out.

    per_query: system -> measure -> query -> value
    coverage: system -> how its run met the judgments
    """

    per_query: dict[str, PerQuery]
    tests: tuple[PairedTest, ...]
    coverage: dict[str, Coverage]
    method: SignificanceTest = "t"

    @property
    def query_count(self) -> int:
        """How many queries every mean is over."""
        return len(next(iter(self.coverage.values())).judged)

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """System -> measure -> mean over the queries."""
        return {
            system: {name: float(np.mean(list(values.values()))) for name, values in table.items()}
            for system, table in self.per_query.items()
        }

    def to_json(self) -> dict[str, Any]:
        """The shape that `wares evaluate --json` writes."""
        return {"queries": self.query_count, "systems": self.means, "tests": [asdict(test) for test in self.tests]}

    def render(self, console: Console) -> None:
        """Print the means as a table: the best in bold, significant differences marked."""
        from rich.markup import escape
        from rich.table import Table

        systems, marks = self.means, self._marks()
        names = list(next(iter(systems.values())))
        best = {name: max(round(means[name], 3) for means in systems.values()) for name in names}
        table = Table()
        table.add_column("system")
        for name in names:
            table.add_column(name, justify="right")
        for system, means in systems.items():
            cells = []
            for name in names:
                text = f"{means[name]:.3f}"
                text = f"[bold]{text}[/bold]" if round(means[name], 3) == best[name] else text
                cells.append(text + marks.get((system, name), " "))
            table.add_row(escape(system), *cells)
        console.print(table)
        console.print(self._footnote(), style="dim", markup=False, highlight=False)

    def _marks(self) -> dict[tuple[str, str], str]:
        significant = [test for test in self.tests if test.p_holm < SIGNIFICANCE_LEVEL]
        return {(test.system, test.measure): "▲" if test.difference > 0 else "▼" for test in significant}

    def _footnote(self) -> str:
        lines = [f"{self.query_count} judged queries; bold: the best."]
        if self.tests:
            test = {"t": "paired t-test", "permutation": "sign-flip permutation test"}[self.method]
            lines.append(
                f"▲ better, ▼ worse than {self.tests[0].baseline}: two-sided {test}, p < {SIGNIFICANCE_LEVEL} "
                f"after Holm's correction for {len(self.tests)} comparisons."
            )
        without = len(next(iter(self.coverage.values())).without_relevant)
        if without:
            lines.append(f"Judged queries without a relevant listing, left out: {without}.")
        lines += self._told("judged queries without results, scored 0", [m.unanswered for m in self.coverage.values()])
        lines += self._told("queries without judgments, ignored", [met.unjudged for met in self.coverage.values()])
        return "\n".join(lines)

    def _told(self, what: str, queries: Sequence[Sequence[str]]) -> list[str]:
        """How many queries there are of some kind: a line for each system that has any, or one for all of them."""
        if len(self.coverage) > 1 and queries[0] and all(each == queries[0] for each in queries):
            return [f"All systems: {what}: {len(queries[0])}."]
        counts = zip(self.coverage, map(len, queries), strict=True)
        return [f"{system}: {what}: {count}." for system, count in counts if count]


def _check_listings(runs: Mapping[str, Run], qrels: Qrels) -> None:
    judged = {listing for row in qrels.values() for listing in row}
    found = {listing for run in runs.values() for row in run.values() for listing in row}
    if judged and found and not judged & found:
        raise EvaluationError(
            f"runs and judgments share no listing id ({min(found)!r} against {min(judged)!r}). Do they belong together?"
        )


def evaluate(
    runs: Mapping[str, Run],
    qrels: Qrels,
    baseline: str | None = None,
    measures: Sequence[str] = DEFAULT_MEASURES,
    method: SignificanceTest = "t",
) -> Evaluation:
    """Measure every run on the same judgments and test each against the baseline.

    runs: name -> run; baseline: one of these names, or None for no tests

    Raises EvaluationError where there is nothing to measure, the baseline is unknown, or no run has any listing that is
    judged, which says that ids do not agree.
    """
    if not runs:
        raise EvaluationError("there is no run to evaluate. Name a run file or a shop.")
    _check_listings(runs, qrels)
    per_query = {name: measure(run, qrels, measures) for name, run in runs.items()}
    tests = paired_tests(per_query, baseline, method) if baseline is not None else []
    return Evaluation(per_query, tuple(tests), {name: coverage(run, qrels) for name, run in runs.items()}, method)
