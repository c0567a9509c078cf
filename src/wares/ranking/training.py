"""Teaching a ranker: the same loop, by the trainer of transformers, whatever the architecture.

In every step some queries come up, each with a few of its listings: half of them those with the largest shares, half
a draw from the rest, anew in each epoch.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from wares.core.errors import SettingsError
from wares.core.files import last_checkpoint
from wares.ranking.losses import get_ranking_loss
from wares.ranking.scoring import NO_LISTING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.ranking.rankers.base import RankerModel, SoftLabels, TrainingDefaults


CHECKPOINT_FOLDER = "checkpoints"
CHECKPOINT_STEPS = 500
WARMUP_FRACTION = 0.1  # of all steps


@dataclass(frozen=True)
class RankerTrainingSettings:
    """How a ranker is taught. loss: a name of wares.ranking.losses; epochs: passes over the queries"""

    loss: str = "listwise-kl"
    epochs: int = 3

    def __post_init__(self) -> None:
        get_ranking_loss(self.loss)
        if self.epochs < 1:
            raise SettingsError(f"epochs are 1 or more, not {self.epochs}.")


@dataclass(frozen=True)
class TrainResult:
    """What came of teaching. losses: means over a tenth of the steps each, in order"""

    steps: int
    seconds: float
    losses: list[float]


def train_ranker(
    model: RankerModel,
    soft_labels: SoftLabels,
    defaults: TrainingDefaults,
    settings: RankerTrainingSettings,
    seed: int,
    folder: Path,
) -> TrainResult:
    """Teach a model in place.

    seed: of the order of queries, and of the listings drawn for each
    folder: checkpoints are kept under it while training runs; a run that was stopped goes on from the last
    """
    began = time.monotonic()
    taught = DistillationDataset(soft_labels, seed)
    model.prepare([soft_labels.queries[i] for i in taught.indices.tolist()])
    steps = -(-len(taught) // defaults.batch_size) * settings.epochs
    arguments = TrainingArguments(
        output_dir=str(folder / CHECKPOINT_FOLDER),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=defaults.batch_size,
        learning_rate=defaults.learning_rate,
        weight_decay=0.0,
        lr_scheduler_type="linear",
        warmup_steps=round(WARMUP_FRACTION * steps),
        logging_steps=max(1, steps // 10),
        save_steps=CHECKPOINT_STEPS,
        save_total_limit=1,
        seed=seed,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=not torch.accelerator.is_available(),
    )
    trainer = Trainer(
        DistillationModule(model, settings.loss),
        arguments,
        data_collator=DistillationCollator(defaults.listings_per_query),
        train_dataset=taught,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(EpochCallback(taught))
    done = trainer.train(resume_from_checkpoint=last_checkpoint(folder / CHECKPOINT_FOLDER))
    model.eval()
    shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return TrainResult(done.global_step, time.monotonic() - began, losses)


class DistillationDataset(Dataset[dict[str, Any]]):
    """Queries that have two labelled listings or more, and a weight above 0.

    Each comes with a number in [0, 1) for each of its listings, by which some are drawn. The numbers follow from seed,
    epoch and query, so that a run that was stopped goes on as it would have gone.
    """

    def __init__(self, soft_labels: SoftLabels, seed: int) -> None:
        self.soft_labels, self.seed, self.epoch = soft_labels, seed, 0
        labelled = np.isfinite(soft_labels.log_probs).sum(axis=1)
        self.indices = np.flatnonzero((labelled > 1) & (soft_labels.weights > 0))
        if not len(self.indices):
            raise SettingsError("no query has two labelled listings, so there is nothing to learn from.")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> dict[str, Any]:
        place = int(self.indices[number])
        random = np.random.default_rng((self.seed, self.epoch, place))
        return {
            "query": self.soft_labels.queries[place].text,
            "listings": self.soft_labels.listings[place],
            "log_probs": self.soft_labels.log_probs[place],
            "draws": random.random(self.soft_labels.listings.shape[1]),
            "weight": self.soft_labels.weights[place],
        }


class EpochCallback(TrainerCallback):
    """Tells the data which epoch it is."""

    def __init__(self, dataset: DistillationDataset) -> None:
        self.dataset = dataset

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """`state.epoch` is a fraction where a run goes on."""
        self.dataset.epoch = int(state.epoch or 0)


class DistillationCollator:
    """Makes a batch: of each query the listings with the largest shares, and some of the rest, drawn."""

    def __init__(self, listings_per_query: int) -> None:
        self.listings_per_query = listings_per_query

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        listings, shares, draws = (np.stack([row[name] for row in rows]) for name in ("listings", "log_probs", "draws"))
        absent = ~np.isfinite(shares)
        ranks = np.argsort(np.argsort(-shares, axis=1, kind="stable"), axis=1)
        # Drawn numbers are in [0, 1): before them come the best, after them what has no label.
        order = np.where(absent, 2.0, np.where(ranks < self.listings_per_query // 2, -1.0, draws))
        chosen = np.argsort(order, axis=1, kind="stable")[:, : self.listings_per_query]
        listings, shares, absent = (np.take_along_axis(each, chosen, axis=1) for each in (listings, shares, absent))
        return {
            "queries": [row["query"] for row in rows],
            "listings": torch.from_numpy(np.where(absent, NO_LISTING, listings)),
            "log_probs": torch.from_numpy(shares.astype(np.float32)),
            "weights": torch.tensor([row["weight"] for row in rows], dtype=torch.float32),
        }


class DistillationModule(nn.Module):
    """A model with its loss, as the trainer wants it."""

    def __init__(self, model: RankerModel, loss: str) -> None:
        super().__init__()
        self.model, self.loss = model, get_ranking_loss(loss)

    def forward(self, queries: list[str], listings: Tensor, log_shares: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The loss of a batch, and what the model adds to it."""
        loss = self.loss(self.model(queries, listings), log_shares, listings != NO_LISTING, weights)
        return {"loss": loss + self.model.regulariser()}
