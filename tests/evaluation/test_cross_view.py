"""Cross-view measures against ir_measures and by eye."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wares.core.errors import EvaluationError
from wares.evaluation.cross_view import measure_cross_view
from wares.evaluation.measures import DEFAULT_MEASURES


@given(seed=st.integers(0, 2**32 - 1), queries=st.integers(1, 6), candidates=st.integers(1, 14))
@settings(max_examples=60, deadline=None)
def test_cross_view_is_ir_measures(seed: int, queries: int, candidates: int) -> None:
    """Small integers make many ties; ids that decrease with position make ir_measures break them in the same order."""
    random = np.random.default_rng(seed)
    left, right = random.integers(-2, 3, (queries, 2)), random.integers(-2, 3, (candidates, 2))
    relevant = random.random((queries, candidates)) < 0.3
    relevant[np.arange(queries), random.integers(0, candidates, queries)] = True
    measures = [*DEFAULT_MEASURES, "nDCG@3", "R@3", "P@3"]
    measured = measure_cross_view(left.astype(np.float32), right.astype(np.float32), relevant, measures)

    ids = [f"{candidates - i:03d}" for i in range(candidates)]
    run = {f"q{i}": dict(zip(ids, map(float, row), strict=True)) for i, row in enumerate(left @ right.T)}
    qrels = {f"q{i}": dict(zip(ids, map(int, row), strict=True)) for i, row in enumerate(relevant)}
    parsed = [ir_measures.parse_measure(name) for name in measures]
    for metric in ir_measures.iter_calc(parsed, qrels, run):
        ours = measured[str(metric.measure)][int(metric.query_id[1:])]
        assert ours == pytest.approx(metric.value, abs=1e-9), metric


def test_cross_view_by_eye() -> None:
    """One query; candidates in the order relevant, not, relevant."""
    measured = measure_cross_view(np.array([[1.0]]), np.array([[3.0], [2.0], [1.0]]), np.array([[True, False, True]]))
    assert measured["AP"] == pytest.approx([(1 + 2 / 3) / 2])
    assert measured["RR"] == [1.0]
    assert measured["nDCG@10"] == pytest.approx([1.5 / (1 + 1 / np.log2(3))])


def test_group_labels_and_blocks_give_equal_values(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    left, right = random.normal(size=(23, 4)), random.normal(size=(31, 4))
    left_groups, right_groups = random.integers(0, 5, 23), np.arange(31) % 5
    expected = measure_cross_view(left, right, left_groups[:, None] == right_groups[None])
    monkeypatch.setattr("wares.evaluation.cross_view.SIMILARITIES_PER_BLOCK", 100)
    in_blocks = measure_cross_view(left, right, (left_groups, right_groups))
    for name in DEFAULT_MEASURES:
        np.testing.assert_array_equal(expected[name], in_blocks[name])


def test_cross_view_refuses_queries_without_a_relevant_candidate() -> None:
    with pytest.raises(EvaluationError, match="query 1 has no relevant candidate"):
        measure_cross_view(np.eye(2), np.eye(2), np.array([[True, False], [False, False]]))
    with pytest.raises(EvaluationError, match="'AP@3' is no cross-view measure"):
        measure_cross_view(np.eye(2), np.eye(2), np.eye(2, dtype=bool), ["AP@3"])
