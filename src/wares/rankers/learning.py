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
from transformers import PrinterCallback, Trainer, TrainingArguments

from wares.errors import SettingsError
from wares.ranking_losses import get_ranking_loss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.rankers import Lessons, Pace, RankerModel

CHECKPOINTS = "checkpoints"
CHECKPOINT_STEPS = 500
WARM_UP = 0.1  # of all steps


@dataclass(frozen=True)
class LearningSettings:
    """How a ranker is taught. loss: a name of wares.ranking_losses; epochs: passes over the queries"""

    loss: str = "listwise-kl"
    epochs: int = 2
    seed: int = 0

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


def learn(model: RankerModel, lessons: Lessons, pace: Pace, settings: LearningSettings, folder: Path) -> Learned:
    """Teach a model in place.

    folder: checkpoints are kept under it while training runs; a run that was stopped goes on from the last
    """
    began = time.monotonic()
    taught = TaughtQueries(lessons)
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
        seed=settings.seed,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=not torch.accelerator.is_available(),
    )
    trainer = Trainer(Taught(model, settings.loss), arguments, data_collator=Draw(pace.listings), train_dataset=taught)
    trainer.remove_callback(PrinterCallback)
    done = trainer.train(resume_from_checkpoint=last_checkpoint(folder / CHECKPOINTS))
    model.eval()
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return Learned(done.global_step, time.monotonic() - began, losses)


def last_checkpoint(folder: Path) -> str | None:
    """Where a run that was stopped goes on, if there is such a place."""
    from transformers.trainer_utils import get_last_checkpoint

    found: str | None = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    return found


class TaughtQueries(Dataset[dict[str, Any]]):
    """Queries that have two labelled listings or more, and a weight above 0."""

    def __init__(self, lessons: Lessons) -> None:
        self.lessons = lessons
        labelled = np.isfinite(lessons.log_shares).sum(axis=1)
        self.places = np.flatnonzero((labelled > 1) & (lessons.weights > 0))
        if not len(self.places):
            raise SettingsError("no query has two labelled listings, so there is nothing to learn from.")

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> dict[str, Any]:
        place = self.places[number]
        return {
            "query": self.lessons.queries[place].text,
            "listings": self.lessons.listings[place],
            "log_shares": self.lessons.log_shares[place],
            "weight": self.lessons.weights[place],
        }


class Draw:
    """Makes a batch: of each query the listings with the largest shares, and some of the rest at random."""

    def __init__(self, listings: int) -> None:
        self.listings = listings

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        listings, shares = (
            torch.from_numpy(np.stack([row[name] for row in rows])) for name in ("listings", "log_shares")
        )
        absent = ~shares.isfinite()
        ranks = shares.masked_fill(absent, -torch.inf).argsort(1, descending=True).argsort(1)
        # Numbers in [0, 1) are drawn for the rest: below them come the best, above them what is not there.
        order = torch.where(ranks < self.listings // 2, -1.0, torch.rand(shares.shape)).masked_fill(absent, 2.0)
        chosen = order.argsort(1)[:, : self.listings]
        shares = shares.gather(1, chosen)
        return {
            "queries": [row["query"] for row in rows],
            "listings": listings.gather(1, chosen).masked_fill(~shares.isfinite(), -1),
            "log_shares": shares.float(),
            "weights": torch.tensor([row["weight"] for row in rows], dtype=torch.float32),
        }


class Taught(nn.Module):
    """A model with its loss, as the trainer wants it."""

    def __init__(self, model: RankerModel, loss: str) -> None:
        super().__init__()
        self.model, self.loss = model, get_ranking_loss(loss)

    def forward(self, queries: list[str], listings: Tensor, log_shares: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The loss of a batch."""
        return {"loss": self.loss(self.model(queries, listings), log_shares, listings >= 0, weights)}
