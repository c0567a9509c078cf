"""A cross-encoder: query and listing are read together, which is dear, so it reranks what another scorer retrieves.

Source: monoBERT (Nogueira & Cho, arXiv 1901.04085). No cross-encoder comes with a Python package, so the offline one
starts as the first layers of a sentence encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from wares.errors import SettingsError
from wares.labelers import NONE, Labels, get_labeler
from wares.rankers import Pace, RankerModel, sentence_tower
from wares.towers import build_towers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.catalogue import Query
    from wares.corpus import Corpus
    from wares.labelers import Places, Scorer, Scores

PAIRS = 128  # scored at once outside training
TOKENS = 192  # of a pair, where the encoder reads as many


@dataclass(frozen=True)
class CrossEncoderRanker:
    """A linear layer over the mean of a sentence encoder's tokens, all of it trained.

    towers: a name as `wares pretrain --towers` takes it; layers: how many of the encoder's layers are used, from the
    first; first: the labeler whose results are reranked; depth: how many of them
    """

    towers: str = "offline"
    layers: int = 3
    first: str = "bm25"
    depth: int = 60
    learning_rate: float = 5e-5
    batch_size: int = 16
    listings: int = 8

    def __post_init__(self) -> None:
        _ = self.pace
        if min(self.layers, self.depth) < 1:
            raise SettingsError("layers and depth of cross-encoder are 1 or more.")

    @property
    def pace(self) -> Pace:
        """As the settings say."""
        return Pace(self.learning_rate, self.batch_size, self.listings)

    def build(self, corpus: Corpus, seed: int) -> CrossEncoderModel:
        """The encoder's first layers. Raises SettingsError where the towers have no sentence encoder."""
        tower = sentence_tower("cross-encoder", self.towers, build_towers(self.towers, seed).text)
        network: Any = tower.backbone[0].auto_model
        network.encoder.layer = network.encoder.layer[: self.layers]
        network.pooler = None
        first = get_labeler(self.first).over(corpus)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return CrossEncoderModel(network, tower.backbone.tokenizer, corpus.texts, first, self.depth)


class CrossEncoderModel(RankerModel):
    """A cross-encoder over one corpus."""

    def __init__(self, network: Any, tokenizer: Any, texts: Sequence[str], first: Scorer, depth: int) -> None:
        super().__init__()
        self.network = network.requires_grad_(True)
        self.tokenizer, self.texts, self.first, self.depth = tokenizer, texts, first, depth
        self.output = nn.Linear(network.config.hidden_size, 1)
        self.tokens = min(TOKENS, network.config.max_position_embeddings)

    def prepare(self, queries: Sequence[Query]) -> None:
        """Nothing can be encoded before training."""

    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """Every pair is read on its own; places of -1 are not read."""
        scores = torch.zeros(listings.shape)
        rows, columns = (listings != NONE).nonzero(as_tuple=True)
        texts = [self.texts[place] for place in listings[rows, columns].tolist()]
        return scores.index_put((rows, columns), self.pairs([queries[row] for row in rows.tolist()], texts))

    def pairs(self, queries: Sequence[str], texts: Sequence[str]) -> Tensor:
        """(n,) scores of query and text."""
        tokens = self.tokenizer(
            list(queries),
            list(texts),
            truncation="longest_first",
            max_length=self.tokens,
            padding=True,
            return_tensors="pt",
        )
        states = self.network(**tokens).last_hidden_state
        there = tokens["attention_mask"][:, :, None]
        scores: Tensor = self.output((states * there).sum(1) / there.sum(1))[:, 0]
        return scores

    def scorer(self) -> Reranker:
        """The model over what another scorer retrieves."""
        self.eval()
        return Reranker(self)


class Reranker:
    """A cross-encoder's scores for what its first stage retrieves. Abstains where the first stage does."""

    def __init__(self, model: CrossEncoderModel) -> None:
        self.model = model

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The best k of the first stage's `depth` results."""
        listings = self.model.first.retrieve(queries, self.model.depth).listings
        return Labels.of(listings, self.score(queries, listings)).top(k)

    @torch.inference_mode()
    def score(self, queries: Sequence[Query], listings: Places) -> Scores:
        """Scores of these pairs, read in the order of their length."""
        found = np.full(listings.shape, np.nan, dtype=np.float32)
        rows, columns = np.nonzero(listings != NONE)
        texts = [self.model.texts[place] for place in listings[rows, columns]]
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(order), PAIRS):
            some = order[start : start + PAIRS]
            scores = self.model.pairs([queries[row].text for row in rows[some]], [texts[i] for i in some])
            found[rows[some], columns[some]] = scores.numpy()
        return found
