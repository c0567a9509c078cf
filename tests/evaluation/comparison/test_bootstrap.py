"""Bootstrap over queries or groups, against SciPy and by eye."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wares.evaluation.comparison.bootstrap import BOOTSTRAP_RESAMPLES, ConfidenceInterval, bootstrap_means


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(4).random(50)
    ours = ConfidenceInterval.from_bootstrap(bootstrap_means(values[None])[0])
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=5).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_all_rows_have_the_same_resamples() -> None:
    values = np.random.default_rng(7).random((1, 9))
    means = bootstrap_means(np.concatenate([values, values + 1.0]))
    assert means.shape == (2, BOOTSTRAP_RESAMPLES)
    np.testing.assert_allclose(means[1] - means[0], 1.0)


def test_a_single_value_has_no_variance() -> None:
    assert set(bootstrap_means(np.full((1, 1), 0.25))[0]) == {0.25}
