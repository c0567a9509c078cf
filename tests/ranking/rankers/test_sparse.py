"""Learned sparse retrieval against sentence-transformers, and its initial head by eye."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from ranker_cases import word_labels

from wares.data.corpus import Corpus
from wares.ranking.rankers.base import Ranker, TrainingDefaults
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.training import train_ranker


def test_sparse_weights_equal_splade() -> None:
    """Pooling and FLOPS are those of sentence-transformers."""
    from sentence_transformers.sparse_encoder.losses import FlopsLoss
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    from wares.ranking.rankers.sparse import flops_loss, max_pool

    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    present = torch.tensor([[True, True, True, True], [True, False, False, False], [False, False, False, False]])
    weights = max_pool(logits, present)
    features = {"token_embeddings": logits.clone(), "attention_mask": present}
    torch.testing.assert_close(weights, SpladePooling()(features)["sentence_embedding"])
    assert (weights >= 0).all() and (weights[2] == 0).all()
    torch.testing.assert_close(flops_loss(weights), FlopsLoss(None).compute_loss_from_embeddings(weights))  # type: ignore[arg-type]


def test_a_sparse_head_starts_as_an_idf_weighted_bag_of_words() -> None:
    """Each token's states are one direction of their own: it gets sqrt(idf), and nothing else does."""
    from wares.ranking.rankers.sparse import initial_head, max_pool

    states, document_frequency = torch.eye(6).repeat(5, 1), torch.arange(1, 7)
    head = initial_head(states, torch.arange(6).repeat(5), document_frequency, text_count=6)
    tokens = torch.tensor([[0, 2, 2]])
    weights = max_pool(head(states[tokens], tokens, torch.arange(6)), torch.ones(1, 3, dtype=torch.bool))
    idf = torch.log1p(6 / document_frequency) * torch.tensor([1, 0, 1, 0, 0, 0])
    torch.testing.assert_close(weights[0], idf.sqrt())


def test_more_flops_regularisation_makes_sparser_vectors(
    make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    """From weights for every token of the corpus, at first."""
    from wares.ranking.rankers.sparse import SparseModel

    nonzero_counts = []
    for name in ("sparse(flops_weight=0)", "sparse(flops_weight=1)"):
        model = make(name).fit(corpus, seed=0)
        assert isinstance(model, SparseModel)
        torch.nn.init.constant_(model.head.linear.bias, 1.0)
        train_ranker(
            model, word_labels(corpus), TrainingDefaults(2e-2, 6, 8), RankerTrainingSettings(epochs=60), 0, tmp_path
        )
        nonzero_counts.append(model.scorer().listing_weights.nnz)
    assert nonzero_counts[1] < nonzero_counts[0]
