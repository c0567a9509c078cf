"""Static embeddings by hand."""

from __future__ import annotations

from collections.abc import Callable

import torch

from wares.data.corpus import Corpus
from wares.ranking.rankers.base import Ranker


def test_static_is_a_weighted_mean_of_token_vectors(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    """By hand: each token's vector times its weight, summed and brought to length 1."""
    from wares.ranking.rankers.static import StaticModel

    model = make("static").fit(corpus, seed=0)
    assert isinstance(model, StaticModel)
    ids = model.tokenizer("red boots red", add_special_tokens=False)["input_ids"]
    assert len(ids) == 3
    total = sum(model.token_vectors[token] * model.token_weights[token] for token in ids)
    assert isinstance(total, torch.Tensor)
    torch.testing.assert_close(model.query_vectors(["red boots red"])[0], total / total.norm())


def test_a_common_token_weighs_less(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    from wares.ranking.rankers.static import StaticModel

    model = make("static").fit(corpus, seed=0)
    assert isinstance(model, StaticModel)
    often, never = (model.tokenizer.convert_tokens_to_ids(word) for word in ("red", "winter"))
    assert model.token_weights[often] < model.token_weights[never]
