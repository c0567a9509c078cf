"""Bootstrap over seeds and queries, against SciPy and by eye."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wares.evaluation.comparison.bootstrap import BOOTSTRAP_RESAMPLES, ConfidenceInterval, bootstrap_means


def test_one_seed_is_the_ordinary_bootstrap() -> None:
    values = np.random.default_rng(4).random(50)
    ours = ConfidenceInterval.from_bootstrap(bootstrap_means(values[None, None])[0])
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=5).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_seeds_that_differ_widen_the_interval() -> None:
    values = np.random.default_rng(6).random((1, 3, 100))
    apart = values + np.array([-0.2, 0.0, 0.2])[None, :, None]
    widths = [np.ptp(np.percentile(bootstrap_means(sample), (2.5, 97.5))) for sample in (values, apart)]
    assert widths[1] > 3 * widths[0]


def test_all_rows_have_the_same_resamples() -> None:
    values = np.random.default_rng(7).random((1, 2, 9))
    values[0, 0, 3] = values[0, 1, 5] = np.nan
    means = bootstrap_means(np.concatenate([values, values + 1.0]))
    assert means.shape == (2, BOOTSTRAP_RESAMPLES)
    np.testing.assert_allclose(means[1] - means[0], 1.0)


def test_a_single_value_has_no_variance() -> None:
    assert set(bootstrap_means(np.full((1, 1, 1), 0.25))[0]) == {0.25}
