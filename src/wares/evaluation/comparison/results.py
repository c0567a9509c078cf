"""What a comparison found: means over seeds, confidence intervals, paired tests, and gains over baselines.

`compare` next door trains and measures; here is only arithmetic on what was measured, query by query.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, TypedDict

import numpy as np

from wares.core.errors import EvaluationError
from wares.evaluation.cross_view import Floats, GroupLabels
from wares.evaluation.measures import PerQuery
from wares.evaluation.significance import paired_tests

QUERY_PROTOCOL = "query->listing"
DEFAULT_BASELINE = "single-view"
SINGLE_VIEW_ALL_FUSED = "single-view, all views fused"
HYBRID_SUFFIX = " + bm25"  # ends the name of a system that is fused with BM25
# Methods that couple many views of a listing by a plan; the strongest of all others is the baseline to beat.
TRANSPORT_METHODS = ("factorized", "all-pairs", "low-rank-transport", "full-transport")
GAIN_MEASURES = ("nDCG@10", "R@10", "R@100", "R@500")
ProtocolValues = dict[str, PerQuery]  # protocol -> measure -> query -> value
BOOTSTRAP_RESAMPLES = 9999  # of a bootstrap


class MeanStd(TypedDict):
    """A measure over seeds: its mean and standard deviation."""

    mean: float
    std: float


class Results(TypedDict):
    """What `wares compare --json` promises: method -> protocol -> measure -> spread, and under "seconds" the time."""

    methods: Mapping[str, Mapping[str, Any]]
    seeds: int


@dataclass(frozen=True)
class ConfidenceInterval:
    """A 95 % confidence interval over queries and seeds (`bootstrap_means`)."""

    low: float
    high: float

    @classmethod
    def from_bootstrap(cls, means: Floats) -> ConfidenceInterval:
        low, high = np.nanpercentile(means, (2.5, 97.5))
        return cls(float(low), float(high))


@dataclass(frozen=True)
class ProtocolTest:
    """One system against the baseline, paired by query, each query's values averaged over seeds.

    difference: mean of the system minus mean of the baseline; low, high: its 95 % interval
    p: of the paired t-test, two-sided; p_holm: corrected for all systems and measures of the protocol
    """

    protocol: str
    system: str
    baseline: str
    measure: str
    difference: float
    p: float
    p_holm: float
    low: float
    high: float


@dataclass(frozen=True)
class RelativeGain:
    """How far one system is above another, as a share of the other's mean; low, high: its 95 % interval."""

    protocol: str
    system: str
    over: str
    measure: str
    relative: float
    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """What a method costs on a catalogue.

    photos, texts: views encoded per listing in a training step, on average
    milliseconds: of training, per listing and epoch: the median of epochs taken in turn with the other methods'
    indexed: views of a listing that make its fused embedding, on average; each is encoded once
    """

    photos: float
    texts: float
    milliseconds: float
    indexed: float


