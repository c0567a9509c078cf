"""Learned sparse retrieval: a text is a few non-negative weights over the tokens of the corpus, as in a term index.

Source: SPLADE (Formal et al., arXiv 2107.05720, with the max pooling of arXiv 2109.10086). The weight of a token is
log(1 + relu) of its largest logit over a text, scores are inner products, and FLOPS regularisation (Paria et al.,
arXiv 2004.05665) keeps most weights at 0. SPLADE starts from a masked language model, which no Python package contains.
So, by our reading, the head is initialised in closed form: a ridge regression predicts tokens from a sentence encoder's
states. Untrained weights are then those of a bag of words, by inverse document frequency, plus a few similar words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import elu, linear

from wares.core.errors import SettingsError
from wares.encoders.features import notice_truncated
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


INFERENCE_BATCH_SIZE = 16  # texts encoded at once outside training
STATE_BATCH_SIZE = 8192  # token states summed at once
RIDGE_FACTOR = 0.01  # relative to the mean variance of the states
EXPANSION_THRESHOLD = 6.0  # standard deviations of a token's similarity above which other tokens get a weight initially


@dataclass(frozen=True)
class SparseRanker(Ranker):
    """Sparse token weights in a term index, as in SPLADE, by a head over a frozen sentence encoder.

    Without a masked language model to start from, its results stay below those of BM25.

    towers: a name, as for `wares pretrain --towers`
    flops_weight: weight of the FLOPS regularisation in the loss, >= 0; larger values give sparser vectors
    """

    requires: ClassVar[str] = "towers with a sentence encoder"
    source: ClassVar[str] = "Formal et al., arXiv 2107.05720"
    towers: str = "offline"
    flops_weight: float = 1e-3
    learning_rate: float = 1e-3
    batch_size: int = 32
    listings_per_query: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flops_weight < 0:
            raise SettingsError(f"flops_weight of sparse must be 0 or more, not {self.flops_weight}.")

    def fit(self, corpus: Corpus, seed: int) -> SparseModel:
        """The head is initialised in closed form. Raises SettingsError for towers without a sentence encoder."""
        tower = require_sentence_tower("sparse", self.towers, build_towers(self.towers, seed).text)
        notice_truncated(corpus.texts, tower, "sparse")
        ids, states = content_tokens(corpus.texts, tower)
        vocabulary = torch.cat(ids).unique()
        document_frequency = torch.cat([row.unique() for row in ids]).bincount(minlength=int(vocabulary.max()) + 1)
        tokens = torch.searchsorted(vocabulary, torch.cat(ids))
        head = initial_head(torch.cat(states), tokens, document_frequency[vocabulary], len(ids))
        return SparseModel(vocabulary, ids, states, lambda texts: content_tokens(texts, tower), head, self.flops_weight)


class SparseHead(nn.Module):
    """Logits of V tokens for a token's state, with a bonus for the token itself.

    linear: (h,) -> (V,); own_token_weight: (V,) bonus of each token
    """

    def __init__(self, linear: nn.Linear, own_token_weight: Tensor) -> None:
        super().__init__()
        self.linear, self.own_token_weight = linear, nn.Parameter(own_token_weight)

    def forward(self, states: Tensor, tokens: Tensor, wanted: Tensor) -> Tensor:
        """(n, t, v) logits of v tokens.

        states: (n, t, h); tokens: (n, t) column of each token in the vocabulary, or -1; wanted: (v,) columns
        """
        is_own = tokens[:, :, None] == wanted
        logits = (
            linear(states, self.linear.weight[wanted], self.linear.bias[wanted])
            + is_own * self.own_token_weight[wanted]
        )
        # The ELU keeps a token's own logit above 0: a query whose weights are all 0 would have no gradient.
        return torch.where(is_own, elu(logits - 1) + 1, logits)


ContentTokens = tuple[list[Tensor], list[Tensor]]


class SparseModel(RankerModel):
    """Token weights of texts, over the vocabulary of the training corpus.

    vocabulary: (V,) token ids, ascending; ids, states: (t,) and (t, h) of each listing's tokens
    encode: texts -> their ids and states
    """

    vocabulary: Tensor

    def __init__(
        self,
        vocabulary: Tensor,
        ids: Sequence[Tensor],
        states: Sequence[Tensor],
        encode: Callable[[Sequence[str]], ContentTokens],
        head: SparseHead,
        flops_weight: float,
    ) -> None:
        super().__init__()
        self.encode, self.head, self.flops_weight = encode, head, flops_weight
        self.register_buffer("vocabulary", vocabulary)
        self.ids, self.states = PackedTokens.pack([row[:, None] for row in ids]), PackedTokens.pack(states)
        self.query_cache: dict[str, tuple[Tensor, Tensor]] = {}
        self.batch_flops = torch.zeros(())

    def trained_state(self) -> Mapping[str, Tensor]:
        """The head, and the vocabulary that it was trained with."""
        return {**super().trained_state(), "vocabulary": self.vocabulary}

    def adapt_to(self, saved: Mapping[str, Tensor]) -> None:
        """Resize the head to the saved vocabulary."""
        size = len(saved["vocabulary"])
        self.vocabulary = torch.zeros(size, dtype=torch.int64)
        self.head = SparseHead(nn.Linear(self.head.linear.in_features, size), torch.zeros(size))

    def prepare(self, queries: Sequence[Query]) -> None:
        """Encode the training queries once."""
        texts = sorted({query.text for query in queries} - set(self.query_cache))
        self.query_cache |= dict(zip(texts, zip(*self.encode(texts), strict=True), strict=True))

    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """(B, K) scores. Listings get weights only for the tokens of the batch's queries: others add nothing."""
        query_weights = self.query_weights(queries)
        used = query_weights.detach().any(0).nonzero()[:, 0]
        indices, inverse = listings.clamp(min=0).unique(return_inverse=True)
        listing_weights = self.token_weights(self.ids, self.states, indices, used)
        self.batch_flops = flops_loss(query_weights) + flops_loss(listing_weights)
        return (query_weights[:, used] @ listing_weights.T).gather(1, inverse)

    def regulariser(self) -> Tensor:
        """Weighted FLOPS of the batch's queries, and of its listings over the tokens of these queries."""
        return self.flops_weight * self.batch_flops

    def query_weights(self, texts: Sequence[str]) -> Tensor:
        """(n, V) token weights of queries."""
        is_cached = all(text in self.query_cache for text in texts)
        ids, states = zip(*(self.query_cache[text] for text in texts), strict=True) if is_cached else self.encode(texts)
        tokens = PackedTokens.pack([row[:, None] for row in ids])
        return self.token_weights(tokens, PackedTokens.pack(states), torch.arange(len(texts)), self._all_tokens)

    @property
    def _all_tokens(self) -> Tensor:
        return torch.arange(len(self.vocabulary), device=self.device)

    def token_weights(self, ids: PackedTokens, states: PackedTokens, indices: Tensor, wanted: Tensor) -> Tensor:
        """(n, v) weights, >= 0, of the wanted tokens in n texts. wanted: (v,) columns of the vocabulary"""
        padded_states, mask = (part.to(self.device) for part in states.padded(indices.cpu()))
        padded_ids = ids.padded(indices.cpu())[0][:, :, 0].long().to(self.device)
        tokens = torch.searchsorted(self.vocabulary, padded_ids).clamp(max=len(self.vocabulary) - 1)
        tokens = tokens.where(self.vocabulary[tokens] == padded_ids, -1)
        return max_pool(self.head(padded_states, tokens, wanted), mask)

    def scorer(self) -> SparseScorer:
        """A term index of all listings."""
        self.eval().to(best_device())
        batches = torch.arange(len(self.ids.ends)).split(INFERENCE_BATCH_SIZE)
        with torch.inference_mode():
            weights = [_sparse(self.token_weights(self.ids, self.states, batch, self._all_tokens)) for batch in batches]
        return SparseScorer(weights, self._encode_queries)

    @torch.inference_mode()
    def _encode_queries(self, texts: Sequence[str]) -> csr_array[Any]:
        return _sparse(self.query_weights(texts))


