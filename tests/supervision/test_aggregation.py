"""Aggregation of labels: cases by eye, properties against oracles, and rounds as Expectation-Maximization."""

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
from strategies import score_tables

from wares.core.errors import SettingsError
from wares.ranking.score_fusion import Floats, zscore_fusion, zscores
from wares.ranking.scoring import NO_LISTING, Labels
from wares.supervision.aggregation import average_overlap, candidate_pool, elbo, log_probs, product_of_experts

NAN, INF = math.nan, math.inf


def scores(*rows: Sequence[float]) -> npt.NDArray[np.float32]:
    return np.array(rows, dtype=np.float32)


def indices(*rows: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(rows, dtype=np.int64)


def labels(listings: npt.NDArray[np.int64]) -> Labels:
    falling = -np.broadcast_to(np.arange(listings.shape[1], dtype=np.float32), listings.shape)
    return Labels(listings, np.where(listings == NO_LISTING, np.float32(NAN), falling))


def test_candidate_pool_by_eye() -> None:
    first = labels(indices([5, 3, 9], [2, NO_LISTING, NO_LISTING], [NO_LISTING, NO_LISTING, NO_LISTING]))
    second = labels(indices([3, 7, 5], [2, NO_LISTING, NO_LISTING], [NO_LISTING, NO_LISTING, NO_LISTING]))
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
def test_candidate_pool_holds_each_candidate_once(found: list[Labels], k: int) -> None:
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


def test_log_probs_by_eye() -> None:
    found = log_probs(np.array([[math.log(3), 0.0, NAN], [NAN, NAN, NAN]]), 1.0)
    np.testing.assert_allclose(np.exp(found), scores([0.75, 0.25, 0], [0, 0, 0]))
    np.testing.assert_array_equal(found[1], [-INF] * 3)


def test_temperature_sharpens_and_flattens_labels() -> None:
    given_labels = np.array([[1.5, 1.0, NAN, -2.0]])
    np.testing.assert_allclose(np.exp(log_probs(given_labels, 1e-3)), [[1, 0, 0, 0]], atol=1e-12)
    for hot in (1e9, INF):
        np.testing.assert_allclose(np.exp(log_probs(given_labels, hot)), [[1 / 3, 1 / 3, 0, 1 / 3]], atol=1e-8)


def test_rankers_keep_their_softmax_and_labelers_are_tempered() -> None:
    said = scores([1, 3, 8], [0, NAN, 2])
    own = log_probs(product_of_experts([said], [True], 0.5), 1.0)
    np.testing.assert_allclose(own[0], log_softmax(said[0].astype(float)), atol=1e-6)
    np.testing.assert_allclose(own[1, [0, 2]], log_softmax(np.array([0.0, 2.0])), atol=1e-6)
    np.testing.assert_allclose(product_of_experts([said], [False], 0.5), zscores(said) / 0.5)


def test_product_of_experts_is_the_geometric_mean() -> None:
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
def test_temperature_must_be_above_0(temperature: float) -> None:
    with pytest.raises(SettingsError, match="temperature of labels must be above 0, not"):
        log_probs(np.zeros((1, 2)), temperature)


@given(score_tables, st.floats(0.05, 20))
def test_log_probs_are_a_log_softmax(rows: list[list[float]], temperature: float) -> None:
    given_labels = zscore_fusion([scores(*rows)])
    found = log_probs(given_labels, temperature)
    for row, values in zip(found, given_labels, strict=True):
        there = ~np.isnan(values)
        assert (row[~there] == -INF).all()
        if there.any():
            np.testing.assert_allclose(row[there], log_softmax(values[there] / temperature), atol=1e-9)
            assert np.exp(row).sum() == pytest.approx(1)


def test_average_overlap_by_eye() -> None:
    """At depth 1: 0 of 1; at depth 2: 2 of 2. And: 1 of 1, 1 of 2, 1 of 3."""
    np.testing.assert_allclose(average_overlap(indices([4, 7]), indices([7, 4]), depth=2), [(0 + 1) / 2])
    np.testing.assert_allclose(
        average_overlap(indices([1, 2, 3]), indices([1, 8, 9]), depth=3), [(1 + 1 / 2 + 1 / 3) / 3]
    )
    np.testing.assert_allclose(average_overlap(indices([1, 2]), indices([3, 4]), depth=2), [0])
    np.testing.assert_allclose(
        average_overlap(indices([NO_LISTING, NO_LISTING]), indices([NO_LISTING, NO_LISTING]), depth=2), [0]
    )
    np.testing.assert_allclose(average_overlap(indices([5]), indices([5]), depth=2), [(1 + 1 / 2) / 2])


@given(st.integers(0, 4).flatmap(lambda n: st.tuples(rankings(n), rankings(n, 7))), st.integers(1, 9))
def test_average_overlap_against_its_definition(pair: tuple[Labels, Labels], depth: int) -> None:
    first, second = (each.listings for each in pair)
    found = average_overlap(first, second, depth)
    np.testing.assert_allclose(found, average_overlap(second, first, depth), err_msg="symmetric")
    for value, a, b in zip(found, first.tolist(), second.tolist(), strict=True):
        shared = [len((set(a[:d]) & set(b[:d])) - {NO_LISTING}) / d for d in range(1, depth + 1)]
        assert value == pytest.approx(sum(shared) / depth)
        assert 0 <= value <= 1


@given(st.permutations(range(12)), st.integers(1, 12))
def test_a_ranking_overlaps_fully_with_itself(order: list[int], depth: int) -> None:
    np.testing.assert_allclose(average_overlap(indices(order), indices(order), depth), [1])


def test_elbo_by_eye() -> None:
    """The first query is -KL((3/4, 1/4) || (1/2, 1/2)), the second, of three times the weight, 0."""
    q, p = np.array([[0.75, 0.25], [0.5, 0.5]]), np.full((2, 2), 0.5)
    expected = -(0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 4
    assert elbo(np.log(q), np.log(p), np.array([1.0, 3.0])) == pytest.approx(expected)


def test_elbo_ignores_listings_without_labels() -> None:
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
def test_elbo_is_minus_the_divergence(given_tables: tuple[Floats, Floats, Floats]) -> None:
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
def test_self_labeling_never_lowers_the_tempered_elbo(seed: int, temperature: float) -> None:
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


def test_reported_elbo_rises_to_0_at_temperature_1() -> None:
    """Each round reports `elbo` of its labels and of the ranker that learned from them."""
    log_q, _, weights = problem(7)
    reported = []
    for _ in range(4):
        log_p = m_step(log_q, weights)
        reported.append(elbo(log_q, log_p, weights))
        log_q = e_step(log_p, 1.0)
    assert reported[0] < -0.1
    assert reported[1:] == pytest.approx([0, 0, 0], abs=1e-12)


def test_sharper_labels_lower_the_elbo_but_not_the_tempered_one() -> None:
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