@dataclass(frozen=True)
class SelectedWeights:
    """Weights that were chosen for a seed without labels, before anything was trained (wares.training.weight_selection).

    method: by which they were chosen, for all methods with transport; weights: setting -> value
    tried: number of candidates; seconds: of choosing
    """

    method: str
    seed: int
    weights: dict[str, float]
    tried: int
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Every system's values under one budget.

    seed_values: one per seed, system -> protocol -> measure -> query -> value. In a cross-view protocol the listings
        held out are the queries, so a seed has values of some listings only
    seconds: system -> mean seconds of training, both trainings of a seed together; 0 for what is not trained
    epochs: system -> passes over the listings; 0 for what is not trained
    candidate_counts: protocol -> how many listings are ranked, at most
    """

    seed_values: list[dict[str, ProtocolValues]]
    seconds: dict[str, float]
    epochs: dict[str, int] = field(default_factory=dict)
    candidate_counts: dict[str, int] = field(default_factory=dict)

    @property
    def protocols(self) -> list[str]:
        """What was measured, in order of appearance."""
        return list(dict.fromkeys(protocol for table in self.seed_values for row in table.values() for protocol in row))

    def systems(self, protocol: str) -> list[str]:
        """Who was measured in a protocol."""
        return [name for name in self.seed_values[0] if any(protocol in table[name] for table in self.seed_values)]

    def measures(self, protocol: str) -> list[str]:
        """The measures of a protocol, without those that everything would pass (`is_trivial`)."""
        system = self.systems(protocol)[0]
        names = next(table[system][protocol] for table in self.seed_values if protocol in table[system])
        return [name for name in names if not self.is_trivial(protocol, name)]

    def is_trivial(self, protocol: str, measure: str) -> bool:
        """Whether a recall is 1 for every full ranking, because no more than k listings are ranked."""
        name, _, k = measure.partition("@")
        return name == "R" and int(k) >= self.candidate_counts.get(protocol, int(k) + 1)

    def results(self) -> Results:
        """Mean and standard deviation over seeds, in the shape of `wares compare --json`."""
        return {"methods": {name: self._row(name) for name in self.seed_values[0]}, "seeds": len(self.seed_values)}

    def mean(self, system: str, protocol: str, measure: str) -> float:
        """Mean over the seeds of the means over the queries."""
        return float(np.mean(self._seed_means(system, protocol, measure)))

    def interval(self, system: str, protocol: str, measure: str) -> ConfidenceInterval:
        """Of the mean."""
        return ConfidenceInterval.from_bootstrap(self._resampled[protocol][system, measure])

    def baseline(self, protocol: str, preferred: str = DEFAULT_BASELINE) -> str:
        """Whom to test against: `preferred` where it was measured, else single-view, else the first system."""
        names = self.systems(protocol)
        return next(name for name in (preferred, DEFAULT_BASELINE, names[0]) if name in names)

    def tests(self, protocol: str, baseline: str | None = None) -> list[ProtocolTest]:
        """Paired tests of every system against the baseline, Holm-corrected within the protocol.

        baseline: None takes the usual one (`baseline`). Raises EvaluationError where it was not measured.
        """
        names = self.systems(protocol)
        baseline = baseline or self.baseline(protocol)
        if baseline not in names:
            raise EvaluationError(f"{baseline!r} was not measured in {protocol}; it cannot be the baseline.")
        resampled = self._resampled[protocol]

        def interval(system: str, measure: str) -> ConfidenceInterval:
            return ConfidenceInterval.from_bootstrap(resampled[system, measure] - resampled[baseline, measure])

        return [
            ProtocolTest(protocol, **asdict(test), **asdict(interval(test.system, test.measure)))
            for test in paired_tests({name: self._means(name, protocol) for name in names}, baseline)
        ]

    def best(self, protocol: str, measure: str) -> str:
        """The system with the highest mean."""
        return max(self.systems(protocol), key=lambda name: self.mean(name, protocol, measure))

    def strongest_without_transport(self, protocol: str, measure: str) -> str | None:
        """The best system without transport, or None where there is none: the baseline to beat.

        Picking it by the very values it is compared on favours it.
        """
        names = [name for name in self.systems(protocol) if name.removesuffix(HYBRID_SUFFIX) not in TRANSPORT_METHODS]
        return max(names, key=lambda name: self.mean(name, protocol, measure), default=None)

    def gains(self, protocol: str, over: str | None = None) -> list[RelativeGain]:
        """Relative gains of every system, where the other finds anything at all.

        over: None takes the strongest baseline without transport, measure by measure
        """
        found = []
        resampled = self._resampled[protocol]
        for measure in (name for name in GAIN_MEASURES if name in self.measures(protocol)):
            other = over or self.strongest_without_transport(protocol, measure)
            if other is None or not np.nanmin(resampled[other, measure]) > 0:
                continue
            base = self.mean(other, protocol, measure)
            for system in (name for name in self.systems(protocol) if name != other):
                ratio = ConfidenceInterval.from_bootstrap(resampled[system, measure] / resampled[other, measure] - 1)
                relative = self.mean(system, protocol, measure) / base - 1
                found.append(RelativeGain(protocol, system, other, measure, relative, ratio.low, ratio.high))
        return found

    @cached_property
    def _resampled(self) -> dict[str, dict[tuple[str, str], Floats]]:
        """Protocol -> (system, measure) -> its mean in every resample; the same resamples for all."""
        return {protocol: self._resample(protocol) for protocol in self.protocols}

    def _resample(self, protocol: str) -> dict[tuple[str, str], Floats]:
        tables = [table for table in self.seed_values if any(protocol in row for row in table.values())]
        first = self.systems(protocol)[0]
        measures = list(tables[0][first][protocol])
        queries = {
            query: place
            for place, query in enumerate(
                dict.fromkeys(query for table in tables for query in table[first][protocol][measures[0]])
            )
        }
        names = [(system, measure) for system in self.systems(protocol) for measure in measures]
        values = np.full((len(names), len(tables), len(queries)), np.nan)
        for row, (system, measure) in enumerate(names):
            for seed, table in enumerate(tables):
                found = table[system][protocol][measure]
                values[row, seed, [queries[query] for query in found]] = list(found.values())
        return dict(zip(names, bootstrap_means(values), strict=True))

    def _row(self, system: str) -> dict[str, object]:
        # What a seed holds out may have no view of a kind; a protocol is averaged over the seeds that have it.
        found = {protocol: measures for table in self.seed_values for protocol, measures in table[system].items()}
        row: dict[str, object] = {
            protocol: {name: self._spread(system, protocol, name) for name in measures}
            for protocol, measures in found.items()
        }
        return row | {"seconds": self.seconds[system]}

    def _spread(self, system: str, protocol: str, measure: str) -> MeanStd:
        means = self._seed_means(system, protocol, measure)
        return {"mean": float(np.mean(means)), "std": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0}

    def _seed_means(self, system: str, protocol: str, measure: str) -> list[float]:
        there = [table[system][protocol][measure] for table in self.seed_values if protocol in table[system]]
        return [float(np.mean(list(values.values()))) for values in there]

    def _means(self, system: str, protocol: str) -> PerQuery:
        """Each query's values averaged over the seeds that asked it."""
        found: dict[str, dict[str, list[float]]] = {name: {} for name in self.measures(protocol)}
        for table in self.seed_values:
            for name in found if protocol in table[system] else ():
                for query, value in table[system][protocol][name].items():
                    found[name].setdefault(query, []).append(value)
        return {name: {query: float(np.mean(each)) for query, each in values.items()} for name, values in found.items()}


