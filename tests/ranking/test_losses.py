"""Losses of rankers: contracts for all of them, cases by eye, and the library's own losses as the oracle."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wares.core.errors import SettingsError
from wares.ranking.losses import RANKING_LOSSES, get_ranking_loss, lambda_ndcg, listwise_kl, margin_mse, ranknet

NAMES = sorted(RANKING_LOSSES)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Five queries with six listings, some fewer; labels fall along each row, as teachers give them."""
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    labels = torch.randn(5, 6, generator=generator, dtype=torch.float64).sort(1, descending=True).values
    present = torch.ones(5, 6, dtype=torch.bool)
    present[1, 4:] = present[3, 2:] = False
    return scores.requires_grad_(), labels, present


# Contracts


@pytest.mark.parametrize("name", NAMES)
def test_weight_1_is_the_default_and_weight_0_removes_a_query(name: str, batch: tuple[Tensor, ...]) -> None:
    scores, labels, present = batch
    loss = get_ranking_loss(name)
    torch.testing.assert_close(loss(scores, labels, present, torch.ones(5)), loss(scores, labels, present, None))
    weights = torch.tensor([1.0, 0.0, 2.0, 0.5, 0.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(loss(scores, labels, present, weights), scores)
    assert (gradient.abs().sum(1) > 0).tolist() == [True, False, True, True, False]


@pytest.mark.parametrize("name", NAMES)
def test_weights_scale_a_querys_gradient(name: str, batch: tuple[Tensor, ...]) -> None:
    scores, labels, present = batch
    loss = get_ranking_loss(name)
    weights = torch.tensor([1.0, 0.25, 2.0, 0.5, 3.0], dtype=torch.float64)
    (plain,) = torch.autograd.grad(loss(scores, labels, present, None), scores)
    (weighted,) = torch.autograd.grad(loss(scores, labels, present, weights), scores)
    torch.testing.assert_close(weighted, plain * weights[:, None])


@pytest.mark.parametrize("name", NAMES)
def test_padding_is_ignored(name: str, batch: tuple[Tensor, ...]) -> None:
    scores, labels, present = batch
    loss = get_ranking_loss(name)
    noise = torch.where(present, 0.0, torch.tensor(17.0, dtype=torch.float64))
    before = loss(scores, labels, present, None)
    torch.testing.assert_close(before, loss(scores + noise, labels - 2 * noise, present, None))
    torch.testing.assert_close(before, loss(scores, labels.masked_fill(~present, torch.nan), present, None))
    (gradient,) = torch.autograd.grad(before, scores)
    assert not gradient[~present].any()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_descent_gives_the_teachers_order(name: str, batch: tuple[Tensor, ...]) -> None:
    _, labels, present = batch
    scores = torch.zeros_like(labels, requires_grad=True)
    optimiser = torch.optim.Adam([scores], lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        get_ranking_loss(name)(scores, labels, present, None).backward()
        optimiser.step()
    for row, mask in zip(scores.detach(), present, strict=True):
        assert (row[mask][:3].diff() < 0).all(), "losses of nDCG weigh the rest little"


@pytest.mark.parametrize("name", NAMES)
def test_a_single_listing_teaches_nothing(name: str) -> None:
    scores = torch.tensor([[1.0, 5.0]], requires_grad=True)
    loss = get_ranking_loss(name)(scores, torch.zeros(1, 2), torch.tensor([[True, False]]), None)
    loss.backward()
    assert loss == 0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_an_unknown_loss_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="no ranking loss 'hinge'; there are listwise-kl, ranknet"):
        get_ranking_loss("hinge")


# By eye


def test_listwise_kl_of_two_listings() -> None:
    """Probabilities 3/4 and 1/4 by the teacher, 1/2 each by the ranker: .75 ln 1.5 + .25 ln .5."""
    labels = torch.tensor([[math.log(3.0), 0.0]])
    found = listwise_kl(torch.zeros(1, 2), labels, torch.ones(1, 2, dtype=torch.bool))
    assert found == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_margin_of_two_listings() -> None:
    """The teacher's margin is 3, the ranker's 1: (1 - 3)² = 4."""
    found = margin_mse(torch.tensor([[2.0, 1.0]]), torch.tensor([[5.0, 2.0]]), torch.ones(1, 2, dtype=torch.bool))
    assert found == 4


# The library's losses


class FixedScores(torch.nn.Module):
    """A cross-encoder with given scores."""

    num_labels = 1
    device = torch.device("cpu")

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores

    def preprocess(self, pairs: list[tuple[str, str]], **_: object) -> dict[str, Tensor]:
        return {"index": torch.tensor([[int(query), int(listing)] for query, listing in pairs])}

    def forward(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"scores": self.scores[tokens["index"][:, 0], tokens["index"][:, 1]]}


def library(loss: torch.nn.Module, labels: Tensor, present: Tensor) -> Tensor:
    """A cross-encoder loss of sentence-transformers on the listings that are there."""
    queries = [str(query) for query in range(len(labels))]
    listings = [[str(index) for index in row.nonzero()[:, 0].tolist()] for row in present]
    found: Tensor = loss([queries, listings], [row[mask] for row, mask in zip(labels, present, strict=True)])
    return found


def test_ranknet_equals_sentence_transformers(batch: tuple[Tensor, ...]) -> None:
    from sentence_transformers.cross_encoder.losses import RankNetLoss

    scores, labels, present = (values.float() if values.is_floating_point() else values for values in batch)
    oracle = library(RankNetLoss(FixedScores(scores), reduction_log="natural"), labels, present)  # type: ignore[arg-type]
    torch.testing.assert_close(ranknet(scores, labels, present), oracle)


def test_lambda_equals_sentence_transformers(batch: tuple[Tensor, ...]) -> None:
    from sentence_transformers.cross_encoder.losses import LambdaLoss

    scores, labels, present = (values.float() if values.is_floating_point() else values for values in batch)
    relevance = (labels - labels[:, :1]).exp()
    oracle = library(LambdaLoss(FixedScores(scores)), relevance, present)  # type: ignore[arg-type]
    torch.testing.assert_close(lambda_ndcg(scores, labels, present), oracle)


def columns(scores: Tensor) -> list[Tensor]:
    """Embeddings of a query and its listings, as the library's losses take them, whose products are these scores."""
    ones = torch.ones(len(scores), 1)
    return [ones, *(scores[:, index, None] for index in range(scores.shape[1]))]


def test_listwise_kl_and_margin_equal_sentence_transformers() -> None:
    """The library takes as many listings of every query."""
    from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss, MarginMSELoss

    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(4, 3, generator=generator)
    labels = torch.randn(4, 3, generator=generator).sort(1, descending=True).values
    present = torch.ones(4, 3, dtype=torch.bool)
    distill, margin = DistillKLDivLoss(None), MarginMSELoss(None)  # type: ignore[arg-type]
    torch.testing.assert_close(
        listwise_kl(scores, labels, present), distill.compute_loss_from_embeddings(columns(scores), labels)
    )
    margins = labels[:, :1] - labels[:, 1:]
    torch.testing.assert_close(
        margin_mse(scores, labels, present), margin.compute_loss_from_embeddings(columns(scores), margins)
    )
