"""Base classes of rankers: settings, the trainable model, and what it learns from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from wares.core.errors import ModelError, SettingsError
from wares.encoders.base import save_weights
from wares.ranking.reranking import CorpusReranker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.encoders.base import TextTower
    from wares.encoders.sentence import SentenceTower
    from wares.encoders.towers import Towers
    from wares.ranking.reranking import ListingData, Reranker
    from wares.ranking.scoring import Indices, Scorer


WEIGHTS_FILE = "ranker.safetensors"
M = TypeVar("M", bound="RankerModel")


@dataclass(frozen=True)
class SoftLabels:
    """What a ranker learns from: queries, some listings of each, what teachers say of them, and how much it counts.

    listings: (Q, K) places in the corpus; -1 where there are fewer than K
    log_probs: (Q, K) logarithm of each listing's share of its query; -inf where there is none
    weights: (Q,) of the queries, >= 0, mean 1
    """

    queries: Sequence[Query]
    listings: Indices
    log_probs: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True)
class TrainingDefaults:
    """How fast a kind of ranker learns.

    learning_rate: after the warm-up, > 0; batch_size: queries in a step; listings_per_query: of each query in a step, >= 2
    """

    learning_rate: float
    batch_size: int
    listings_per_query: int

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise SettingsError(f"a learning rate is above 0, not {self.learning_rate}.")
        if self.batch_size < 1 or self.listings_per_query < 2:
            raise SettingsError("a step takes one query or more, and two listings or more of each.")


class Ranker(ABC):
    """Settings of a model, and how a shop uses it once it is trained.

    Subclasses are frozen dataclasses with the fields named here. By default a shop builds the model over all of its
    listings when it first reranks, which any ranker can do.

    needs: what reranking needs of a shop's listings: "vectors", "texts", or all of them as a "corpus"
    replaces_query_tower: whether it encodes a shop's queries in place of its model, and does not rerank
    """

    needs: ClassVar[ListingData] = "corpus"
    replaces_query_tower: ClassVar[bool] = False
    learning_rate: float
    batch_size: int
    listings_per_query: int

    def __post_init__(self) -> None:
        _ = self.training_defaults  # checks them

    @property
    def training_defaults(self) -> TrainingDefaults:
        """Learning rate and sizes of a training step. Raises SettingsError."""
        return TrainingDefaults(self.learning_rate, self.batch_size, self.listings_per_query)

    @abstractmethod
    def fit(self, corpus: Corpus, seed: int) -> RankerModel:
        """The untrained model over a corpus. seed: of whatever starts at random"""

    def write_listing_side(self, trained: Path, seed: int, corpus: Corpus, out: Path) -> None:
        """Write what `open_reranker` needs of a shop's listings, besides the weights; by default nothing.

        trained: folder of the weights; out: folder that the shop keeps
        Raises ModelError if the weights do not load.
        """
        load_trained(self.fit(corpus, seed), trained)

    def open_reranker(self, folder: Path, seed: int, corpus: Callable[[], Corpus]) -> Reranker:
        """The trained ranker, ready to score candidates. Raises ModelError.

        folder: of the weights and of what `write_listing_side` wrote; corpus: returns the shop's listings
        """
        listings = corpus()
        return CorpusReranker(load_trained(self.fit(listings, seed), folder).scorer(), listings.ids.tolist())

    def check_towers(self, identity: str, run: Path) -> None:
        """Raise ModelError if a shop with this model cannot use the ranker; by default any shop can.

        run: of the ranker, for the message
        """
        del identity, run

    def query_towers(self, folder: Path, towers: Towers) -> Towers:
        """The towers that encode a shop's queries: by default its own. Raises ModelError. folder: of the weights"""
        del folder
        return towers


def load_trained(model: M, folder: Path) -> M:
    """The model with the weights of a folder, in evaluation mode. Raises ModelError."""
    model.load(folder)
    model.eval()
    return model


def best_device() -> torch.device:
    """The accelerator, where there is one."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


class RankerModel(nn.Module, ABC):
    """A model that can be trained, over one corpus. It learns and scores on the accelerator, where there is one."""

    @property
    def device(self) -> torch.device:
        """Where its parameters are; what it keeps of texts stays in main memory."""
        return next(self.parameters()).device

    @abstractmethod
    def prepare(self, queries: Sequence[Query]) -> None:
        """Told of all queries that training will bring, before it starts."""

    @abstractmethod
    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """(B, K) scores of listings, (B, K) places, on the scale of logits; whatever where a place is -1."""

    def regulariser(self) -> Tensor:
        """A scalar that joins the loss of the batch that `forward` saw last; 0 for most."""
        return torch.zeros(())

    @abstractmethod
    def scorer(self) -> Scorer:
        """The model as it is now, ready to rank and to teach."""

    def trained_state(self) -> Mapping[str, Tensor]:
        """What training changes, by name."""
        names = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        return {name: value for name, value in self.state_dict().items() if name in names}

    def save(self, folder: Path) -> None:
        """Write what training changed."""
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(self.trained_state(), folder / WEIGHTS_FILE)

    def adapt_to(self, saved: Mapping[str, Tensor]) -> None:
        """Take on what saved weights depend on, of the listings that they were taught with; nothing for most."""

    def load(self, folder: Path) -> None:
        """Take on what was saved by a model of the same settings, over these listings or others. Raises ModelError."""
        try:
            saved = load_file(str(folder / WEIGHTS_FILE))
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{folder / WEIGHTS_FILE} does not load ({error}). Train the ranker again.") from None
        if set(saved) != set(self.trained_state()):
            raise ModelError(f"{folder / WEIGHTS_FILE} is of another ranker than this. Train the ranker again.")
        self.adapt_to(saved)
        try:
            self.load_state_dict(saved, strict=False)
        except RuntimeError as error:  # of weights with other shapes
            what = " ".join(str(error).split())[:200].rstrip(".")
            raise ModelError(f"{folder} is of another ranker or other listings ({what}). Train it again.") from None


def require_sentence_tower(ranker: str, towers: str, text: TextTower) -> SentenceTower:
    """The text tower, for rankers that read a sentence encoder's tokens. Raises SettingsError where it is another.

    ranker, towers: their names, for the message
    """
    from wares.encoders.sentence import SentenceTower

    if not isinstance(text, SentenceTower):
        raise SettingsError(f"{ranker} needs a sentence encoder; towers {towers!r} have none.")
    return text