@dataclass(frozen=True)
class ComparisonResult:
    """A whole comparison.

    budgets: name of a budget -> what was found under it
    costs: method -> what it costs
    selected_weights: what was chosen for each seed; empty where nothing was
    vector_bytes: of a listing's fused embedding, the same for every method
    """

    budgets: Mapping[str, Comparison]
    costs: Mapping[Any, Cost]
    selected_weights: Sequence[SelectedWeights]
    vector_bytes: int


# Resampling


def bootstrap_means(values: Floats) -> Floats:
    """Means under `BOOTSTRAP_RESAMPLES` bootstrap resamples of seeds and of queries, both drawn anew and crossed.

    values: (K, S, Q) of K systems and measures with S seeds on Q queries; NaN where a seed did not ask a query,
        in the same places for all K

    Returns (K, RESAMPLES): for each resample the mean over its seeds of their means over its queries, NaN where none of
    its seeds asked any of its queries. All K see the same resamples, so percentiles of a difference or a ratio of rows
    are a paired interval.
    Source: Owen, "The pigeonhole bootstrap", 2007; drawn by scipy.stats.bootstrap.
    """
    from scipy import stats

    there = ~np.isnan(values[0])
    known = np.where(there, values, 0.0)

    def means(seeds: GroupLabels, queries: GroupLabels, axis: int = -1) -> Floats:
        times = _times(queries, values.shape[2])
        asked = there @ times.T  # (S, resamples)
        weights = _times(seeds, values.shape[1]).T * (asked > 0)
        counted = weights.sum(axis=0)
        sums = (known @ times.T / np.maximum(asked, 1) * weights).sum(axis=1)
        return np.where(counted > 0, sums / np.maximum(counted, 1), np.nan)

    # SciPy resamples two or more of a thing; one alone stands twice.
    data = [np.resize(np.arange(size), max(2, size)) for size in values.shape[1:]]
    settings: dict[str, Any] = {
        "n_resamples": BOOTSTRAP_RESAMPLES,
        "batch": 500,
        "method": "percentile",
        "vectorized": True,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # of the NaN
        drawn = stats.bootstrap(data, means, rng=np.random.default_rng(0), **settings)
    distribution: Floats = drawn.bootstrap_distribution
    return distribution


def _times(drawn: GroupLabels, size: int) -> Floats:
    """(resamples, size) how often each place was drawn. drawn: (resamples, draws) places, or one resample."""
    return np.stack([np.bincount(row, minlength=size) for row in np.atleast_2d(drawn)]).astype(np.float64)
