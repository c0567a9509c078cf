"""Statistics of a comparison: means, confidence intervals, paired tests, and relative gains.

`experiment` trains the methods and measures them; this module computes from the values of each query. The unit of all
statistics is what varies between catalogues alike: a query in query → listing, a group of duplicates in cross-view
protocols. The value of a unit is its mean over the seeds that measured it; means, intervals and tests are over units.
Seeds are few and are no sample of anything, so their spread is only reported, as a standard deviation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, TypedDict

import numpy as np

from wares.core.errors import EvaluationError
from wares.evaluation.comparison.bootstrap import ConfidenceInterval, bootstrap_means
from wares.evaluation.cross_view import Floats
from wares.evaluation.measures import PerQuery
from wares.evaluation.significance import paired_tests

QUERY_PROTOCOL = "query->listing"
DEFAULT_BASELINE = "single-view"
SINGLE_VIEW_ALL_FUSED = "single-view, all views fused"
HYBRID_SUFFIX = " + bm25"  # ends the names of systems fused with BM25
# Methods that couple several views of a listing by a transport plan; all other systems are baselines.
TRANSPORT_METHODS = ("factorized", "all-pairs", "low-rank-transport", "full-transport")
GAIN_MEASURES = ("nDCG@10", "R@10", "R@100", "R@500")
ProtocolValues = dict[str, PerQuery]  # protocol -> measure -> query -> value


class MeanStd(TypedDict):
    """Mean of a measure over queries or groups, and the standard deviation of its means by seed."""

    mean: float
    std: float


class Results(TypedDict):
    """The object that `wares compare --json` writes: method -> protocol -> measure -> mean and std, and "seconds"."""

    methods: Mapping[str, Mapping[str, Any]]
    seeds: int


@dataclass(frozen=True)
class ProtocolTest:
    """Paired test of one system against the baseline in a protocol; values of a query are averaged over seeds.

    difference: mean of the system minus mean of the baseline; low, high: its 95 % confidence interval
    p: of the two-sided paired t-test; p_holm: after Holm's correction for all systems and measures of the protocol
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
    """Difference of two systems relative to the mean of `over`; low, high: 95 % confidence interval."""

    protocol: str
    system: str
    over: str
    measure: str
    relative: float
    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """Cost of a method on a catalogue.

    photos, texts: mean number of views encoded per listing in a training step
    milliseconds: of training, per listing and epoch: the median of epochs that alternate with those of other methods
    indexed: mean number of views of a listing in its fused embedding; each is encoded once
    """

    photos: float
    texts: float
    milliseconds: float
    indexed: float


