"""Learned sparse retrieval: a text is a few non-negative weights over the tokens of the corpus, as in a term index.

Source: SPLADE (Formal et al., arXiv 2107.05720, max pooling as in 2109.10086): the weight of a token is log(1 + relu)
of its largest logit over a text, scores are inner products, and FLOPS regularisation (Paria et al., arXiv 2004.05665)
keeps most weights at 0. SPLADE starts from a masked language model, and none comes with a Python package. So, by our
reading, the head starts in closed form, by ridge regression of tokens on a sentence encoder's states of them, and
untaught weights are those of a bag of words, by inverse document frequency, and a few words that are used alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import elu, linear

from wares.core.errors import SettingsError
from wares.encoders.registry import build_towers
from wares.ranking.labelers.term_matching import sparse_retrieve, sparse_score
from wares.ranking.rankers.base import Ranker, RankerModel, best_device, require_sentence_tower
from wares.ranking.rankers.token_states import PackedTokens, token_ids, token_states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scipy.sparse import csr_array

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.encoders.sentence import SentenceTower
    from wares.ranking.scoring import Indices, Labels, Scores


INFERENCE_BATCH_SIZE = 16  # texts weighed at once outside training
STATE_BATCH_SIZE = 8192  # summed at once
RIDGE_FACTOR = 0.01  # of the states' mean variance
EXPANSION_THRESHOLD = (
    6.0  # deviations of a token's likeness over all states, below which another token is no expansion at the start
)


@dataclass(frozen=True)
class SparseRanker(Ranker):
    """A head from token states to weights of tokens, over a frozen sentence encoder.

    Here for its index, not for its results: it starts below BM25, as its start is no masked language model.

    towers: a name as `wares pretrain --towers` takes it
    flops_weight: how much the FLOPS of queries and of listings count in the loss, >= 0; larger is sparser
    """

    towers: str = "offline"
    flops_weight: float = 1e-3
    learning_rate: float = 1e-3
    batch_size: int = 32
    listings_per_query: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flops_weight < 0:
            raise SettingsError(f"flops of sparse are 0 or more, not {self.flops_weight}.")

    def fit(self, corpus: Corpus, seed: int) -> SparseModel:
        """The head in closed form. Raises SettingsError where the towers have no sentence encoder."""
        tower = require_sentence_tower("sparse", self.towers, build_towers(self.towers, seed).text)
        ids, states = content_tokens(corpus.texts, tower)
        vocabulary = torch.cat(ids).unique()
        in_texts = torch.cat([each.unique() for each in ids]).bincount(minlength=int(vocabulary.max()) + 1)[vocabulary]
        head = initial_head(torch.cat(states), torch.searchsorted(vocabulary, torch.cat(ids)), in_texts, len(ids))
        return SparseModel(vocabulary, ids, states, lambda texts: content_tokens(texts, tower), head, self.flops_weight)


class SparseHead(nn.Module):
    """Logits of V tokens for a token's state, and more for the token itself.

    linear: (h,) -> (V,); own_token_weight: (V,) what a token adds to its own logit
    """

    def __init__(self, linear: nn.Linear, own_token_weight: Tensor) -> None:
        super().__init__()
        self.linear, self.own_token_weight = linear, nn.Parameter(own_token_weight)

    def forward(self, states: Tensor, tokens: Tensor, wanted: Tensor) -> Tensor:
        """(n, t, v) logits. states: (n, t, h); tokens: (n, t) of V, or -1; wanted: (v,) for which of V"""
        own = tokens[:, :, None] == wanted
        logits = (
            linear(states, self.linear.weight[wanted], self.linear.bias[wanted]) + own * self.own_token_weight[wanted]
        )
        # Below 1, a token's own logit falls towards 0 and stays above it: a query without weights could not learn.
        return torch.where(own, elu(logits - 1) + 1, logits)


ContentTokens = tuple[list[Tensor], list[Tensor]]


class SparseModel(RankerModel):
    """Weights over the tokens of the corpus that it is taught with, and of any that is searched by it afterwards.

    vocabulary: (V,) ids, rising; ids, encode_states: (t,) and (t, h) of each listing's tokens; encode: texts -> the same
    """

    vocabulary: Tensor

    def __init__(
        self,
        vocabulary: Tensor,
        ids: Sequence[Tensor],
        encode_states: Sequence[Tensor],
        encode: Callable[[Sequence[str]], ContentTokens],
        head: SparseHead,
        flops_weight: float,
    ) -> None:
        super().__init__()
        self.encode, self.head, self.flops_weight = encode, head, flops_weight
        self.register_buffer("vocabulary", vocabulary)
        self.ids, self.encode_states = (
            PackedTokens.pack([each[:, None] for each in ids]),
            PackedTokens.pack(encode_states),
        )
        self.query_cache: dict[str, tuple[Tensor, Tensor]] = {}
        self.batch_flops = torch.zeros(())

    def trained_state(self) -> Mapping[str, Tensor]:
        """The head, and which tokens its weights are of."""
        return {**super().trained_state(), "vocabulary": self.vocabulary}

    def adapt_to(self, saved: Mapping[str, Tensor]) -> None:
        """As many tokens as were saved."""
        many = len(saved["vocabulary"])
        self.vocabulary = torch.zeros(many, dtype=torch.int64)
        self.head = SparseHead(nn.Linear(self.head.linear.in_features, many), torch.zeros(many))

    def prepare(self, queries: Sequence[Query]) -> None:
        """Read what training will ask for."""
        texts = sorted({query.text for query in queries} - set(self.query_cache))
        self.query_cache |= dict(zip(texts, zip(*self.encode(texts), strict=True), strict=True))

    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """Listings are weighed by those tokens only that a query of the batch asks for: others add nothing."""
        asked = self.query_weights(queries)
        used = asked.detach().any(0).nonzero()[:, 0]
        places, inverse = listings.clamp(min=0).unique(return_inverse=True)
        held = self.token_weights(self.ids, self.encode_states, places, used)
        self.batch_flops = flops_loss(asked) + flops_loss(held)
        return (asked[:, used] @ held.T).gather(1, inverse)

    def regulariser(self) -> Tensor:
        """FLOPS of the batch's queries, and of its listings as far as these queries ask: what searching costs."""
        return self.flops_weight * self.batch_flops

    def query_weights(self, texts: Sequence[str]) -> Tensor:
        """(n, V)"""
        known = all(text in self.query_cache for text in texts)
        ids, states = zip(*(self.query_cache[text] for text in texts), strict=True) if known else self.encode(texts)
        tokens = PackedTokens.pack([each[:, None] for each in ids])
        return self.token_weights(tokens, PackedTokens.pack(states), torch.arange(len(texts)), self._everything)

    @property
    def _everything(self) -> Tensor:
        return torch.arange(len(self.vocabulary), device=self.device)

    def token_weights(self, ids: PackedTokens, states: PackedTokens, places: Tensor, wanted: Tensor) -> Tensor:
        """(n, v) weights, >= 0, of the wanted ones of V tokens, for the texts at these places."""
        values, present = (each.to(self.device) for each in states.padded(places.cpu()))
        named = ids.padded(places.cpu())[0][:, :, 0].long().to(self.device)
        tokens = torch.searchsorted(self.vocabulary, named).clamp(max=len(self.vocabulary) - 1)
        tokens = tokens.where(self.vocabulary[tokens] == named, -1)
        return max_pool(self.head(values, tokens, wanted), present)

    def scorer(self) -> SparseScorer:
        """A term index of all listings."""
        self.eval().to(best_device())
        blocks = torch.arange(len(self.ids.ends)).split(INFERENCE_BATCH_SIZE)
        with torch.inference_mode():
            weights = [
                _sparse(self.token_weights(self.ids, self.encode_states, block, self._everything)) for block in blocks
            ]
        return SparseScorer(weights, self._asked)

    @torch.inference_mode()
    def _asked(self, texts: Sequence[str]) -> csr_array[Any]:
        return _sparse(self.query_weights(texts))


