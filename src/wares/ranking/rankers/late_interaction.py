"""Late interaction: a text has a vector per token, and each query token is matched with the best listing token.

Source: ColBERT (Khattab & Zaharia, arXiv 2004.12832). No Python package contains such a model, so this one projects
the token states of a sentence encoder to few dimensions, along their principal axes. The encoder is frozen: states are
computed once and cached, and only a head for queries and one for listings are trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from wares.core.errors import SettingsError
from wares.encoders.base import LinearHead
from wares.encoders.features import notice_truncated
from wares.encoders.registry import build_towers
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.rankers.base import Ranker, RankerModel, best_device, require_sentence_tower
from wares.ranking.rankers.token_states import PackedTokens, token_states
from wares.ranking.scoring import NO_LISTING, Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.ranking.scoring import Indices, Scorer, Scores


INITIAL_SCALE = 4.0  # of sums of cosines; it is learned
QUERY_BATCH_SIZE = 64  # queries encoded at once outside training
TOKEN_BATCH_SIZE = 65536  # tokens of listings encoded at once


@dataclass(frozen=True)
class LateInteractionRanker(Ranker):
    """Sums of best token matches (MaxSim), as in ColBERT, over a frozen sentence encoder; it reranks.

    towers: a name, as for `wares pretrain --towers`
    dimensions: of a token's vector, between 1 and the encoder's dimension
    first_stage: spec of the labeler whose results are reranked; depth: number of these results, >= 1
    """

    requires: ClassVar[str] = "towers with a sentence encoder"
    source: ClassVar[str] = "Khattab & Zaharia, arXiv 2004.12832"
    towers: str = "offline"
    dimensions: int = 128
    first_stage: str = "bm25"
    depth: int = 100
    learning_rate: float = 2e-4
    batch_size: int = 32
    listings_per_query: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.dimensions, self.depth) < 1:
            raise SettingsError(
                f"dimensions and depth of late-interaction must be 1 or more, not {self.dimensions} and {self.depth}."
            )

    def fit(self, corpus: Corpus, seed: int) -> LateInteractionModel:
        """Heads are initialised to the identity. Raises SettingsError for towers without a sentence encoder."""
        tower = require_sentence_tower("late-interaction", self.towers, build_towers(self.towers, seed).text)
        notice_truncated(corpus.texts, tower, "late-interaction")
        states = token_states(corpus.texts, tower)
        axes = principal_axes(states, self.dimensions)
        return LateInteractionModel(
            corpus.texts,
            lambda texts: token_states(texts, tower),
            axes,
            PackedTokens.pack(project_tokens(states, axes)),
            get_labeler(self.first_stage).fit(corpus),
            self.depth,
        )


class LateInteractionModel(RankerModel):
    """MaxSim: the sum, over query tokens, of the largest cosine with a listing's token, times a learned scale.

    texts: of the listings; encode_states: texts -> (t, h) token states of each
    axes: (h, d) onto which token states are projected; listing_tokens: projected tokens of the listings
    first_stage, depth: as of `MaxSimScorer`
    """

    axes: Tensor

    def __init__(
        self,
        texts: Sequence[str],
        encode_states: Callable[[Sequence[str]], list[Tensor]],
        axes: Tensor,
        listing_tokens: PackedTokens,
        first_stage: Scorer,
        depth: int,
    ) -> None:
        super().__init__()
        self.texts, self.encode_states, self.listing_tokens = texts, encode_states, listing_tokens
        self.first_stage, self.depth = first_stage, depth
        self.register_buffer("axes", axes)
        width = axes.shape[1]
        self.query_head, self.listing_head = LinearHead(width), LinearHead(width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_SCALE)))
        self.query_cache: dict[str, Tensor] = {}

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """(t, d) projected unit vectors of each text's tokens, without a head."""
        return project_tokens(self.encode_states(texts), self.axes.cpu())

    def trained_state(self) -> Mapping[str, Tensor]:
        """The heads, and the axes, which depend on the listings of the training."""
        return {**super().trained_state(), "axes": self.axes}

    def adapt_to(self, saved: Mapping[str, Tensor]) -> None:
        """Project the listings' tokens onto the saved axes."""
        if not torch.equal(saved["axes"], self.axes.cpu()):
            self.axes, self.query_cache = saved["axes"], {}
            self.listing_tokens = PackedTokens.pack(self.encode(self.texts))

    def prepare(self, queries: Sequence[Query]) -> None:
        """Encode the training queries once."""
        texts = sorted({query.text for query in queries} - set(self.query_cache))
        self.query_cache |= dict(zip(texts, self.encode(texts), strict=True))

    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """(B, K) scores. A repeated listing passes its head twice, which is faster than summing its gradients."""
        query_vectors, masks = self.query_vectors(queries)
        tokens, lengths = self.listing_tokens.concatenated(listings.clamp(min=0).flatten().cpu())
        vectors, lengths = self.listing_head(tokens.to(self.device)), lengths.unflatten(0, listings.shape)
        per_query = vectors.split(lengths.sum(1).tolist()), lengths.to(self.device)
        rows = zip(query_vectors, masks, *per_query, strict=True)
        return torch.stack([maxsim(query[mask], *listing) for query, mask, *listing in rows]) * self.log_scale.exp()

    def query_vectors(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(n, t, d) unit vectors of the queries' tokens, padded, and their (n, t) mask."""
        is_cached = all(text in self.query_cache for text in texts)
        tokens = PackedTokens.pack([self.query_cache[text] for text in texts] if is_cached else self.encode(texts))
        vectors, mask = (part.to(self.device) for part in tokens.padded(torch.arange(len(texts))))
        return self.query_head(vectors), mask

    def scorer(self) -> MaxSimScorer:
        """A reranker of the first stage, with the token vectors of all listings.

        The vectors stay in main memory: most accelerators are too small for them.
        """
        self.eval().to(best_device())
        blocks = self.listing_tokens.vectors.split(TOKEN_BATCH_SIZE)
        with torch.inference_mode():
            vectors = torch.cat([self.listing_head(block.to(self.device)).cpu() for block in blocks])
        listings = PackedTokens(vectors, self.listing_tokens.ends)
        return MaxSimScorer(
            listings, self._encode_queries, float(self.log_scale.detach().exp()), self.first_stage, self.depth
        )

    def _encode_queries(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        vectors, mask = self.query_vectors(texts)
        return vectors.cpu(), mask.cpu()


@dataclass(frozen=True)
class MaxSimScorer:
    """Late interaction that reranks its first stage, and abstains from empty queries and when the first stage does.

    A hundred listings have thousands of token vectors. On a CPU, comparing the thousands of queries of a round with a
    whole corpus would take longer than training, so the scorer reranks, as in the paper.

    listing_tokens: (t, d) unit vectors of each; encode: texts -> (n, t, d) unit vectors and their (n, t) mask
    scale: of scores; first_stage: the scorer whose results are reranked; depth: number of these results
    """

    listing_tokens: PackedTokens
    encode: Callable[[Sequence[str]], tuple[Tensor, Tensor]]
    scale: float
    first_stage: Scorer
    depth: int

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best of the first stage's `depth` results."""
        listings = self.first_stage.retrieve(queries, self.depth).listings
        return Labels.from_scores(listings, self.score(queries, listings)).top(k)

    @torch.inference_mode()
    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores of given listings."""
        scores = np.full(listings.shape, np.nan, dtype=np.float32)
        present = listings != NO_LISTING
        has_text = np.array([bool(query.text.strip()) for query in queries], dtype=np.bool_)
        rows = np.flatnonzero(has_text & present.any(axis=1))
        for batch in (rows[start : start + QUERY_BATCH_SIZE] for start in range(0, len(rows), QUERY_BATCH_SIZE)):
            encoded, masks = self.encode([queries[row].text for row in batch])
            for row, query, mask in zip(batch, encoded, masks, strict=True):
                vectors, lengths = self.listing_tokens.concatenated(torch.from_numpy(listings[row, present[row]]))
                scores[row, present[row]] = (maxsim(query[mask], vectors, lengths) * self.scale).numpy()
        return scores


def maxsim(query: Tensor, vectors: Tensor, lengths: Tensor) -> Tensor:
    """(n,) sums, over a query's tokens, of the largest inner product with a token of each of n texts.

    query: (t, d); vectors: (T, d) of the tokens of all texts, concatenated
    lengths: (n,) number of tokens of each text, >= 1, summing to T

    The same as maxsim of sentence-transformers, which pads all texts to the longest.
    """
    largest: Tensor = torch.segment_reduce(vectors @ query.T, "max", lengths=lengths, axis=0)
    return largest.sum(1)


def principal_axes(texts: Sequence[Tensor], dimensions: int) -> Tensor:
    """(h, d) principal directions of the unit vectors of all tokens, orthonormal, the largest first.

    texts: (t, h) token states of each. Vectors are not centred, so that d directions keep inner products as well as
    possible (Eckart & Young, 1936). The largest component of each direction is positive.
    """
    moment = torch.zeros(texts[0].shape[1], texts[0].shape[1], dtype=torch.float64)
    for states in texts:
        vectors = normalize(states.float(), dim=-1).double()
        moment += vectors.T @ vectors
    axes = torch.linalg.eigh(moment).eigenvectors.flip(1)[:, :dimensions]
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    signed: Tensor = axes * largest.sign()
    return signed.float().contiguous()


def project_tokens(texts: Sequence[Tensor], axes: Tensor) -> list[Tensor]:
    """(t, d) float16 unit vectors of each text's tokens, projected onto the axes. texts: (t, h) token states of each"""
    return [normalize(normalize(states.float(), dim=-1) @ axes, dim=-1).half() for states in texts]
