"""A cross-encoder: query and listing are read together, which is dear, so it reranks what another scorer retrieves.

Source: monoBERT (Nogueira & Cho, arXiv 1901.04085). It starts as a published cross-encoder or, since none comes with
a Python package, as the first layers of a sentence encoder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from wares.core.errors import ModelError, SettingsError
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


INFERENCE_BATCH_SIZE = 128  # scored at once outside training
MAX_TOKENS = 192  # of a pair, where the encoder reads as many


@dataclass(frozen=True)
class CrossEncoderRanker(Ranker):
    """A published cross-encoder, or a linear layer over the mean of a sentence encoder's tokens; all of it is trained.

    model: hub name or folder of a cross-encoder with one output, as `CrossEncoder` of sentence-transformers loads it
    towers: without a model, a name as `wares pretrain --towers` takes it; layers: how many of the encoder's layers are
    used, from the first; first_stage: the labeler whose results are reranked; depth: how many of them
    """

    needs: ClassVar[ListingData] = "texts"

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
            raise SettingsError("layers and depth of cross-encoder are 1 or more.")
        if self.model and (self.towers, self.layers) != (CrossEncoderRanker.towers, CrossEncoderRanker.layers):
            raise SettingsError("a cross-encoder has a model, or towers and layers; a model comes with all its layers.")

    def fit(self, corpus: Corpus, seed: int) -> CrossEncoderModel:
        """The model, or the encoder's first layers.

        Raises SettingsError where the towers have no sentence encoder, ModelError where the model is no cross-encoder.
        """
        network, tokenizer = (
            load_cross_encoder(self.model) if self.model else build_truncated_encoder(self.towers, self.layers, seed)
        )
        return CrossEncoderModel(
            network, tokenizer, corpus.texts, get_labeler(self.first_stage).fit(corpus), self.depth
        )

    def write_listing_side(self, trained: Path, seed: int, corpus: Corpus, out: Path) -> None:
        """Write nothing: it reads the texts of candidates."""
        self._without_first_stage(trained, seed)

    def open_reranker(self, folder: Path, seed: int, corpus: Callable[[], Corpus]) -> CrossEncoderReranker:
        """Over the texts of candidates; the corpus is not read."""
        del corpus
        return CrossEncoderReranker(self._without_first_stage(folder, seed))

    def _without_first_stage(self, folder: Path, seed: int) -> CrossEncoderModel:
        """The trained model without results of its own to rerank: a shop retrieves."""
        lexical = replace(self, first_stage="query-likelihood")
        return load_trained(lexical.fit(placeholder_corpus(), seed), folder)


class PretrainedCrossEncoder(nn.Module):
    """A cross-encoder as its makers left it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.max_tokens = model, model.config.max_position_embeddings

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """(n,) logits of pairs."""
        logits: Tensor = self.model(**tokens).logits
        return logits[:, 0]


class TruncatedEncoder(nn.Module):
    """The first layers of an encoder, and a linear layer over the mean of its tokens, which starts at random."""

    def __init__(self, encoder: Any, layers: int) -> None:
        super().__init__()
        encoder.encoder.layer = encoder.encoder.layer[:layers]
        encoder.pooler = None
        self.encoder, self.max_tokens = encoder, encoder.config.max_position_embeddings
        self.output = nn.Linear(encoder.config.hidden_size, 1)

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """(n,) logits of pairs."""
        states, there = self.encoder(**tokens).last_hidden_state, tokens["attention_mask"][:, :, None]
        logits: Tensor = self.output((states * there).sum(1) / there.sum(1))
        return logits[:, 0]


def load_cross_encoder(name: str) -> tuple[PretrainedCrossEncoder, Any]:
    """A published cross-encoder and its tokenizer. Raises ModelError."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = (load_pretrained(kind, name) for kind in (AutoModelForSequenceClassification, AutoTokenizer))
    if model.config.num_labels != 1:
        raise ModelError(f"{name} gives {model.config.num_labels} numbers for a pair; a cross-encoder gives one.")
    return PretrainedCrossEncoder(model), tokenizer


def build_truncated_encoder(towers: str, layers: int, seed: int) -> tuple[TruncatedEncoder, Any]:
    """The first layers of the towers' encoder and its tokenizer."""
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

    def prepare(self, queries: Sequence[Query]) -> None:
        """Nothing can be encoded before training."""

    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """Every pair is read on its own; places of -1 are not read."""
        scores = torch.zeros(listings.shape, device=self.device)
        rows, columns = (listings != NO_LISTING).nonzero(as_tuple=True)
        texts = [self.texts[place] for place in listings[rows, columns].tolist()]
        return scores.index_put((rows, columns), self.score_pairs([queries[row] for row in rows.tolist()], texts))

    def score_pairs(self, queries: Sequence[str], texts: Sequence[str]) -> Tensor:
        """(n,) scores of query and text."""
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

    def scorer(self) -> CrossEncoderScorer:
        """The model over what another scorer retrieves."""
        self.eval().to(best_device())
        return CrossEncoderScorer(self)


class CrossEncoderScorer:
    """A cross-encoder's scores for what its first stage retrieves. Abstains where the first stage does."""

    def __init__(self, model: CrossEncoderModel) -> None:
        self.model = model

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The best k of the first stage's `depth` results."""
        listings = self.model.first_stage.retrieve(queries, self.model.depth).listings
        return Labels.from_scores(listings, self.score(queries, listings)).top(k)

    @torch.inference_mode()
    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """Scores of these pairs, read in the order of their length."""
        found = np.full(listings.shape, np.nan, dtype=np.float32)
        rows, columns = np.nonzero(listings != NO_LISTING)
        texts = [self.model.texts[place] for place in listings[rows, columns]]
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(order), INFERENCE_BATCH_SIZE):
            some = order[start : start + INFERENCE_BATCH_SIZE]
            scores = self.model.score_pairs([queries[row].text for row in rows[some]], [texts[i] for i in some])
            found[rows[some], columns[some]] = scores.cpu().numpy()
        return found
