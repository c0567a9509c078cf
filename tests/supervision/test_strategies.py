"""Relabeling: who teaches (a table by eye), labels (contracts and properties against oracles), and the EM view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from wares.core.errors import SettingsError
from wares.ranking.score_fusion import Floats, zscore_fusion, zscores
from wares.ranking.scoring import NO_LISTING, Labels
from wares.supervision.aggregation import average_overlap, candidate_pool, elbo, log_probs, product_of_experts
from wares.supervision.strategies import STRATEGIES, GreedySelection, Strategy, Teacher, select_teachers, teachers_for

NAN, INF = math.nan, math.inf
RANKERS = ("a", "b", "c")
WEAK = ("bm25", "rm3")


def scores(*rows: Sequence[float]) -> npt.NDArray[np.float32]:
    return np.array(rows, dtype=np.float32)


def places(*rows: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(rows, dtype=np.int64)


# Who teaches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "round", "names"),
    [
        ("weak", 1, "bm25 | rm3"),
        ("weak", 2, "bm25 | rm3"),
        ("weak", 4, "bm25 | rm3"),
        ("self", 1, "bm25 | rm3"),
        ("self", 2, "b, round 1"),
        ("self", 4, "b, round 3"),
        ("cross", 1, "bm25 | rm3"),
        ("cross", 2, "a, round 1 | c, round 1"),
        ("cross", 4, "a, round 3 | c, round 3"),
        ("joint", 1, "bm25 | rm3"),
        ("joint", 2, "a, round 1 | b, round 1 | c, round 1"),
        ("joint", 4, "a, round 3 | b, round 3 | c, round 3"),
        ("greedy", 1, "bm25 | rm3"),
        ("greedy", 2, "bm25 | rm3 | a, round 1 | b, round 1 | c, round 1"),
        (
            "greedy",
            3,
            "bm25 | rm3 | a, round 1 | b, round 1 | c, round 1 | a, round 2 | b, round 2 | c, round 2",
        ),
    ],
)
def test_the_table_of_teachers_of_b(strategy: Strategy, round: int, names: str) -> None:
    assert " | ".join(map(str, teachers_for(strategy, round, "b", RANKERS, WEAK))) == names


@pytest.mark.parametrize("round", [1, 2, 3])
def test_cross_labeling_needs_two(round: int) -> None:
    """Said in the first round, before hours of training."""
    with pytest.raises(SettingsError, match=r"cross-labeling needs two rankers or more\. .* --strategy self"):
        teachers_for("cross", round, "a", ["a"], WEAK)


@pytest.mark.parametrize("strategy", [each for each in STRATEGIES if each != "cross"])
@pytest.mark.parametrize("round", [1, 2, 5])
def test_one_ranker_will_do_for_the_others(strategy: Strategy, round: int) -> None:
    found = teachers_for(strategy, round, "a", ["a"], ["bm25"])
    assert found
    assert len(set(found)) == len(found)
    assert all(0 <= each.round < round for each in found)


# Candidates ------------------------------------------------------------------------------------------------------


def labels(listings: npt.NDArray[np.int64]) -> Labels:
    falling = -np.broadcast_to(np.arange(listings.shape[1], dtype=np.float32), listings.shape)
    return Labels(listings, np.where(listings == NO_LISTING, np.float32(NAN), falling))


def test_union_by_eye() -> None:
    first = labels(places([5, 3, 9], [2, NO_LISTING, NO_LISTING], [NO_LISTING, NO_LISTING, NO_LISTING]))
    second = labels(places([3, 7, 5], [2, NO_LISTING, NO_LISTING], [NO_LISTING, NO_LISTING, NO_LISTING]))
    assert candidate_pool([first, second], 3).tolist() == [
        [9, 7, 5, 3],
        [2, NO_LISTING, NO_LISTING, NO_LISTING],
        [NO_LISTING] * 4,
    ]
    assert candidate_pool([first, second], 2).tolist() == [[7, 5, 3], [2, NO_LISTING, NO_LISTING], [NO_LISTING] * 3]
    assert candidate_pool([first], 1).tolist() == [[5], [2], [NO_LISTING]]


@st.composite
def rankings(draw: st.DrawFn, queries: int, most: int = 5) -> Labels:
    rows = draw(st.lists(st.lists(st.integers(0, 8), unique=True, max_size=most), min_size=queries, max_size=queries))
    return labels(
        np.array([row + [NO_LISTING] * (most - len(row)) for row in rows], dtype=np.int64).reshape(queries, most)
    )


@given(st.integers(0, 4).flatmap(lambda n: st.lists(rankings(n), min_size=1, max_size=3)), st.integers(1, 7))
def test_union_loses_nothing_and_repeats_nothing(found: list[Labels], k: int) -> None:
    listings = candidate_pool(found, k)
    assert len(listings) == len(found[0])
    expected = [
        {int(listing) for each in found for listing in each.listings[place, :k]} - {NO_LISTING}
        for place in range(len(listings))
    ]
    for row, wanted in zip(listings.tolist(), expected, strict=True):
        there = [listing for listing in row if listing != NO_LISTING]
        assert sorted(there) == sorted(wanted)
        assert row == there + [NO_LISTING] * (len(row) - len(there)), "what is absent comes last"
    assert listings.shape[1] == max(1, *map(len, expected), 0)


# Whole numbers of moderate size: what an affine map makes of them is then told apart from rounding in float32.
tables = st.tuples(st.integers(1, 4), st.integers(1, 6)).flatmap(
    lambda shape: st.lists(
        st.lists(
            st.one_of(st.integers(-50, 50).map(float), st.just(NAN), st.sampled_from([INF, -INF])),
            min_size=shape[1],
            max_size=shape[1],
        ),
        min_size=shape[0],
        max_size=shape[0],
    )
)


# Shares ----------------------------------------------------------------------------------------------------------


def test_shares_by_eye() -> None:
    found = log_probs(np.array([[math.log(3), 0.0, NAN], [NAN, NAN, NAN]]), 1.0)
    np.testing.assert_allclose(np.exp(found), scores([0.75, 0.25, 0], [0, 0, 0]))
    np.testing.assert_array_equal(found[1], [-INF] * 3)


def test_cold_labels_are_one_listing_and_hot_ones_are_all() -> None:
    given_labels = np.array([[1.5, 1.0, NAN, -2.0]])
    np.testing.assert_allclose(np.exp(log_probs(given_labels, 1e-3)), [[1, 0, 0, 0]], atol=1e-12)
    for hot in (1e9, INF):
        np.testing.assert_allclose(np.exp(log_probs(given_labels, hot)), [[1 / 3, 1 / 3, 0, 1 / 3]], atol=1e-8)


def test_a_ranker_says_its_own_softmax_and_a_labeler_a_tempered_one() -> None:
    said = scores([1, 3, 8], [0, NAN, 2])
    own = log_probs(product_of_experts([said], [True], 0.5), 1.0)
    np.testing.assert_allclose(own[0], log_softmax(said[0].astype(float)), atol=1e-6)
    np.testing.assert_allclose(own[1, [0, 2]], log_softmax(np.array([0.0, 2.0])), atol=1e-6)
    np.testing.assert_allclose(product_of_experts([said], [False], 0.5), zscores(said) / 0.5)


def test_a_mixture_is_the_geometric_mean_of_its_teachers() -> None:
    """Who abstains from a pair has no part in it."""
    first, second = scores([1, 3, 8]), scores([2, -4, 1])
    together = log_probs(product_of_experts([first, second], [True, True], 1.0), 1.0)
    each = [log_softmax(one[0].astype(float)) for one in (first, second)]
    np.testing.assert_allclose(together[0], log_softmax(np.mean(each, axis=0)), atol=1e-6)
    silent = scores([NAN, NAN, NAN])
    np.testing.assert_allclose(
        product_of_experts([first, silent], [True, False], 1.0), product_of_experts([first], [True], 1.0)
    )
    assert np.isnan(product_of_experts([silent, silent], [True, False], 1.0)).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, NAN])
def test_a_temperature_is_above_0(temperature: float) -> None:
    with pytest.raises(SettingsError, match="temperature of labels must be above 0, not"):
        log_probs(np.zeros((1, 2)), temperature)


@given(tables, st.floats(0.05, 20))
def test_shares_are_a_softmax(rows: list[list[float]], temperature: float) -> None:
    given_labels = zscore_fusion([scores(*rows)])
    found = log_probs(given_labels, temperature)
    for row, values in zip(found, given_labels, strict=True):
        there = ~np.isnan(values)
        assert (row[~there] == -INF).all()
        if there.any():
            np.testing.assert_allclose(row[there], log_softmax(values[there] / temperature), atol=1e-9)
            assert np.exp(row).sum() == pytest.approx(1)


# Agreement -------------------------------------------------------------------------------------------------------


def test_agreement_by_eye() -> None:
    """At depth 1: 0 of 1; at depth 2: 2 of 2. And: 1 of 1, 1 of 2, 1 of 3."""
    np.testing.assert_allclose(average_overlap(places([4, 7]), places([7, 4]), depth=2), [(0 + 1) / 2])
    np.testing.assert_allclose(
        average_overlap(places([1, 2, 3]), places([1, 8, 9]), depth=3), [(1 + 1 / 2 + 1 / 3) / 3]
    )
    np.testing.assert_allclose(average_overlap(places([1, 2]), places([3, 4]), depth=2), [0])
    np.testing.assert_allclose(
        average_overlap(places([NO_LISTING, NO_LISTING]), places([NO_LISTING, NO_LISTING]), depth=2), [0]
    )
    np.testing.assert_allclose(average_overlap(places([5]), places([5]), depth=2), [(1 + 1 / 2) / 2])


@given(st.integers(0, 4).flatmap(lambda n: st.tuples(rankings(n), rankings(n, 7))), st.integers(1, 9))
def test_agreement_is_the_average_overlap(pair: tuple[Labels, Labels], depth: int) -> None:
    first, second = (each.listings for each in pair)
    found = average_overlap(first, second, depth)
    np.testing.assert_allclose(found, average_overlap(second, first, depth), err_msg="symmetric")
    for value, a, b in zip(found, first.tolist(), second.tolist(), strict=True):
        shared = [len((set(a[:d]) & set(b[:d])) - {NO_LISTING}) / d for d in range(1, depth + 1)]
        assert value == pytest.approx(sum(shared) / depth)
        assert 0 <= value <= 1


@given(st.permutations(range(12)), st.integers(1, 12))
def test_a_ranking_agrees_with_itself(order: list[int], depth: int) -> None:
    np.testing.assert_allclose(average_overlap(places(order), places(order), depth), [1])


# Greedy ----------------------------------------------------------------------------------------------------------

A, B, C = Teacher(0, "a"), Teacher(1, "b"), Teacher(1, "c")


def chosen(values: dict[str, float], pool: Sequence[Teacher] = (A, B, C)) -> GreedySelection:
    """Greedy by a table of mixtures, as in "ab", whatever their order; a mixture that is not in it is a KeyError."""
    return select_teachers(pool, lambda mixture: values["".join(sorted(each.name for each in mixture))])


def test_greedy_by_eye() -> None:
    """b is the best alone; with c it is better; a, who is second best alone, spoils it."""
    found = chosen({"a": 0.5, "b": 0.6, "c": 0.1, "ab": 0.62, "bc": 0.7, "abc": 0.65})
    assert found.steps == ((B, 0.6), (C, 0.7))
    assert found.selected == [B, C]
    assert found.rejected == (A, 0.65)


def test_a_tie_is_no_improvement() -> None:
    found = chosen({"a": 0.5, "b": 0.4, "c": 0.4, "ab": 0.3, "ac": 0.5})
    assert found == GreedySelection(((A, 0.5),), (C, 0.5))


def test_of_equals_the_first_is_taken() -> None:
    assert chosen({"a": 1.0, "b": 1.0, "c": 1.0, "ab": 0.0, "ac": 0.0}).selected == [A]


def test_where_all_help_nobody_is_refused() -> None:
    assert chosen({"a": 1, "b": 2, "c": 3, "ac": 4, "bc": 5, "abc": 6}) == GreedySelection(
        ((C, 3), (B, 5), (A, 6)), None
    )
    assert chosen({"a": -1.0}, [A]) == GreedySelection(((A, -1.0),), None)
    assert chosen({}, []) == GreedySelection((), None)


def test_a_mixture_is_judged_in_the_order_it_was_put_together() -> None:
    asked: list[list[Teacher]] = []

    def criterion(mixture: Sequence[Teacher]) -> float:
        asked.append(list(mixture))
        return float(len(mixture))

    select_teachers([A, B], criterion)
    assert asked == [[A], [B], [A, B]]


def test_what_cannot_be_judged_is_not_chosen() -> None:
    """A criterion is NaN where a teacher abstains from every query."""
    assert chosen({"a": NAN, "b": 0.5, "c": 0.6, "ac": NAN, "bc": 0.7, "abc": NAN}).selected == [C, B]


# Free energy -----------------------------------------------------------------------------------------------------


def test_free_energy_by_eye() -> None:
    """The first query is -KL((3/4, 1/4) || (1/2, 1/2)), the second, of three times the weight, 0."""
    q, p = np.array([[0.75, 0.25], [0.5, 0.5]]), np.full((2, 2), 0.5)
    expected = -(0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 4
    assert elbo(np.log(q), np.log(p), np.array([1.0, 3.0])) == pytest.approx(expected)


def test_what_has_no_label_is_no_part() -> None:
    log_q = np.array([[math.log(0.5), math.log(0.5), -INF], [-INF, -INF, -INF]])
    log_p = np.array([[math.log(0.5), math.log(0.5), -INF], [-1.0, -2.0, -3.0]])
    assert elbo(log_q, log_p, np.ones(2)) == 0
    assert elbo(log_q, np.where(np.isinf(log_p), -7.0, log_p), np.ones(2)) == 0


@st.composite
def distributions(draw: st.DrawFn) -> tuple[Floats, Floats, Floats]:
    """log q, log p and weights of a few queries."""
    queries, listings = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    log_q, log_p = (log_softmax(random.normal(scale=3, size=(queries, listings)), axis=1) for _ in range(2))
    return log_q, log_p, random.uniform(0.1, 2, queries)


@given(distributions())
def test_free_energy_is_minus_the_divergence(given_tables: tuple[Floats, Floats, Floats]) -> None:
    log_q, log_p, weights = given_tables
    oracle = -np.average(entropy(np.exp(log_q), np.exp(log_p), axis=1), weights=weights)
    assert elbo(log_q, log_p, weights) == pytest.approx(oracle, abs=1e-9)
    assert elbo(log_q, log_q, weights) == pytest.approx(0, abs=1e-12)
    if log_q.shape[1] > 1:
        assert elbo(log_q, log_p, weights) < 0


# Expectation-Maximization ----------------------------------------------------------------------------------------
#
# What is monotone. Let F_τ(q, p) = Σ w (E_q[log p] + τ H(q)) / Σ w, for a temperature τ of the labels.
#   E-step, p fixed: q ∝ p^(1/τ), which is softmax(s / τ) for any scores s = log p + constant, is the one maximum of
#       F_τ over all q.
#   M-step, q fixed: the highest Σ w E_q[log p] is the highest F_τ as well, since the entropy of q does not move.
# So F_τ never falls in either half-step, at any τ. `elbo` is F_1: at τ = 1 it is the monotone quantity itself,
# 0 after every E-step. At other temperatures only the M-step is sure to raise it; an E-step may lower it (below, by
# eye), because labels sharper than the ranker are not what the ranker says.
#
# The toy: 6 queries of 2 classes, 4 listings, and a ranker with a free logit for each class and listing. Queries of
# a class share p, so the exact M-step is the average of the class's labels, weighted as the queries are.

CLASSES = np.array([0, 0, 0, 0, 1, 1])
FOUR = 4


def e_step(log_p: Floats, temperature: float) -> Floats:
    """log q, from logits whose level is another for every query: only differences count."""
    return log_probs(log_p + np.arange(len(log_p))[:, None], temperature)


def m_step(log_q: Floats, weights: Floats) -> Floats:
    """log p of the best ranker there is for these labels."""
    q = np.exp(log_q)
    members = [np.flatnonzero(each == CLASSES) for each in (0, 1)]
    averages = np.stack([np.average(q[queries], axis=0, weights=weights[queries]) for queries in members])
    return np.asarray(np.log(averages)[CLASSES])


def tempered(log_q: Floats, log_p: Floats, weights: Floats, temperature: float) -> float:
    """F_τ: the free energy, and τ - 1 times the entropy of the labels."""
    spread = np.average(entropy(np.exp(log_q), axis=1), weights=weights)
    return elbo(log_q, log_p, weights) + (temperature - 1) * float(spread)


def problem(seed: int) -> tuple[Floats, Floats, Floats]:
    """Weak labels, an untrained ranker (log q, log p) and weights of the queries."""
    random = np.random.default_rng(seed)
    weak = log_probs(random.normal(scale=2, size=(len(CLASSES), FOUR)), 1.0)
    untrained = log_softmax(random.normal(size=(2, FOUR)), axis=1)[CLASSES]
    return weak, np.asarray(untrained), random.uniform(0.2, 2, len(CLASSES))


seeds = st.integers(0, 2**32 - 1)


@given(seeds, seeds)
def test_the_m_step_is_exact(seed: int, other: int) -> None:
    """Any other ranker of the family fits the labels less well; without this, what follows would be about nothing."""
    log_q, log_p, weights = problem(seed)
    best = m_step(log_q, weights)
    assert elbo(log_q, best, weights) >= elbo(log_q, log_p, weights)
    logits = best + np.random.default_rng(other).normal(scale=0.1, size=(2, FOUR))[CLASSES]
    assert elbo(log_q, best, weights) >= elbo(log_q, log_softmax(logits, axis=1), weights)


@given(seeds, seeds, st.floats(0.2, 5))
def test_the_e_step_is_exact(seed: int, other: int, temperature: float) -> None:
    """Of all labels, softmax(s / τ) has the highest F_τ, and at τ = 1 the free energy is then 0."""
    _, log_p, weights = problem(seed)
    log_q = e_step(log_p, temperature)
    best = tempered(log_q, log_p, weights, temperature)
    moved = log_q + np.random.default_rng(other).normal(scale=0.1, size=log_q.shape)
    assert best >= tempered(log_softmax(moved, axis=1), log_p, weights, temperature)
    assert best == pytest.approx(temperature * mean_log_partition(log_p, temperature, weights), abs=1e-9)
    assert elbo(e_step(log_p, 1.0), log_p, weights) == pytest.approx(0, abs=1e-12)


def mean_log_partition(log_p: Floats, temperature: float, weights: Floats) -> float:
    """What the maximum is by algebra: F_τ(p^(1/τ), p) = τ log Σ p^(1/τ)."""
    return float(np.average(np.log(np.exp(log_p / temperature).sum(axis=1)), weights=weights))


@given(seeds, st.one_of(st.just(1.0), st.floats(0.3, 3)))
def test_self_labeling_never_lowers_the_free_energy(seed: int, temperature: float) -> None:
    """Round 1 learns from weak labels, later rounds from the round before; F_τ after each half-step."""
    log_q, log_p, weights = problem(seed)
    path = [tempered(log_q, log_p, weights, temperature)]
    for _ in range(5):
        log_p = m_step(log_q, weights)
        path.append(tempered(log_q, log_p, weights, temperature))
        log_q = e_step(log_p, temperature)
        path.append(tempered(log_q, log_p, weights, temperature))
    assert all(after >= before - 1e-9 for before, after in pairwise(path)), path
    assert path[1] > path[0], "learning from weak labels raises it"
    assert path[2] > path[1], "queries of a class had different labels, and now say what the ranker says"


def test_rounds_as_they_are_reported_rise_to_0_at_temperature_1() -> None:
    """Each round reports `elbo` of its labels and of the ranker that learned from them."""
    log_q, _, weights = problem(7)
    reported = []
    for _ in range(4):
        log_p = m_step(log_q, weights)
        reported.append(elbo(log_q, log_p, weights))
        log_q = e_step(log_p, 1.0)
    assert reported[0] < -0.1
    assert reported[1:] == pytest.approx([0, 0, 0], abs=1e-12)


def test_sharper_labels_lower_free_energy_but_not_the_tempered_one() -> None:
    """p = (4/5, 1/5), and q = p² on a scale that sums to 1, (16/17, 1/17): -KL(q || p) is below 0, where q = p was."""
    log_p, one = np.log([[0.8, 0.2]]), np.ones(1)
    log_q = e_step(log_p, 0.5)
    np.testing.assert_allclose(np.exp(log_q), [[16 / 17, 1 / 17]])
    assert elbo(log_p, log_p, one) == 0
    assert elbo(log_q, log_p, one) == pytest.approx(-(16 * math.log(20 / 17) + math.log(5 / 17)) / 17)
    assert elbo(log_q, log_p, one) < 0
    assert tempered(log_q, log_p, one, 0.5) > tempered(log_p, log_p, one, 0.5)


def test_labels_are_the_rankers_softmax() -> None:
    """The E-step as it is said: q ∝ exp(s / τ)."""
    s = np.random.default_rng(2).normal(size=(3, FOUR))
    np.testing.assert_allclose(np.exp(log_probs(s, 0.7)), softmax(s / 0.7, axis=1))
