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
from wares.ranking.scoring import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.ranking.rankers.base import Lessons, Pace, RankerModel


CHECKPOINTS = "checkpoints"
CHECKPOINT_STEPS = 500
WARM_UP = 0.1  # of all steps


@dataclass(frozen=True)
class LearningSettings:
    """How a ranker is taught. loss: a name of wares.ranking.losses; epochs: passes over the queries"""

    loss: str = "listwise-kl"
    epochs: int = 3

    def __post_init__(self) -> None:
        get_ranking_loss(self.loss)
        if self.epochs < 1:
            raise SettingsError(f"epochs are 1 or more, not {self.epochs}.")


@dataclass(frozen=True)
class Learned:
    """What came of teaching. losses: means over a tenth of the steps each, in order"""

    steps: int
    seconds: float
    losses: list[float]


def learn(
    model: RankerModel, lessons: Lessons, pace: Pace, settings: LearningSettings, seed: int, folder: Path
) -> Learned:
    """Teach a model in place.

    seed: of the order of queries, and of the listings drawn for each
    folder: checkpoints are kept under it while training runs; a run that was stopped goes on from the last
    """
    began = time.monotonic()
    taught = TaughtQueries(lessons, seed)
    model.prepare([lessons.queries[i] for i in taught.places.tolist()])
    steps = -(-len(taught) // pace.batch_size) * settings.epochs
    arguments = TrainingArguments(
        output_dir=str(folder / CHECKPOINTS),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=pace.batch_size,
        learning_rate=pace.learning_rate,
        weight_decay=0.0,
        lr_scheduler_type="linear",
        warmup_steps=round(WARM_UP * steps),
        logging_steps=max(1, steps // 10),
        save_steps=CHECKPOINT_STEPS,
        save_total_limit=1,
        seed=seed,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=not torch.accelerator.is_available(),
    )
    trainer = Trainer(Taught(model, settings.loss), arguments, data_collator=Draw(pace.listings), train_dataset=taught)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Epochs(taught))
    done = trainer.train(resume_from_checkpoint=last_checkpoint(folder / CHECKPOINTS))
    model.eval()
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return Learned(done.global_step, time.monotonic() - began, losses)


class TaughtQueries(Dataset[dict[str, Any]]):
    """Queries that have two labelled listings or more, and a weight above 0.

    Each comes with a number in [0, 1) for each of its listings, by which some are drawn. The numbers follow from seed,
    epoch and query, so that a run that was stopped goes on as it would have gone.
    """

    def __init__(self, lessons: Lessons, seed: int) -> None:
        self.lessons, self.seed, self.epoch = lessons, seed, 0
        labelled = np.isfinite(lessons.log_shares).sum(axis=1)
        self.places = np.flatnonzero((labelled > 1) & (lessons.weights > 0))
        if not len(self.places):
            raise SettingsError("no query has two labelled listings, so there is nothing to learn from.")

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> dict[str, Any]:
        place = int(self.places[number])
        random = np.random.default_rng((self.seed, self.epoch, place))
        return {
            "query": self.lessons.queries[place].text,
            "listings": self.lessons.listings[place],
            "log_shares": self.lessons.log_shares[place],
            "draws": random.random(self.lessons.listings.shape[1]),
            "weight": self.lessons.weights[place],
        }


class Epochs(TrainerCallback):
    """Tells the data which epoch it is."""

    def __init__(self, data: TaughtQueries) -> None:
        self.data = data

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """`state.epoch` is a fraction where a run goes on."""
        self.data.epoch = int(state.epoch or 0)


class Draw:
    """Makes a batch: of each query the listings with the largest shares, and some of the rest, drawn."""

    def __init__(self, listings: int) -> None:
        self.listings = listings

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        listings, shares, draws = (
            np.stack([row[name] for row in rows]) for name in ("listings", "log_shares", "draws")
        )
        absent = ~np.isfinite(shares)
        ranks = np.argsort(np.argsort(-shares, axis=1, kind="stable"), axis=1)
        # Drawn numbers are in [0, 1): before them come the best, after them what has no label.
        order = np.where(absent, 2.0, np.where(ranks < self.listings // 2, -1.0, draws))
        chosen = np.argsort(order, axis=1, kind="stable")[:, : self.listings]
        listings, shares, absent = (np.take_along_axis(each, chosen, axis=1) for each in (listings, shares, absent))
        return {
            "queries": [row["query"] for row in rows],
            "listings": torch.from_numpy(np.where(absent, NONE, listings)),
            "log_shares": torch.from_numpy(shares.astype(np.float32)),
            "weights": torch.tensor([row["weight"] for row in rows], dtype=torch.float32),
        }


class Taught(nn.Module):
    """A model with its loss, as the trainer wants it."""

    def __init__(self, model: RankerModel, loss: str) -> None:
        super().__init__()
        self.model, self.loss = model, get_ranking_loss(loss)

    def forward(self, queries: list[str], listings: Tensor, log_shares: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The loss of a batch, and what the model adds to it."""
        loss = self.loss(self.model(queries, listings), log_shares, listings != NONE, weights)
        return {"loss": loss + self.model.regulariser()}