class SparseScorer:
    """Inner products of sparse weights. It abstains from queries that have none.

    listing_weights: (n, V) weights, in blocks; encode: texts -> (n, V)
    """

    def __init__(
        self, listing_weights: Sequence[csr_array[Any]], encode: Callable[[Sequence[str]], csr_array[Any]]
    ) -> None:
        from scipy.sparse import vstack

        self.listing_weights, self.encode = vstack(list(listing_weights)).tocsc(), encode

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings of each query, of those that share a token with it."""
        return sparse_retrieve(self._asked(queries), self.listing_weights, k)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """Scores of these listings, 0 where no token is shared."""
        return sparse_score(self._asked(queries), self.listing_weights, listings)

    def _asked(self, queries: Sequence[Query]) -> csr_array[Any]:
        from scipy.sparse import csr_array, vstack

        texts = [query.text for query in queries]
        nothing: Any = csr_array((0, self.listing_weights.shape[1]), dtype=np.float32)
        blocks: list[Any] = [
            self.encode(texts[start : start + INFERENCE_BATCH_SIZE])
            for start in range(0, len(texts), INFERENCE_BATCH_SIZE)
        ]
        weights: csr_array[Any] = vstack([nothing, *blocks]).tocsr()
        return weights


def max_pool(logits: Tensor, present: Tensor) -> Tensor:
    """(n, v) log(1 + relu(logits)), the largest over a text's tokens; 0 for a text without tokens.

    logits: (n, t, v); present: (n, t) where there is a token. The same as SpladePooling of sentence-transformers; but
    as the function rises, pooling comes first, and t times less is held for the gradient.
    """
    return logits.masked_fill(~present[:, :, None], -torch.inf).amax(1).relu().log1p()


def flops_loss(weights: Tensor) -> Tensor:
    """Sum over tokens of the squared mean weight, the expected cost of an inner product. weights: (n, v), >= 0

    The same as FlopsLoss of sentence-transformers. Source: arXiv 2004.05665.
    """
    return weights.mean(0).square().sum()


def initial_head(states: Tensor, tokens: Tensor, in_texts: Tensor, texts: int) -> SparseHead:
    """Logits that give a token back from its state, by its inverse document frequency.

    states: (T, h); tokens: (T,) which of V each is; in_texts: (V,) how many of the `texts` hold it, >= 1

    A token's likeness to a state is its ridge regression on all states, scaled so that its own states have 1 on
    average and all states 0. A likeness of 1 to a state of its own becomes a weight of sqrt(idf), so that a token that
    query and listing share is worth its idf. States of other tokens have to be liker than noise, and liker than its
    own are on average, to count. Our reading.
    """
    idf = (texts / in_texts.double()).log1p()
    width, counts = states.shape[1], tokens.bincount(minlength=len(idf))[:, None]
    means, moment = torch.zeros(len(idf), width, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
    for some, values in zip(tokens.split(STATE_BATCH_SIZE), states.split(STATE_BATCH_SIZE), strict=True):
        means.index_add_(0, some, values.double())
        moment += (values.float().T @ values.float()).double()
    mean = means.sum(0) / len(states)
    means = means / counts - mean
    covariance = moment / len(states) - mean[:, None] * mean
    ridge = RIDGE_FACTOR * covariance.trace() / width * torch.eye(width, dtype=torch.float64)
    directions = torch.linalg.solve(covariance + ridge, means.T).T
    directions /= (directions * means).sum(1, keepdim=True).clamp(min=1e-9)
    deviation = (directions @ covariance * directions).sum(1).clamp(min=0).sqrt()
    margin, gain = (EXPANSION_THRESHOLD * deviation).clamp(min=1), idf.sqrt().expm1()
    head = nn.Linear(width, len(idf))
    with torch.no_grad():
        head.weight.copy_(gain[:, None] * directions)
        head.bias.copy_(-gain * (margin + directions @ mean))
    return SparseHead(head, (gain * margin).float())


def content_tokens(texts: Sequence[str], tower: SentenceTower) -> ContentTokens:
    """(t,) ids and (t, h) states of each text's tokens, but special ones."""
    special = torch.tensor(tower.backbone.tokenizer.all_special_ids)
    ids = [torch.tensor(each, dtype=torch.int64) for each in token_ids(texts, tower)]
    plain = [~torch.isin(each, special) for each in ids]
    states = token_states(texts, tower)
    return (
        [each[kept] for each, kept in zip(ids, plain, strict=True)],
        [each[kept] for each, kept in zip(states, plain, strict=True)],
    )


def _sparse(weights: Tensor) -> csr_array[Any]:
    from scipy.sparse import csr_array

    return csr_array(weights.cpu().numpy())
