"""Training of a ranker by distillation: one loop for every architecture, on the Trainer of transformers.

Each step takes a batch of queries with a few listings each: half are the listings of the highest probability, the
other half are sampled from the rest. Each epoch samples again.
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
from wares.encoders.backbones import use_one_gpu
from wares.ranking.losses import get_ranking_loss
from wares.ranking.scoring import NO_LISTING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.ranking.rankers.base import RankerModel, SoftLabels, TrainingDefaults
    from wares.ranking.settings import RankerTrainingSettings


CHECKPOINT_FOLDER = "checkpoints"
CHECKPOINT_STEPS = 500
WARMUP_FRACTION = 0.1  # of all steps


@dataclass(frozen=True)
class TrainResult:
    """Steps, seconds and losses of a training. losses: means over each tenth of the steps"""

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
    """Train a model in place, by its teachers' soft labels.

    defaults: learning rate and batch sizes; settings: loss and epochs
    seed: of the order of queries, and of the listings sampled for each
    folder: holds the checkpoints during training; an interrupted training resumes from the last one

    Raises SettingsError if no query has a weight and two labelled listings.
    """
    start_time = time.monotonic()
    dataset = DistillationDataset(soft_labels, seed)
    model.prepare([soft_labels.queries[i] for i in dataset.indices.tolist()])
    steps = -(-len(dataset) // defaults.batch_size) * settings.epochs
    trainer = Trainer(
        DistillationModule(model, settings.loss),
        _training_arguments(defaults, settings.epochs, steps, seed, folder),
        data_collator=DistillationCollator(defaults.listings_per_query),
        train_dataset=dataset,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(EpochCallback(dataset))
    output = trainer.train(resume_from_checkpoint=last_checkpoint(folder / CHECKPOINT_FOLDER))
    model.eval()
    shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return TrainResult(output.global_step, time.monotonic() - start_time, losses)


def _training_arguments(
    defaults: TrainingDefaults, epochs: int, steps: int, seed: int, folder: Path
) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder / CHECKPOINT_FOLDER),
        num_train_epochs=epochs,
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
    use_one_gpu(arguments)
    return arguments


class DistillationDataset(Dataset[dict[str, Any]]):
    """Queries with at least two labelled listings and a weight above 0.

    Each item has a random number in [0, 1) per listing, by which the collator samples. The numbers depend only on seed,
    epoch and query, so a resumed training sees the same samples as an uninterrupted one.
    """

    def __init__(self, soft_labels: SoftLabels, seed: int) -> None:
        self.soft_labels, self.seed, self.epoch = soft_labels, seed, 0
        labelled = np.isfinite(soft_labels.log_probs).sum(axis=1)
        self.indices = np.flatnonzero((labelled > 1) & (soft_labels.weights > 0))
        if not len(self.indices):
            raise SettingsError(
                "no query has two labelled listings, so there is nothing to learn from. Use other queries or labelers."
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> dict[str, Any]:
        index = int(self.indices[item])
        random = np.random.default_rng((self.seed, self.epoch, index))
        return {
            "query": self.soft_labels.queries[index].text,
            "listings": self.soft_labels.listings[index],
            "log_probs": self.soft_labels.log_probs[index],
            "draws": random.random(self.soft_labels.listings.shape[1]),
            "weight": self.soft_labels.weights[index],
        }


class EpochCallback(TrainerCallback):
    """Sets the epoch of the dataset."""

    def __init__(self, dataset: DistillationDataset) -> None:
        self.dataset = dataset

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """`state.epoch` is a fraction if training is resumed."""
        self.dataset.epoch = int(state.epoch or 0)


class DistillationCollator:
    """Batches of queries: per query the listings of the highest probability, and a sample of the rest."""

    def __init__(self, listings_per_query: int) -> None:
        self.listings_per_query = listings_per_query

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        names = ("listings", "log_probs", "draws")
        listings, log_probs, draws = (np.stack([row[name] for row in rows]) for name in names)
        absent = ~np.isfinite(log_probs)
        ranks = np.argsort(np.argsort(-log_probs, axis=1, kind="stable"), axis=1)
        # Random numbers are in [0, 1): the best listings sort before them, listings without a label after them.
        order = np.where(absent, 2.0, np.where(ranks < self.listings_per_query // 2, -1.0, draws))
        sampled = np.argsort(order, axis=1, kind="stable")[:, : self.listings_per_query]
        listings, log_probs, absent = (
            np.take_along_axis(values, sampled, axis=1) for values in (listings, log_probs, absent)
        )
        return {
            "queries": [row["query"] for row in rows],
            "listings": torch.from_numpy(np.where(absent, NO_LISTING, listings)),
            "log_probs": torch.from_numpy(log_probs.astype(np.float32)),
            "weights": torch.tensor([row["weight"] for row in rows], dtype=torch.float32),
        }


class DistillationModule(nn.Module):
    """A model with its loss, in the form that the Trainer expects."""

    def __init__(self, model: RankerModel, loss: str) -> None:
        super().__init__()
        self.model, self.loss = model, get_ranking_loss(loss)

    def forward(self, queries: list[str], listings: Tensor, log_probs: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The loss of a batch plus the model's regulariser."""
        loss = self.loss(self.model(queries, listings), log_probs, listings != NO_LISTING, weights)
        return {"loss": loss + self.model.regulariser()}
