"""Training towers on photos and texts from disk, with the trainer of sentence-transformers.

A recipe supplies a loss and a dataset. Two things make the result independent of how the run is executed. A
`BatchSchedule` lists all batches of the run in advance, so that resuming skips batches and each process takes its part
of every batch. The schedule also contains the random numbers that sample the views of a listing, so that they are the
same in every worker and process.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.util.distributed import all_gather_with_grad
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback

from wares.core.errors import ModelError
from wares.core.files import last_checkpoint, write_json
from wares.core.progress import progress
from wares.encoders.backbones import compile_backbone, merge_adapters, unfreeze_backbone, use_one_gpu
from wares.encoders.base import save_weights
from wares.encoders.listing_encoder import ListingEncoder
from wares.encoders.settings import FROZEN
from wares.training.datasets import BatchSchedule
from wares.training.records import check_same_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from wares.encoders.listing_encoder import Batch
    from wares.encoders.towers import Towers
    from wares.training.datasets import BatchDataset
    from wares.training.settings import TrainerSettings


CHECKPOINT_FOLDER = "checkpoints"
WARMUP_FRACTION = 0.05  # fraction of the steps in which the learning rate rises


class ListingLoss(nn.Module):
    """The loss of a recipe over the encoded batch of all processes.

    Every process computes the same loss from the embeddings of all processes, and gradients flow back to each. Averaged
    over processes, as distributed training does, they are the gradients of one process with the whole batch.

    loss_function: scalar loss of a batch as ListingEncoder returns it, with the other columns of the dataset
    """

    def __init__(self, model: SentenceTransformer, loss_function: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.loss_function = loss_function

    def forward(self, features: list[Batch], labels: None = None) -> Tensor:
        batch = self.model(features[0])
        if distributed.is_available() and distributed.is_initialized():
            shared = ("scale", "photo_attention")
            rows = {name: value for name, value in batch.items() if isinstance(value, Tensor) and name not in shared}
            batch |= {name: all_gather_with_grad(value) for name, value in rows.items()}
        return self.loss_function(batch)


class ListingTrainer(SentenceTransformerTrainer):
    """The trainer of sentence-transformers on a batch schedule, without its column handling and model card."""

    def __init__(self, *args: Any, schedule: BatchSchedule, **kwargs: Any) -> None:
        self.schedule = schedule
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add none: the recipe writes the model card."""

    def preprocess_dataset(self, dataset: Any = None, dataset_name: str | None = None) -> Any:
        return dataset

    def get_train_dataloader(self) -> DataLoader[Any]:
        workers = self.args.dataloader_num_workers
        return DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_sampler=self.schedule,
            collate_fn=_identity,
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_start_worker,
        )

    def collect_features(self, inputs: Batch) -> tuple[list[Batch], None]:
        """Prepare token ids and pixels from the texts and photos that the workers read."""
        encoder: Any = self.model[0]
        towers: Towers = encoder.towers
        for side, tower in (("photos", towers.image), ("texts", towers.text), ("queries", towers.text)):
            items = inputs.get(side, {}).get("items", ())
            if len(items):
                inputs[side] = self._prepare_inputs(tower.preprocess(items))
        return [inputs], None

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(self.model.state_dict(), folder / "model.safetensors")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.model.load_state_dict(load_file(str(Path(resume_from_checkpoint) / "model.safetensors")))


class ProgressCallback(TrainerCallback):
    """The progress bar of wares, on the first process."""

    def __init__(self, description: str) -> None:
        self.description = description

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        steps = state.max_steps if state.is_world_process_zero else 0
        self.bar = progress(None, self.description, total=steps, unit="steps")
        self.bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.bar.update()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.close()


@dataclass(frozen=True)
class TrainerResult:
    """Steps, time and losses of a run.

    seconds: running time of this process, including loading
    losses: mean loss of each epoch
    is_first_process: True on the process that writes files
    """

    steps: int
    seconds: float
    losses: list[float]
    is_first_process: bool


