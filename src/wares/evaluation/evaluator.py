"""Evaluation of runs against judgments: means, significance tests, and what the means leave out.

Measures have the names of ir_measures, as `nDCG@10`, `R@100` or `AP(rel=2)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.core.errors import EvaluationError
from wares.data.runs import Run
from wares.evaluation.measures import DEFAULT_MEASURES, POOLED_MEASURES, coverage, is_pooled, measure
from wares.evaluation.significance import SIGNIFICANCE_LEVEL, paired_tests

if TYPE_CHECKING:
    from rich.console import Console

    from wares.evaluation.measures import Coverage, PerQuery, Qrels
    from wares.evaluation.significance import PairedTest, SignificanceTest


@dataclass(frozen=True)
class Evaluation:
    """Systems measured on the same judged queries: means, and tests against a baseline.

    per_query: system -> measure -> query -> value
    tests: of the measures asked for; empty without a baseline
    coverage: system -> which queries its means include
    method: of the tests
    """

    per_query: dict[str, PerQuery]
    tests: tuple[PairedTest, ...]
    coverage: dict[str, Coverage]
    method: SignificanceTest = "t"

    @property
    def query_count(self) -> int:
        """Number of queries in each mean."""
        return len(next(iter(self.coverage.values())).judged)

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """System -> measure -> mean over the queries."""
        return {
            system: {name: float(np.mean(list(values.values()))) for name, values in table.items()}
            for system, table in self.per_query.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return the object that `wares evaluate --json` writes."""
        return {"queries": self.query_count, "systems": self.means, "tests": [asdict(test) for test in self.tests]}

    def render(self, console: Console) -> None:
        """Print a table of the means: the best in bold, significant differences marked."""
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
        if any(name in values for values in self.per_query.values() for name in POOLED_MEASURES):
            lines.append(
                "Judgments are pooled: a listing that nobody judged may be relevant. Judged@10 is the fraction of "
                "judged results; judged_only leaves the others out."
            )
        without = len(next(iter(self.coverage.values())).without_relevant)
        if without:
            lines.append(f"Judged queries without a relevant listing, left out: {without}.")
        lines += self._query_counts(
            "judged queries without results, scored 0", [c.unanswered for c in self.coverage.values()]
        )
        lines += self._query_counts("queries without judgments, ignored", [c.unjudged for c in self.coverage.values()])
        return "\n".join(lines)

    def _query_counts(self, kind: str, queries: Sequence[Sequence[str]]) -> list[str]:
        """A line for each system with queries of this kind, or one line if all systems have the same ones."""
        if len(self.coverage) > 1 and queries[0] and all(others == queries[0] for others in queries):
            return [f"All systems: {kind}: {len(queries[0])}."]
        counts = zip(self.coverage, map(len, queries), strict=True)
        return [f"{system}: {kind}: {count}." for system, count in counts if count]


def _check_listings(runs: Mapping[str, Run], qrels: Qrels) -> None:
    judged = {listing for row in qrels.values() for listing in row}
    ranked = {listing for run in runs.values() for row in run.values() for listing in row}
    if judged and ranked and not judged & ranked:
        raise EvaluationError(
            f"runs and judgments share no listing id ({min(ranked)!r} against {min(judged)!r}). Use other judgments."
        )


def evaluate(
    runs: Mapping[str, Run],
    qrels: Qrels,
    baseline: str | None = None,
    measures: Sequence[str] | None = None,
    method: SignificanceTest = "t",
) -> Evaluation:
    """Measure each run on the same judgments and test it against the baseline.

    runs: name -> run; baseline: one of these names, or None for no tests
    measures: names of ir_measures; None: `DEFAULT_MEASURES`, and for pooled judgments `POOLED_MEASURES`, without tests
    method: "t" for paired t-tests, "permutation" for sign-flip tests

    Raises EvaluationError without runs or relevant listings, for an unknown baseline or measure, and if runs and
    judgments have no listing in common.

    Example:
        >>> from wares import evaluate
        >>> runs = {"ours": {"q1": {"a": 2.0, "b": 1.0}}, "bm25": {"q1": {"b": 2.0, "a": 1.0}}}
        >>> evaluation = evaluate(runs, {"q1": {"a": 1}}, baseline="bm25", measures=["RR"])
        >>> evaluation.means
        {'ours': {'RR': 1.0}, 'bm25': {'RR': 0.5}}
    """
    if not runs:
        raise EvaluationError("there is no run to evaluate. Name a run file or a shop.")
    _check_listings(runs, qrels)
    asked = DEFAULT_MEASURES if measures is None else measures
    added = POOLED_MEASURES if measures is None and is_pooled(runs.values(), qrels) else ()
    per_query = {name: measure(run, qrels, [*asked, *added]) for name, run in runs.items()}
    tested = {system: {name: values[name] for name in asked} for system, values in per_query.items()}
    tests = paired_tests(tested, baseline, method) if baseline is not None else []
    return Evaluation(per_query, tuple(tests), {name: coverage(run, qrels) for name, run in runs.items()}, method)
