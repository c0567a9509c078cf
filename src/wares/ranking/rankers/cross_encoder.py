"""A cross-encoder: it reads query and listing together, which is slow, so it reranks the results of another scorer.

Source: monoBERT (Nogueira & Cho, arXiv 1901.04085). It is initialised from a published cross-encoder or, because no
Python package contains one, from the first layers of a sentence encoder.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from wares.core.errors import ModelError, SettingsError
from wares.core.progress import notice
from wares.encoders.hub import load_pretrained
from wares.encoders.registry import build_towers
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.rankers.base import (
    Ranker,
    RankerModel,
    best_device,
    load_trained,
    require_sentence_tower,
)
from wares.ranking.reranking import CrossEncoderReranker, ListingData, placeholder_corpus
from wares.ranking.scoring import NO_LISTING, Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.ranking.scoring import Indices, Scorer, Scores


INFERENCE_BATCH_SIZE = 128  # pairs scored at once outside training
MAX_TOKENS = 192  # of a pair, unless the encoder reads fewer


@dataclass(frozen=True)
class CrossEncoderRanker(Ranker):
    """An encoder that reads query and listing together, as in monoBERT; it reranks, and all its layers are trained.

    model: name or folder of a published cross-encoder with one output, as sentence-transformers' `CrossEncoder` loads
    towers, layers: without a model, a name as for `wares pretrain --towers`, and the number of its encoder's first
        layers that are used; a linear layer over the mean of the tokens gives the score
    first_stage: spec of the labeler whose results are reranked; depth: number of these results, >= 1
    """

    needs: ClassVar[ListingData] = "texts"
    requires: ClassVar[str] = "a cross-encoder, or towers with a sentence encoder"
    source: ClassVar[str] = "Nogueira & Cho, arXiv 1901.04085"
    model: str = ""
    towers: str = "offline"
    layers: int = 3
    first_stage: str = "bm25"
    depth: int = 60
    learning_rate: float = 5e-5
    batch_size: int = 16
    listings_per_query: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.layers, self.depth) < 1:
            raise SettingsError(
                f"layers and depth of cross-encoder must be 1 or more, not {self.layers} and {self.depth}."
            )
        if self.model and (self.towers, self.layers) != (CrossEncoderRanker.towers, CrossEncoderRanker.layers):
            raise SettingsError(
                "a cross-encoder takes a model with all its layers, or towers and layers. Leave one of them out."
            )

    def fit(self, corpus: Corpus, seed: int) -> CrossEncoderModel:
        """The published cross-encoder, or the first layers of the towers' encoder.

        Raises SettingsError if the towers have no sentence encoder, ModelError if the model is not a cross-encoder.
        """
        network, tokenizer = (
            load_cross_encoder(self.model) if self.model else build_truncated_encoder(self.towers, self.layers, seed)
        )
        model = CrossEncoderModel(
            network, tokenizer, corpus.texts, get_labeler(self.first_stage).fit(corpus), self.depth
        )
        model.notice_truncated()
        return model

    def write_listing_side(self, trained: Path, seed: int, corpus: Corpus, out: Path) -> None:
        """Write nothing: it reads the texts of candidates."""
        self._without_first_stage(trained, seed)

    def open_reranker(self, folder: Path, seed: int, corpus: Callable[[], Corpus]) -> CrossEncoderReranker:
        """Scores the texts of candidates; the corpus is not read."""
        del corpus
        return CrossEncoderReranker(self._without_first_stage(folder, seed).scorer_over)

    def _without_first_stage(self, folder: Path, seed: int) -> CrossEncoderModel:
        """The trained model without a real first stage: the shop retrieves."""
        settings = replace(self, first_stage="query-likelihood")
        return load_trained(settings.fit(placeholder_corpus(), seed), folder)


class PretrainedCrossEncoder(nn.Module):
    """A published cross-encoder."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.max_tokens = model, model.config.max_position_embeddings

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """(n,) logits of pairs."""
        logits: Tensor = self.model(**tokens).logits
        return logits[:, 0]


class TruncatedEncoder(nn.Module):
    """The first layers of an encoder, and a randomly initialised linear layer over the mean of its tokens."""

    def __init__(self, encoder: Any, layers: int) -> None:
        super().__init__()
        encoder.encoder.layer = encoder.encoder.layer[:layers]
        encoder.pooler = None
        self.encoder, self.max_tokens = encoder, encoder.config.max_position_embeddings
        self.output = nn.Linear(encoder.config.hidden_size, 1)

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """(n,) logits of pairs."""
        states, mask = self.encoder(**tokens).last_hidden_state, tokens["attention_mask"][:, :, None]
        logits: Tensor = self.output((states * mask).sum(1) / mask.sum(1))
        return logits[:, 0]


