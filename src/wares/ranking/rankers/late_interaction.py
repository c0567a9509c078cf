"""Late interaction: a text is a vector for each of its tokens, and every token of a query looks for its best match.

Source: ColBERT (Khattab & Zaharia, arXiv 2004.12832). No such model comes with a Python package, so this one reads the
token states of a sentence encoder and brings them down to few dimensions by their principal axes. The encoder stays
as it is: states are computed once and cached, and heads for queries and listings are what learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from wares.core.errors import SettingsError
from wares.encoders.base import LinearHead
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


INITIAL_SCALE = 4.0  # of sums of cosines at the start; learned
QUERY_BATCH_SIZE = 64  # encoded at once outside training
TOKEN_BATCH_SIZE = 65536  # tokens of listings encoded at once


@dataclass(frozen=True)
class LateInteractionRanker(Ranker):
    """Token states of a frozen sentence encoder under a head for queries and one for listings.

    towers: a name as `wares pretrain --towers` takes it
    dimensions: of a token's vector, at most the encoder's own
    first_stage: the labeler whose results are reranked; depth: how many of them
    """

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
            raise SettingsError("dimensions and depth of late-interaction are 1 or more.")

    def fit(self, corpus: Corpus, seed: int) -> LateInteractionModel:
        """Heads start as the identity. Raises SettingsError where the towers have no sentence encoder."""
        tower = require_sentence_tower("late-interaction", self.towers, build_towers(self.towers, seed).text)
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
    """Sums, over a query's tokens, of the cosine with the nearest token of a listing; on a learned scale.

    texts: of the listings; encode_states: texts -> (t, h) of each; axes: (h, d) along which tokens are compared
    listing_count: their tokens along these axes; first_stage, depth: as `MaxSimScorer` takes them
    """

    axes: Tensor

    def __init__(
        self,
        texts: Sequence[str],
        encode_states: Callable[[Sequence[str]], list[Tensor]],
        axes: Tensor,
        listing_count: PackedTokens,
        first_stage: Scorer,
        depth: int,
    ) -> None:
        super().__init__()
        self.texts, self.encode_states, self.listing_count, self.first_stage, self.depth = (
            texts,
            encode_states,
            listing_count,
            first_stage,
            depth,
        )
        self.register_buffer("axes", axes)
        width = axes.shape[1]
        self.query_head, self.listing_head = LinearHead(width), LinearHead(width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_SCALE)))
        self.query_cache: dict[str, Tensor] = {}

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """(t, d) unit vectors of each text's tokens, before any head."""
        return project_tokens(self.encode_states(texts), self.axes.cpu())

    def trained_state(self) -> Mapping[str, Tensor]:
        """The heads, and the axes that they were taught along, which follow from the listings that were there."""
        return {**super().trained_state(), "axes": self.axes}

    def adapt_to(self, saved: Mapping[str, Tensor]) -> None:
        """Tokens along the axes that were saved."""
        if not torch.equal(saved["axes"], self.axes.cpu()):
            self.axes, self.query_cache = saved["axes"], {}
            self.listing_count = PackedTokens.pack(self.encode(self.texts))

    def prepare(self, queries: Sequence[Query]) -> None:
        """Read what training will ask for."""
        texts = sorted({query.text for query in queries} - set(self.query_cache))
        self.query_cache |= dict(zip(texts, self.encode(texts), strict=True))

    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """A listing that comes twice goes through its head twice: to add up its gradients would take longer."""
        asked, there = self.query_vectors(queries)
        tokens, lengths = self.listing_count.concatenated(listings.clamp(min=0).flatten().cpu())
        vectors, lengths = self.listing_head(tokens.to(self.device)), lengths.unflatten(0, listings.shape)
        parts = zip(asked, there, vectors.split(lengths.sum(1).tolist()), lengths.to(self.device), strict=True)
        return torch.stack([maxsim(query[real], *part) for query, real, *part in parts]) * self.log_scale.exp()

    def query_vectors(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(n, t, d) unit vectors, and (n, t) where there is one."""
        known = all(text in self.query_cache for text in texts)
        tokens = PackedTokens.pack([self.query_cache[text] for text in texts] if known else self.encode(texts))
        vectors, present = (each.to(self.device) for each in tokens.padded(torch.arange(len(texts))))
        return self.query_head(vectors), present

    def scorer(self) -> MaxSimScorer:
        """Token vectors of all listings, through the head, over what another scorer retrieves.

        They are too many for most accelerators, and stay in main memory.
        """
        self.eval().to(best_device())
        blocks = self.listing_count.vectors.split(TOKEN_BATCH_SIZE)
        with torch.inference_mode():
            vectors = torch.cat([self.listing_head(block.to(self.device)).cpu() for block in blocks])
        listings = PackedTokens(vectors, self.listing_count.ends)
        return MaxSimScorer(listings, self._asked, float(self.log_scale.detach().exp()), self.first_stage, self.depth)

    def _asked(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        vectors, present = self.query_vectors(texts)
        return vectors.cpu(), present.cpu()


@dataclass(frozen=True)
class MaxSimScorer:
    """Late interaction with what a first stage retrieves. Abstains where the first stage does, and from empty queries.

    A query is compared with thousands of token vectors for every hundred listing_tokens: with a whole corpus, for the
    thousands of queries of a round, a processor would take longer than to train. So it reranks, as in the paper.

    listing_tokens: (t, d) unit vectors of each; encode: texts -> (n, t, d) unit vectors and (n, t) which are there
    scale: of scores; first_stage, depth: whose results are reranked, and how many of them
    """

    listing_tokens: PackedTokens
    encode: Callable[[Sequence[str]], tuple[Tensor, Tensor]]
    scale: float
    first_stage: Scorer
    depth: int

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The best k of the first stage's `depth` results."""
        listings = self.first_stage.retrieve(queries, self.depth).listings
        return Labels.from_scores(listings, self.score(queries, listings)).top(k)

    @torch.inference_mode()
    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """Scores of these pairs."""
        found = np.full(listings.shape, np.nan, dtype=np.float32)
        named = listings != NO_LISTING
        filled = np.array([bool(query.text.strip()) for query in queries], dtype=np.bool_)
        asking = np.flatnonzero(filled & named.any(axis=1))
        for places in (asking[start : start + QUERY_BATCH_SIZE] for start in range(0, len(asking), QUERY_BATCH_SIZE)):
            asked, real = self.encode([queries[place].text for place in places])
            for place, query, there in zip(places, asked, real, strict=True):
                vectors, lengths = self.listing_tokens.concatenated(torch.from_numpy(listings[place, named[place]]))
                found[place, named[place]] = (maxsim(query[there], vectors, lengths) * self.scale).numpy()
        return found


def maxsim(query: Tensor, vectors: Tensor, lengths: Tensor) -> Tensor:
    """(n,) sums, over a query's tokens, of the largest inner product with a token of each of n texts.

    query: (t, d); vectors: (T, d) of all texts' tokens, one text after the other; lengths: (n,) their tokens, summing
    to T, >= 1. The same as maxsim of sentence-transformers, which pads all texts to the longest.
    """
    largest: Tensor = torch.segment_reduce(vectors @ query.T, "max", lengths=lengths, axis=0)
    return largest.sum(1)


def principal_axes(texts: Sequence[Tensor], dimensions: int) -> Tensor:
    """(h, d) orthonormal directions that keep the most of all tokens' unit vectors, the most important first.

    texts: (t, h) states of each. Vectors are not centred: so inner products, which scores are made of, are kept as
    well as d directions can (Eckart & Young, 1936). Each direction's largest component is above 0.
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
    """(t, d) float16 unit vectors of each text's tokens along the axes. texts: (t, h) states of each"""
    return [normalize(normalize(states.float(), dim=-1) @ axes, dim=-1).half() for states in texts]