class SparseScorer:
    """Inner products of sparse token weights. It abstains from queries without any weight.

    listing_weights: (n, V) per batch of listings; encode: texts -> (n, V)
    """

    def __init__(
        self, listing_weights: Sequence[csr_array[Any]], encode: Callable[[Sequence[str]], csr_array[Any]]
    ) -> None:
        from scipy.sparse import vstack

        self.listing_weights, self.encode = vstack(list(listing_weights)).tocsc(), encode

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings per query, among those that share a token with it."""
        return sparse_retrieve(self._query_weights(queries), self.listing_weights, k)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores of given listings; 0 if no token is shared."""
        return sparse_score(self._query_weights(queries), self.listing_weights, listings)

    def _query_weights(self, queries: Sequence[Query]) -> csr_array[Any]:
        from scipy.sparse import csr_array, vstack

        texts = [query.text for query in queries]
        empty: Any = csr_array((0, self.listing_weights.shape[1]), dtype=np.float32)
        batches: list[Any] = [
            self.encode(texts[start : start + INFERENCE_BATCH_SIZE])
            for start in range(0, len(texts), INFERENCE_BATCH_SIZE)
        ]
        weights: csr_array[Any] = vstack([empty, *batches]).tocsr()
        return weights


def max_pool(logits: Tensor, mask: Tensor) -> Tensor:
    """(n, v) largest log(1 + relu(logit)) over a text's tokens; 0 for a text without tokens.

    logits: (n, t, v); mask: (n, t) bool, False for padding

    The same as SpladePooling of sentence-transformers. The function is monotone, so pooling can come first, and the
    gradient needs t times less memory.
    """
    return logits.masked_fill(~mask[:, :, None], -torch.inf).amax(1).relu().log1p()