@dataclass(frozen=True)
class SelectedWeights:
    """Weights selected for a seed without labels, before training (wares.training.weight_selection).

    method: the method of the selection; all methods with transport train with its weights
    weights: setting -> value; tried: number of candidates; seconds: of the selection
    """

    method: str
    seed: int
    weights: dict[str, float]
    tried: int
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Values of all systems under one budget.

    seed_values: for each seed, system -> protocol -> measure -> query -> value. In a cross-view protocol the held-out
        groups of listings are the queries, so each seed has values of other groups
    seconds: system -> mean seconds of training, both trainings of a seed together; 0 for an untrained system
    epochs: system -> passes over the listings; 0 for an untrained system
    candidate_counts: protocol -> number of listings ranked, the maximum over seeds
    """

    seed_values: list[dict[str, ProtocolValues]]
    seconds: dict[str, float]
    epochs: dict[str, int] = field(default_factory=dict)
    candidate_counts: dict[str, int] = field(default_factory=dict)

    @property
    def protocols(self) -> list[str]:
        """Names of the measured protocols, in order of appearance."""
        return list(dict.fromkeys(protocol for table in self.seed_values for row in table.values() for protocol in row))

    def systems(self, protocol: str) -> list[str]:
        """Names of the systems measured in a protocol."""
        return [name for name in self.seed_values[0] if any(protocol in table[name] for table in self.seed_values)]

    def measures(self, protocol: str) -> list[str]:
        """Names of the measures of a protocol, without trivial ones (`is_trivial`)."""
        system = self.systems(protocol)[0]
        names = next(table[system][protocol] for table in self.seed_values if protocol in table[system])
        return [name for name in names if not self.is_trivial(protocol, name)]

    def is_trivial(self, protocol: str, measure: str) -> bool:
        """Return True for a recall at k if at most k listings are ranked, so that every full ranking has 1."""
        name, _, k = measure.partition("@")
        return name == "R" and int(k) >= self.candidate_counts.get(protocol, int(k) + 1)

    def results(self) -> Results:
        """Return means, and standard deviations over seeds, in the shape of `wares compare --json`."""
        return {"methods": {name: self._row(name) for name in self.seed_values[0]}, "seeds": len(self.seed_values)}

    def mean(self, system: str, protocol: str, measure: str) -> float:
        """Return the mean over queries or groups of their means over seeds."""
        return float(np.mean(list(self._averaged[protocol][system][measure].values())))

    def interval(self, system: str, protocol: str, measure: str) -> ConfidenceInterval:
        """Return the confidence interval of the mean."""
        return ConfidenceInterval.from_bootstrap(self._resampled[protocol][system, measure])

    def baseline(self, protocol: str, preferred: str = DEFAULT_BASELINE) -> str:
        """Return the baseline of a protocol: `preferred` if measured, else single-view, else the first system."""
        names = self.systems(protocol)
        return next(name for name in (preferred, DEFAULT_BASELINE, names[0]) if name in names)

    def tests(self, protocol: str, baseline: str | None = None) -> list[ProtocolTest]:
        """Test every system against the baseline, with Holm's correction within the protocol.

        baseline: None for the default one (`baseline`). Raises EvaluationError if it was not measured.
        """
        names = self.systems(protocol)
        baseline = baseline or self.baseline(protocol)
        if baseline not in names:
            raise EvaluationError(f"{baseline!r} was not measured in {protocol}. Choose another baseline.")
        resampled = self._resampled[protocol]

        def interval(system: str, measure: str) -> ConfidenceInterval:
            return ConfidenceInterval.from_bootstrap(resampled[system, measure] - resampled[baseline, measure])

        def tested(system: str) -> PerQuery:
            return {name: self._averaged[protocol][system][name] for name in self.measures(protocol)}

        return [
            ProtocolTest(protocol, **asdict(test), **asdict(interval(test.system, test.measure)))
            for test in paired_tests({name: tested(name) for name in names}, baseline)
        ]

    def best(self, protocol: str, measure: str) -> str:
        """Return the system with the highest mean."""
        return max(self.systems(protocol), key=lambda name: self.mean(name, protocol, measure))

    def strongest_without_transport(self, protocol: str, measure: str) -> str | None:
        """Return the best system without transport, or None if there is none.

        It is selected by the same values that are then compared, which favours it.
        """
        names = [name for name in self.systems(protocol) if name.removesuffix(HYBRID_SUFFIX) not in TRANSPORT_METHODS]
        return max(names, key=lambda name: self.mean(name, protocol, measure), default=None)

    def gains(self, protocol: str, over: str | None = None) -> list[RelativeGain]:
        """Return relative gains of every other system over one, unless its mean is 0 in a resample.

        over: None for the strongest system without transport, for each measure
        """
        gains = []
        resampled = self._resampled[protocol]
        for measure in (name for name in GAIN_MEASURES if name in self.measures(protocol)):
            other = over or self.strongest_without_transport(protocol, measure)
            if other is None or not np.min(resampled[other, measure]) > 0:
                continue
            base = self.mean(other, protocol, measure)
            for system in (name for name in self.systems(protocol) if name != other):
                ratio = ConfidenceInterval.from_bootstrap(resampled[system, measure] / resampled[other, measure] - 1)
                relative = self.mean(system, protocol, measure) / base - 1
                gains.append(RelativeGain(protocol, system, other, measure, relative, ratio.low, ratio.high))
        return gains

    @cached_property
    def _averaged(self) -> dict[str, dict[str, PerQuery]]:
        """Protocol -> system -> measure -> query -> mean over the seeds that measured the query."""
        return {
            protocol: {
                system: average_by_query(
                    [table[system][protocol] for table in self.seed_values if protocol in table[system]]
                )
                for system in self.systems(protocol)
            }
            for protocol in self.protocols
        }

    @cached_property
    def _resampled(self) -> dict[str, dict[tuple[str, str], Floats]]:
        """Protocol -> (system, measure) -> means in the bootstrap resamples, which are the same for all."""
        resampled = {}
        for protocol, systems in self._averaged.items():
            names = [(system, measure) for system, values in systems.items() for measure in values]
            queries = list(systems[names[0][0]][names[0][1]])
            values = np.array([[systems[system][measure][query] for query in queries] for system, measure in names])
            resampled[protocol] = dict(zip(names, bootstrap_means(values), strict=True))
        return resampled

    def _row(self, system: str) -> dict[str, object]:
        # The held-out listings of a seed may lack the views of a protocol, so means are over the seeds that have it.
        by_protocol = {protocol: measures for table in self.seed_values for protocol, measures in table[system].items()}
        row: dict[str, object] = {
            protocol: {name: self._spread(system, protocol, name) for name in measures}
            for protocol, measures in by_protocol.items()
        }
        return row | {"seconds": self.seconds[system]}

    def _spread(self, system: str, protocol: str, measure: str) -> MeanStd:
        by_seed = [float(np.mean(list(values[measure].values()))) for values in self._by_seed(system, protocol)]
        deviation = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else 0.0
        return {"mean": self.mean(system, protocol, measure), "std": deviation}

    def _by_seed(self, system: str, protocol: str) -> list[PerQuery]:
        """Values of each seed that measured the system in the protocol."""
        return [table[system][protocol] for table in self.seed_values if protocol in table[system]]


def average_by_query(seeds: Sequence[PerQuery]) -> PerQuery:
    """Return measure -> query -> mean over the seeds that measured the query."""
    values: dict[str, dict[str, list[float]]] = {}
    for table in seeds:
        for measure, by_query in table.items():
            for query, value in by_query.items():
                values.setdefault(measure, {}).setdefault(query, []).append(value)
    return {
        measure: {query: float(np.mean(by_seed)) for query, by_seed in by_query.items()}
        for measure, by_query in values.items()
    }


@dataclass(frozen=True)
class ComparisonResult:
    """Result of `compare`.

    budgets: name of a budget -> comparison under it; the first one is the main result
    costs: method -> cost
    selected_weights: for each seed; empty without weight selection
    vector_bytes: size of a fused embedding, the same for every method
    """

    budgets: Mapping[str, Comparison]
    costs: Mapping[Any, Cost]
    selected_weights: Sequence[SelectedWeights]
    vector_bytes: int


def all_tests(comparison: Comparison, baseline: str) -> list[ProtocolTest]:
    """Return the tests of all protocols, each against the baseline of its protocol."""
    return [
        test
        for protocol in comparison.protocols
        for test in comparison.tests(protocol, comparison.baseline(protocol, baseline))
    ]


def all_gains(comparison: Comparison, baseline: str | None) -> list[RelativeGain]:
    """Return the gains of all protocols over their baselines; None: over the strongest system without transport."""
    return [
        gain
        for protocol in comparison.protocols
        for gain in comparison.gains(protocol, baseline and comparison.baseline(protocol, baseline))
    ]


def first_budget(result: ComparisonResult) -> Comparison:
    """Return the comparison under the first budget."""
    return next(iter(result.budgets.values()))


def main_protocol(comparison: Comparison) -> str:
    """Return query → listing if it was measured, else the first protocol."""
    return QUERY_PROTOCOL if QUERY_PROTOCOL in comparison.protocols else comparison.protocols[0]


def without_hybrids(systems: Iterable[str]) -> list[str]:
    """Return the systems that are not fused with BM25."""
    return [name for name in systems if not name.endswith(HYBRID_SUFFIX)]
