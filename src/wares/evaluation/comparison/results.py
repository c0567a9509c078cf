"""Statistics of a comparison: means, confidence intervals, paired tests, and relative gains.

`experiment` trains the methods and measures them; this module computes from the values of each query. The unit of all
statistics is a query in query → listing, and a group of duplicates in cross-view protocols. The value of a unit is its
mean over the seeds that measured it; means, intervals and tests are over units. Seeds are few and a sample of nothing
that matters to a reader, so their spread is only reported, as a standard deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np

from wares.evaluation.comparison.bootstrap import ConfidenceInterval, bootstrap_means
from wares.evaluation.cross_view import Floats
from wares.evaluation.measures import POOLED_MEASURES, PerQuery
from wares.evaluation.significance import holm_correction, paired_tests

if TYPE_CHECKING:
    from wares.evaluation.comparison.validation import Validation
    from wares.evaluation.significance import PairedTest

QUERY_PROTOCOL = "query->listing"
Training = Literal["cross-view", "queries"]  # without the held-out listings, or on all listings
FUSED_PROTOCOLS = ("title->photos", "description->photos", QUERY_PROTOCOL)  # the others rank views, without fusion
MAIN_MEASURE = "nDCG@10"  # decides which baseline is the strongest
HYBRID_SUFFIX = " + bm25"  # ends the names of trained systems fused with BM25
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
class System:
    """A row of the tables, or a cell of the tables of methods and fusions.

    method: how its towers are trained; None if they are not
    fusion: in a cell, the name of the fusion (`fusions_of_method`); None in a row, whose fusion is selected by
        validation for each seed
    hybrid: True for a trained system fused with BM25
    seconds: of validation and training, both trainings of a seed together, in the mean over seeds
    """

    method: str | None = None
    fusion: str | None = None
    hybrid: bool = False
    seconds: float = 0.0

    @property
    def has_transport(self) -> bool:
        """True if the method couples views by a transport plan; such a system is no baseline."""
        return self.method in TRANSPORT_METHODS


@dataclass(frozen=True)
class RelativeGain:
    """Difference of two systems relative to the mean of the baseline; low, high: 95 % confidence interval."""

    relative: float
    low: float
    high: float


@dataclass(frozen=True)
class ProtocolTest:
    """Paired test of one system against the baseline in a protocol; values of a query are averaged over seeds.

    difference: mean of the system minus mean of the baseline; low, high: its 95 % confidence interval
    p: of the two-sided paired t-test; p_holm: after Holm's correction for all systems and measures of the protocol
    gain: the same difference relative to the baseline; None if the baseline's mean is 0 in a resample
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
    gain: RelativeGain | None