def flops_loss(weights: Tensor) -> Tensor:
    """Sum over tokens of the squared mean weight: the expected cost of an inner product. weights: (n, v), >= 0

    The same as FlopsLoss of sentence-transformers. Source: Paria et al., arXiv 2004.05665.
    """
    return weights.mean(0).square().sum()


def initial_head(states: Tensor, tokens: Tensor, document_frequency: Tensor, text_count: int) -> SparseHead:
    """A head that predicts each token from its state, scaled by its inverse document frequency.

    states: (T, h); tokens: (T,) column of each in the vocabulary; document_frequency: (V,) texts with each token, >= 1

    The similarity of a token to a state is a ridge regression on all states, scaled so that the token's own states have
    a mean of 1 and all states a mean of 0. A similarity of 1 gives a token's own state a weight of sqrt(idf), so that a
    token that query and listing share adds its idf. A state of another token gets a weight only if its similarity is
    above the noise, and above the mean of the token's own states. Our reading.
    """
    idf = (text_count / document_frequency.double()).log1p()
    width, counts = states.shape[1], tokens.bincount(minlength=len(idf))[:, None]
    means, moment = torch.zeros(len(idf), width, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
    for columns, values in zip(tokens.split(STATE_BATCH_SIZE), states.split(STATE_BATCH_SIZE), strict=True):
        means.index_add_(0, columns, values.double())
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
    """(t,) ids and (t, h) states of each text's tokens, without special tokens."""
    special = torch.tensor(tower.backbone.tokenizer.all_special_ids)
    ids = [torch.tensor(row, dtype=torch.int64) for row in token_ids(texts, tower)]
    masks = [~torch.isin(row, special) for row in ids]
    states = token_states(texts, tower)
    return (
        [row[mask] for row, mask in zip(ids, masks, strict=True)],
        [row[mask] for row, mask in zip(states, masks, strict=True)],
    )


def _sparse(weights: Tensor) -> csr_array[Any]:
    from scipy.sparse import csr_array

    return csr_array(weights.cpu().numpy())
