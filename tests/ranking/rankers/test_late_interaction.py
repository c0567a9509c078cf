"""Late interaction by hand, and principal axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.ranking.rankers.base import Ranker


def test_late_interaction_sums_best_matches(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    """By hand, for one pair: of each query token the largest cosine with a token of the listing."""
    from wares.ranking.rankers.late_interaction import LateInteractionModel

    model = make("late-interaction(dimensions=8)").fit(corpus, seed=0)
    assert isinstance(model, LateInteractionModel)
    query_tokens, listing = model.encode(["red boots", corpus.texts[4]])
    assert query_tokens.shape == (4, 8), "two words between a start and an end"
    cosines = query_tokens.float() @ listing.float().T
    expected = float(model.log_scale.detach().exp()) * float(cosines.max(1).values.sum())
    score = model.scorer().score([Query("1", "red boots")], np.array([[4]]))
    assert score[0, 0] == pytest.approx(expected, rel=1e-3)


def test_principal_axes_keep_inner_products_of_a_plane() -> None:
    """Vectors of a plane lose nothing in two dimensions."""
    from wares.ranking.rankers.late_interaction import principal_axes, project_tokens

    random = torch.Generator().manual_seed(0)
    plane = torch.randn(2, 10, generator=random)
    texts = [torch.randn(count, 2, generator=random) @ plane for count in (3, 5)]
    axes = principal_axes(texts, 2)
    torch.testing.assert_close(axes.T @ axes, torch.eye(2))
    unit = torch.nn.functional.normalize(texts[0], dim=-1)
    (kept,) = project_tokens(texts[:1], axes)
    torch.testing.assert_close(kept.float() @ kept.float().T, unit @ unit.T, atol=2e-3, rtol=0)
