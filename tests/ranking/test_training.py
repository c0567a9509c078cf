"""Training of rankers: batches, samples, and resuming."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ranker_cases import word_labels

from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.ranking.rankers.base import Ranker, SoftLabels, TrainingDefaults
from wares.ranking.scoring import NO_LISTING
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.training import DistillationCollator, DistillationDataset, train_ranker


def row(shares: Sequence[float], draws: Sequence[float], listings: Sequence[int]) -> dict[str, Any]:
    arrays = {"listings": np.array(listings), "log_probs": np.array(shares), "draws": np.array(draws)}
    return {"query": "q", "weight": 1.0, **arrays}


def test_a_batch_has_the_best_listings_and_a_sample() -> None:
    """The two best are 11 and 13; of the others, 14 and 10 drew the smallest numbers."""
    shares = np.log(np.array([0.1, 0.4, 0.05, 0.3, 0.1, 0.05])).tolist()
    batch = DistillationCollator(4)([row(shares, [0.3, 0.9, 0.8, 0.7, 0.2, 0.5], [10, 11, 12, 13, 14, 15])])
    assert set(batch["listings"][0, :2].tolist()) == {11, 13}
    assert batch["listings"][0, 2:].tolist() == [14, 10]
    expected = [shares[listing - 10] for listing in batch["listings"][0].tolist()]
    torch.testing.assert_close(batch["log_probs"][0], torch.tensor(expected))


def test_a_batch_of_few_listings_is_padded() -> None:
    batch = DistillationCollator(4)([row([-0.5, -np.inf, -1.0, -np.inf], [0.1] * 4, [4, NO_LISTING, 5, 9])])
    assert batch["listings"][0].tolist() == [4, 5, NO_LISTING, NO_LISTING], "what has no label is not shown"


def test_each_epoch_samples_other_listings(corpus: Corpus) -> None:
    soft_labels = DistillationDataset(word_labels(corpus), seed=0)
    first = soft_labels[2]["draws"]
    soft_labels.epoch = 1
    assert (soft_labels[2]["draws"] != first).all()
    soft_labels.epoch = 0
    assert (soft_labels[2]["draws"] == first).all()
    assert (soft_labels[3]["draws"] != first).all()


def test_queries_need_two_labels_and_a_weight() -> None:
    shares = np.array([[0.0, -np.inf], [-1.0, -1.0], [-1.0, -1.0], [-np.inf, -np.inf]])
    queries = [Query(str(i), "q") for i in range(4)]
    soft_labels = DistillationDataset(
        SoftLabels(queries, np.zeros((4, 2), dtype=np.int64), shares, np.array([1.0, 1.0, 0.0, 1.0])), 0
    )
    assert soft_labels.indices.tolist() == [1]


def test_an_interrupted_training_resumes(
    make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after a checkpoint, it makes the steps that are left and ends where it would have ended."""
    from transformers import Trainer

    monkeypatch.setattr("wares.ranking.training.CHECKPOINT_STEPS", 4)
    soft_labels, defaults, settings = (
        word_labels(corpus),
        TrainingDefaults(1e-2, 2, 4),
        RankerTrainingSettings(epochs=3),
    )
    uninterrupted = make("static").fit(corpus, 0)
    assert train_ranker(uninterrupted, soft_labels, defaults, settings, 1, tmp_path / "whole").steps == 9

    class Killed(Exception):
        pass

    steps = []

    def step(self: Trainer, *args: Any, **kwargs: Any) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 6:
            raise Killed
        return original(self, *args, **kwargs)

    original = Trainer.training_step
    monkeypatch.setattr(Trainer, "training_step", step)
    with pytest.raises(Killed):
        train_ranker(make("static").fit(corpus, 0), soft_labels, defaults, settings, 1, tmp_path / "stopped")
    checkpoints = tmp_path / "stopped" / "checkpoints"
    for number, written in ((5, '{"epoch": 1.'), (6, None)):  # killed while it wrote these
        half = shutil.copytree(checkpoints / "checkpoint-4", checkpoints / f"checkpoint-{number}")
        (half / "trainer_state.json").unlink() if written is None else (half / "trainer_state.json").write_text(written)
    resumed = make("static").fit(corpus, 0)
    train_ranker(resumed, soft_labels, defaults, settings, 1, tmp_path / "stopped")
    assert len(steps) == 6 + 9 - 4
    for name, value in uninterrupted.trained_state().items():
        torch.testing.assert_close(resumed.trained_state()[name], value)


def test_one_process_uses_one_of_two_gpus(
    make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DataParallel would split the listings of a batch over both, but not its texts."""
    soft_labels, defaults = word_labels(corpus), TrainingDefaults(1e-2, 2, 4)
    expected = make("static").fit(corpus, 0)
    settings = RankerTrainingSettings(epochs=1)
    steps = train_ranker(expected, soft_labels, defaults, settings, 1, tmp_path / "one").steps
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    model = make("static").fit(corpus, 0)
    assert train_ranker(model, soft_labels, defaults, settings, 1, tmp_path / "two").steps == steps
    for name, value in expected.trained_state().items():
        torch.testing.assert_close(model.trained_state()[name], value)