def load_cross_encoder(name: str) -> tuple[PretrainedCrossEncoder, Any]:
    """A published cross-encoder and its tokenizer. Raises ModelError."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = (load_pretrained(kind, name) for kind in (AutoModelForSequenceClassification, AutoTokenizer))
    if model.config.num_labels != 1:
        raise ModelError(f"{name} has {model.config.num_labels} outputs. Choose a cross-encoder with one output.")
    return PretrainedCrossEncoder(model), tokenizer


def build_truncated_encoder(towers: str, layers: int, seed: int) -> tuple[TruncatedEncoder, Any]:
    """The first layers of the towers' sentence encoder, and its tokenizer. Raises SettingsError."""
    tower = require_sentence_tower("cross-encoder", towers, build_towers(towers, seed).text)
    encoder: Any = tower.backbone[0].auto_model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TruncatedEncoder(encoder, layers), tower.backbone.tokenizer


class CrossEncoderModel(RankerModel):
    """A cross-encoder over one corpus."""

    def __init__(
        self,
        network: PretrainedCrossEncoder | TruncatedEncoder,
        tokenizer: Any,
        texts: Sequence[str],
        first_stage: Scorer,
        depth: int,
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(True)
        self.tokenizer, self.texts, self.first_stage, self.depth = tokenizer, texts, first_stage, depth
        self.max_tokens = min(MAX_TOKENS, network.max_tokens)

    def scorer_over(self, texts: Sequence[str]) -> Scorer:
        """The scorer of other texts, with the same weights."""
        model = copy(self)
        model.texts = texts
        return model.scorer()

    def prepare(self, queries: Sequence[Query]) -> None:
        """Nothing: a query is encoded together with its listings."""

    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """(B, K) scores; padding is not encoded and scores 0."""
        scores = torch.zeros(listings.shape, device=self.device)
        rows, columns = (listings != NO_LISTING).nonzero(as_tuple=True)
        texts = [self.texts[index] for index in listings[rows, columns].tolist()]
        return scores.index_put((rows, columns), self.score_pairs([queries[row] for row in rows.tolist()], texts))

    def score_pairs(self, queries: Sequence[str], texts: Sequence[str]) -> Tensor:
        """(n,) scores of n queries with a text each."""
        tokens = self.tokenizer(
            list(queries),
            list(texts),
            truncation="longest_first",
            max_length=self.max_tokens,
            padding=True,
            return_tensors="pt",
        )
        scores: Tensor = self.network(tokens.to(self.device))
        return scores

    def notice_truncated(self) -> None:
        """Print how many texts are longer than the model reads, even beside an empty query, if any are."""
        tokens = self.tokenizer([""] * len(self.texts), list(self.texts), truncation=False, verbose=False)["input_ids"]
        if count := sum(len(ids) > self.max_tokens for ids in tokens):
            notice(
                f"{count:,} of {len(self.texts):,} texts are longer than the {self.max_tokens} tokens that "
                "cross-encoder reads together with a query, and are truncated."
            )

    def scorer(self) -> CrossEncoderScorer:
        """The model as a reranker of its first stage."""
        self.eval().to(best_device())
        return CrossEncoderScorer(self)


class CrossEncoderScorer:
    """A cross-encoder that reranks its first stage. It abstains when the first stage does."""

    def __init__(self, model: CrossEncoderModel) -> None:
        self.model = model

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best of the first stage's `depth` results."""
        listings = self.model.first_stage.retrieve(queries, self.model.depth).listings
        return Labels.from_scores(listings, self.score(queries, listings)).top(k)

    @torch.inference_mode()
    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores of given listings, computed in the order of their length."""
        scores = np.full(listings.shape, np.nan, dtype=np.float32)
        rows, columns = np.nonzero(listings != NO_LISTING)
        texts = [self.model.texts[index] for index in listings[rows, columns]]
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(order), INFERENCE_BATCH_SIZE):
            batch = order[start : start + INFERENCE_BATCH_SIZE]
            logits = self.model.score_pairs([queries[row].text for row in rows[batch]], [texts[i] for i in batch])
            scores[rows[batch], columns[batch]] = logits.cpu().numpy()
        return scores