@dataclass(frozen=True)
class Cost:
    """Cost of a method on a catalogue.

    photos, texts: mean number of views encoded per listing in a training step
    milliseconds: of training, per listing and epoch: the median of epochs that alternate with those of other methods
    indexed: mean number of views of a listing in its embedding under the method's own fusion; each is encoded once
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
    """Values of all systems.

    seed_values: for each seed, system -> protocol -> measure -> query -> value. In a cross-view protocol the held-out
        groups of listings are the queries, so each seed has values of other groups
    systems: name -> system, the rows of the tables first, then the cells of methods and fusions
    candidate_counts: protocol -> number of listings ranked, the maximum over seeds
    """

    seed_values: list[dict[str, ProtocolValues]]
    systems: Mapping[str, System]
    candidate_counts: dict[str, int] = field(default_factory=dict)

    @property
    def protocols(self) -> list[str]:
        """Names of the measured protocols, in order of appearance."""
        return list(dict.fromkeys(protocol for table in self.seed_values for row in table.values() for protocol in row))

    def rows(self, protocol: str) -> list[str]:
        """Names of the systems in the table of a protocol: methods with their validated fusion, and baselines."""
        return [name for name in self._measured(protocol) if self.systems[name].fusion is None]

    def cells(self, protocol: str) -> dict[str, dict[str, str]]:
        """Return method -> fusion -> name of the system; empty for a protocol that does not fuse views."""
        table: dict[str, dict[str, str]] = {}
        for name in self._measured(protocol):
            method, fusion = self.systems[name].method, self.systems[name].fusion
            if method is not None and fusion is not None:
                table.setdefault(method, {})[fusion] = name
        return table

    def measures(self, protocol: str) -> list[str]:
        """Names of the measures of a protocol, without trivial ones (`is_trivial`)."""
        names = next(iter(self._averaged[protocol].values()))
        return [name for name in names if not self.is_trivial(protocol, name)]

    def is_trivial(self, protocol: str, measure: str) -> bool:
        """Return True for a recall at k if at most k listings are ranked, so that every full ranking has 1."""
        name, _, k = measure.partition("@")
        return name == "R" and int(k) >= self.candidate_counts.get(protocol, int(k) + 1)

    def results(self) -> Results:
        """Return means, and standard deviations over seeds, in the shape of `wares compare --json`."""
        rows = [name for name, system in self.systems.items() if system.fusion is None]
        return {"methods": {name: self._row(name) for name in rows}, "seeds": len(self.seed_values)}

    def spread(self, system: str, protocol: str, measure: str) -> MeanStd:
        """Return the mean, and the standard deviation over seeds."""
        by_seed = [float(np.mean(list(values[measure].values()))) for values in self._by_seed(system, protocol)]
        deviation = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else 0.0
        return {"mean": self.mean(system, protocol, measure), "std": deviation}

    def mean(self, system: str, protocol: str, measure: str) -> float:
        """Return the mean over queries or groups of their means over seeds."""
        return float(np.mean(list(self._averaged[protocol][system][measure].values())))

    def interval(self, system: str, protocol: str, measure: str) -> ConfidenceInterval:
        """Return the confidence interval of the mean."""
        return ConfidenceInterval.from_bootstrap(self._resampled[protocol][system, measure])

    def best(self, protocol: str, measure: str) -> str:
        """Return the row with the highest mean."""
        return max(self.rows(protocol), key=lambda name: self.mean(name, protocol, measure))

    def strongest_baseline(self, protocol: str, hybrid: bool = False) -> str | None:
        """Return the system without transport with the highest nDCG@10, or None if there is none.

        Every method takes part with every fusion, so the best fusion is selected by the same values that are then
        compared, which favours the baseline. Trained systems fused with BM25 take part if `hybrid` is True.
        """
        names = [
            name
            for name in self._measured(protocol)
            if not self.systems[name].has_transport and (hybrid or not self.systems[name].hybrid)
        ]
        return max(names, key=lambda name: self.mean(name, protocol, MAIN_MEASURE), default=None)

    def baseline(self, protocol: str, preferred: str | None = None, hybrid: bool = False) -> str:
        """Return the baseline of a protocol: `preferred` if measured, else the strongest, else the first system."""
        names = self._measured(protocol)
        return preferred if preferred in names else self.strongest_baseline(protocol, hybrid) or names[0]

    def tests(self, protocol: str, preferred: str | None = None) -> list[ProtocolTest]:
        """Test every row against its baseline (`baseline`), with Holm's correction within the protocol.

        A row fused with BM25 is tested against the strongest of all baselines, the others against the strongest that is
        not a trained system fused with BM25. Measures of pooled judgments are not tested.
        """
        values, tests = self._averaged[protocol], []
        measures = [name for name in self.measures(protocol) if name not in POOLED_MEASURES]
        for system in self.rows(protocol):
            baseline = self.baseline(protocol, preferred, self.systems[system].hybrid)
            if system != baseline:
                pair = {name: {measure: values[name][measure] for measure in measures} for name in (baseline, system)}
                tests += paired_tests(pair, baseline)
        corrected = holm_correction([test.p for test in tests])
        return [self._with_intervals(protocol, test, p) for test, p in zip(tests, corrected, strict=True)]

    def _with_intervals(self, protocol: str, test: PairedTest, p_holm: float) -> ProtocolTest:
        resampled = self._resampled[protocol]
        system, base = resampled[test.system, test.measure], resampled[test.baseline, test.measure]
        interval, gain = ConfidenceInterval.from_bootstrap(system - base), None
        if base.min() > 0:
            ratio = ConfidenceInterval.from_bootstrap(system / base - 1)
            mean = self.mean(test.baseline, protocol, test.measure)
            gain = RelativeGain(test.difference / mean, ratio.low, ratio.high)
        return ProtocolTest(
            protocol,
            test.system,
            test.baseline,
            test.measure,
            test.difference,
            test.p,
            p_holm,
            interval.low,
            interval.high,
            gain,
        )

    @cached_property
    def _averaged(self) -> dict[str, dict[str, PerQuery]]:
        """Protocol -> system -> measure -> query -> mean over the seeds that measured the query."""
        return {
            protocol: {name: average_by_query(self._by_seed(name, protocol)) for name in self._measured(protocol)}
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
        row: dict[str, object] = {
            protocol: {name: self.spread(system, protocol, name) for name in self._averaged[protocol][system]}
            for protocol in self.protocols
            if system in self._averaged[protocol]
        }
        return row | {"seconds": self.systems[system].seconds}

    def _measured(self, protocol: str) -> list[str]:
        return [name for name in self.systems if any(protocol in table[name] for table in self.seed_values)]

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

    costs: method -> cost
    validations: training -> of each method and seed
    selected_weights: for each seed; empty without weight selection
    vector_bytes: size of a fused embedding, the same for every method
    """

    comparison: Comparison
    costs: Mapping[Any, Cost]
    validations: Mapping[Training, Sequence[Validation]]
    selected_weights: Sequence[SelectedWeights]
    vector_bytes: int

    def validations_of(self, method: str | None, training: Training) -> list[Validation]:
        """Return what was selected for each seed."""
        return [validation for validation in self.validations.get(training, ()) if validation.method == method]


def training_of(protocol: str) -> Training:
    """Return the training that a protocol measures."""
    return "queries" if protocol == QUERY_PROTOCOL else "cross-view"


def all_tests(comparison: Comparison, baseline: str | None) -> list[ProtocolTest]:
    """Return the tests of all protocols, each against the baseline of its protocol."""
    return [test for protocol in comparison.protocols for test in comparison.tests(protocol, baseline)]


def main_protocol(comparison: Comparison) -> str:
    """Return query → listing if it was measured, else the first protocol."""
    return QUERY_PROTOCOL if QUERY_PROTOCOL in comparison.protocols else comparison.protocols[0]
