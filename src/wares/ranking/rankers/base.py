"""Base classes of rankers: their settings, the trainable model, and the labels that it learns from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from wares.core.errors import ModelError, SettingsError, condensed, one_line
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
    """Training data of a ranker: queries with a distribution over some listings each.

    listings: (Q, K) indices into the corpus, padded with NO_LISTING
    log_probs: (Q, K) log-probability of each listing under its query, padded with -inf
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
    """Learning rate and batch sizes of a kind of ranker.

    learning_rate: after the warm-up, > 0; batch_size: queries per step, >= 1
    listings_per_query: listings per query and step, >= 2
    """

    learning_rate: float
    batch_size: int
    listings_per_query: int

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise SettingsError(f"learning_rate must be above 0, not {self.learning_rate}.")
        if self.batch_size < 1:
            raise SettingsError(f"batch_size must be 1 or more, not {self.batch_size}.")
        if self.listings_per_query < 2:
            raise SettingsError(f"listings_per_query must be 2 or more, not {self.listings_per_query}.")


class Ranker(ABC):
    """Settings of a model, and how a shop uses it once it is trained.

    Subclasses are frozen dataclasses with the fields named here. By default a shop builds the model over all of its
    listings when it first reranks, which any ranker can do.

    needs: what reranking needs of a shop's listings: their "vectors", their "texts", or all listings as a "corpus"
    replaces_query_tower: whether it encodes a shop's queries in place of its model, and does not rerank
    """

    needs: ClassVar[ListingData] = "corpus"
    replaces_query_tower: ClassVar[bool] = False
    learning_rate: float
    batch_size: int
    listings_per_query: int

    def __post_init__(self) -> None:
        _ = self.training_defaults  # raises SettingsError if they are out of range

    @property
    def training_defaults(self) -> TrainingDefaults:
        """Learning rate and sizes of a training step. Raises SettingsError."""
        return TrainingDefaults(self.learning_rate, self.batch_size, self.listings_per_query)

    @abstractmethod
    def fit(self, corpus: Corpus, seed: int) -> RankerModel:
        """The untrained model over a corpus. seed: of the random initialisation"""

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
    """The accelerator if there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


class RankerModel(nn.Module, ABC):
    """A trainable model over one corpus. It trains and scores on the accelerator if there is one."""

    @property
    def device(self) -> torch.device:
        """Device of the parameters; data of the texts stays in main memory."""
        return next(self.parameters()).device

    @abstractmethod
    def prepare(self, queries: Sequence[Query]) -> None:
        """Called with all training queries before training, so that a model can encode them once."""

    @abstractmethod
    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """(B, K) scores of listings, as logits; arbitrary for padding.

        listings: (B, K) indices into the corpus, padded with NO_LISTING
        """

    def regulariser(self) -> Tensor:
        """A scalar that is added to the loss of the batch that `forward` saw last; by default 0."""
        return torch.zeros(())

    @abstractmethod
    def scorer(self) -> Scorer:
        """A scorer with the current weights."""

    def trained_state(self) -> Mapping[str, Tensor]:
        """The weights that training changes, by name."""
        names = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        return {name: value for name, value in self.state_dict().items() if name in names}

    def save(self, folder: Path) -> None:
        """Write the weights that training changes."""
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(self.trained_state(), folder / WEIGHTS_FILE)

    def adapt_to(self, saved: Mapping[str, Tensor]) -> None:
        """Adapt to saved weights that depend on the listings of the training; by default nothing."""

    def load(self, folder: Path) -> None:
        """Load weights that a model with the same settings saved, over any listings. Raises ModelError."""
        try:
            saved = load_file(str(folder / WEIGHTS_FILE))
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{folder / WEIGHTS_FILE} does not load ({one_line(error)}). Train the ranker again."
            ) from None
        if set(saved) != set(self.trained_state()):
            raise ModelError(f"{folder / WEIGHTS_FILE} belongs to another ranker. Train the ranker again.")
        self.adapt_to(saved)
        try:
            self.load_state_dict(saved, strict=False)
        except RuntimeError as error:  # the weights have other shapes
            raise ModelError(
                f"{folder} belongs to another ranker ({condensed(error)}). Train the ranker again."
            ) from None


def require_sentence_tower(ranker: str, towers: str, text: TextTower) -> SentenceTower:
    """The text tower, if it is a sentence encoder. Raises SettingsError if it is not.

    ranker, towers: their names, for the message
    """
    from wares.encoders.sentence import SentenceTower

    if not isinstance(text, SentenceTower):
        raise SettingsError(f"{ranker} needs a sentence encoder, and towers {towers!r} have none. Choose other towers.")
    return text