def train_towers(
    towers: Towers,
    dataset: BatchDataset,
    loss_function: Callable[[Batch], Tensor],
    settings: TrainerSettings,
    *,
    description: str,
    batch_size: int,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    checkpoint_folder: Path,
    run_settings: dict[str, Any],
    resume: bool = False,
) -> TrainerResult:
    """Train towers in place, on all processes that torchrun or accelerate started.

    loss_function: see ListingLoss
    description: label of the progress bar
    batch_size: listings that are contrasted with each other, over all processes
    learning_rate: learning rate of the heads after the warm-up; it falls to zero along a cosine, as that of the
        backbones does
    checkpoint_folder: folder for checkpoints during training
    run_settings: settings that identify the run

    Raises ModelError if the checkpoint to resume has other `run_settings`.
    """
    model, args = build_model_and_arguments(
        towers, settings, epochs, learning_rate, weight_decay, seed, checkpoint_folder
    )
    schedule = BatchSchedule(len(dataset), batch_size, epochs, seed, args.process_index, args.world_size)
    args.logging_steps = max(1, schedule.steps_per_epoch // settings.gradient_accumulation_steps)
    trainer = ListingTrainer(
        model,
        args,
        dataset,
        loss=ListingLoss(model, loss_function),
        callbacks=[ProgressCallback(description)],
        schedule=schedule,
    )
    output = trainer.train(
        resume_from_checkpoint=find_checkpoint(checkpoint_folder, run_settings, resume, trainer.is_world_process_zero())
    )
    for tower in (towers.image, towers.text):
        merge_adapters(tower)
        if tower.trained_backbone is not None:
            tower.trained_backbone.requires_grad_(False)
    towers.eval()
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    if trainer.is_world_process_zero():
        shutil.rmtree(checkpoint_folder)
    return TrainerResult(output.global_step, output.metrics["train_runtime"], losses, trainer.is_world_process_zero())


def current_process() -> PartialState:
    """State of this process among those that torchrun or accelerate started."""
    return PartialState(cpu=not torch.accelerator.is_available())


def build_model_and_arguments(
    towers: Towers,
    settings: TrainerSettings,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    folder: Path,
) -> tuple[SentenceTransformer, SentenceTransformerTrainingArguments]:
    """The model with trainable backbones, and the arguments of the trainer."""
    for tower, mode in ((towers.image, settings.image_backbone), (towers.text, settings.text_backbone)):
        unfreeze_backbone(tower, mode)
        if settings.compile:
            compile_backbone(tower)
    model = SentenceTransformer(modules=[ListingEncoder(towers, settings.mini_batch_size)])
    args = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the schedule is the whole run
        learning_rate=learning_rate,
        learning_rate_mapping={}
        if settings.backbones_frozen
        else {r"\.trained_backbone\.": settings.backbone_learning_rate},
        weight_decay=weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=WARMUP_FRACTION,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        bf16=settings.bf16,
        use_cpu=not torch.accelerator.is_available(),
        seed=seed,
        save_steps=settings.checkpoint_steps,
        save_total_limit=1,
        report_to=list(settings.report_to) or "none",
        dataloader_num_workers=0 if settings.image_backbone == FROZEN else _worker_count(settings.num_workers),
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
    )
    use_one_gpu(args)
    return model, args


def find_checkpoint(folder: Path, run_settings: dict[str, Any], resume: bool, is_first_process: bool) -> str | None:
    """Path of the newest checkpoint to resume, or None to start a run.

    Raises ModelError if there is no checkpoint, or it belongs to another run.
    """
    file, current = folder / "run.json", json.loads(json.dumps(run_settings))
    if not resume:
        if is_first_process:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_json(current, file)
        return None
    checkpoint = last_checkpoint(folder)
    if checkpoint is None:
        raise ModelError(f"{folder} has no checkpoint to resume. Start the run without --resume.")
    check_same_run(folder, json.loads(file.read_text(encoding="utf-8")), current)
    return checkpoint


def _worker_count(num_workers: int | None) -> int:
    """Photo decoding processes for this training process; torchrun sets `LOCAL_WORLD_SIZE` per machine."""
    training_processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(1, (os.cpu_count() or 1) // training_processes) if num_workers is None else num_workers


def _identity(batch: Any) -> Any:
    return batch


def _start_worker(_: int) -> None:
    """Use one thread per worker, because several workers already use all cores."""
    torch.set_num_threads(1)
