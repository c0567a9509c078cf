"""Training with trained backbones: photos and texts from disk, through the trainer of sentence-transformers.

The recipes hand over a loss and the views; here is what loads them. Two things make a run independent of how it
is carried out. A `Schedule` is the whole run in one list of batches, so that resuming is skipping and a process
takes its part of every batch. And every listing's views are drawn by numbers that stand in the schedule, so that
they are the same in any worker and on any process.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from accelerate import PartialState
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.util.distributed import all_gather_with_grad
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import PrinterCallback, TrainerCallback

from wares.errors import ModelError, SettingsError
from wares.photos import augment, load_photo
from wares.progress import progress
from wares.towers.backbones import FROZEN, check_backbone, compile_backbone, merge_adapters, train_backbone
from wares.towers.encoder import ListingEncoder
from wares.weights import save_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wares.catalogue import Catalogue
    from wares.encode import CatalogueFeatures
    from wares.photos import Fit
    from wares.towers import Features, Towers
    from wares.towers.encoder import Batch
    from wares.views import Chosen, Views

CHECKPOINTS = "checkpoints"
WARM_UP = 0.05  # share of the steps in which the learning rate rises


@dataclass(frozen=True)
class TrainerSettings:
    """How backbones are trained; what is learned is the recipe's matter.

    image_backbone, text_backbone: "frozen", "last-N", "lora" or "all" (wares.towers.backbones)
    backbone_rate: learning rate of the backbones; heads have the recipe's
    bf16: compute in bfloat16, keep weights and losses in float32
    accumulate: batches whose gradients are added up for one step of the optimiser, >= 1
    views_at_once: see ListingEncoder; for batches that do not fit into memory
    augment: show photos a little differently each time (wares.photos.augment)
    compile: compile the backbones (torch.compile)
    workers: processes that decode photos for each that trains, where photos are read at all; 0 decodes in that one,
        None shares out the machine's cores
    checkpoint_steps: steps between checkpoints
    report_to: trackers among those of transformers, as "tensorboard" or "wandb"
    """

    image_backbone: str = FROZEN
    text_backbone: str = FROZEN
    backbone_rate: float = 2e-5
    bf16: bool = False
    accumulate: int = 1
    views_at_once: int | None = None
    augment: bool = True
    compile: bool = False
    workers: int | None = None
    checkpoint_steps: int = 200
    report_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_backbone(self.image_backbone)
        check_backbone(self.text_backbone)
        for name, least in (("accumulate", 1), ("workers", 0), ("checkpoint_steps", 1), ("views_at_once", 1)):
            if getattr(self, name) is not None and not getattr(self, name) >= least:
                raise SettingsError(f"{name} must be at least {least}, not {getattr(self, name)}.")
        if not self.backbone_rate > 0:
            raise SettingsError(f"backbone_rate must be above 0, not {self.backbone_rate}.")

    @property
    def frozen(self) -> bool:
        """Whether no backbone is trained, so that heads on cached features are all there is to train."""
        return self.image_backbone == self.text_backbone == FROZEN


class Draw(NamedTuple):
    """A listing in a batch, and the numbers in [0, 1) by which its views are drawn; `seed` is of its augmentation."""

    listing: int
    photo: float
    text: float
    seed: int


class Schedule(Sampler[list[Draw]]):
    """Every batch of a run, epoch after epoch, all of one size; a few listings sit out an epoch to make it so.

    listings: how many there are; batch_size: at most this many in a batch, over all processes
    rank, ranks: which of how many processes this is; it gets its part of every batch

    Raises SettingsError where a batch would leave a process less than one listing.
    """

    def __init__(self, listings: int, batch_size: int, epochs: int, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.listings, self.epochs, self.seed, self.rank, self.ranks = listings, epochs, seed, rank, ranks
        self.steps_per_epoch = -(-listings // batch_size)
        self.share = listings // self.steps_per_epoch // ranks
        if self.share < 1:
            raise SettingsError(f"{listings} listings in batches of {batch_size} are too few for {ranks} processes.")

    def __len__(self) -> int:
        return self.epochs * self.steps_per_epoch

    def __iter__(self) -> Iterator[list[Draw]]:
        for epoch in range(self.epochs):
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            order = torch.randperm(self.listings, generator=generator)
            draws = torch.rand(2, self.listings, generator=generator, dtype=torch.float64)
            seeds = torch.randint(2**62, (self.listings,), generator=generator)
            columns = [column.tolist() for column in (order, draws[0], draws[1], seeds)]
            for step in range(self.steps_per_epoch):
                start = (step * self.ranks + self.rank) * self.share
                rows = zip(*(column[start : start + self.share] for column in columns), strict=True)
                yield [Draw(*row) for row in rows]


class Batches(Protocol):
    """Training data: so many rows, and a batch for some of them."""

    def __len__(self) -> int: ...

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """Called in a worker."""


@dataclass(frozen=True)
class Side:
    """One modality of the training data: features of a frozen backbone, or what a trained one is to read.

    features: (V, ...) or None where the items are to be read
    paths: of the photos, with the size and fit of the image tower; None for texts
    """

    views: Views
    features: Features | None
    paths: Sequence[Path] | None = None
    size: int = 0
    fit: Fit = "pad"

    def read(self, places: Tensor, seeds: Tensor | None) -> Batch:
        """Features under "features", or photos and texts under "items"; seeds: (n,) of augmentations, if any."""
        if self.features is not None:
            return {"features": torch.from_numpy(self.features[places.numpy()])}
        if self.paths is None:
            return {"items": [self.views.items[place] for place in places.tolist()]}
        photos = [load_photo(self.paths[place], self.size, self.fit) for place in places.tolist()]
        if seeds is not None:
            each = zip(photos, seeds.tolist(), strict=True)
            photos = [augment(photo, np.random.default_rng(seed)) for photo, seed in each]
        return {"items": torch.from_numpy(np.stack(photos)) if photos else torch.zeros(0, self.size, self.size, 3)}


@dataclass(frozen=True)
class ListingViews(Dataset[Any]):
    """Listings as batches of chosen views.

    duplicates: (N, 2) labels of product and title
    choose: (photo counts, photo draws, text counts, text draws), each (B,), to the views of either modality
    """

    photos: Side
    texts: Side
    duplicates: Tensor
    choose: Any
    augment: bool = False

    @classmethod
    def of(
        cls, catalogue: Catalogue, features: CatalogueFeatures, towers: Towers, settings: TrainerSettings, choose: Any
    ) -> ListingViews:
        """Of a catalogue: a frozen backbone's side is the features it gave, a trained one reads photos or texts."""
        photos, texts, image = features.photo_views, features.text_views, towers.image
        paths = [catalogue.photo(name) for name in photos.items]
        return cls(
            Side(photos, features.photos)
            if settings.image_backbone == FROZEN
            else Side(photos, None, paths, image.size, image.fit),
            Side(texts, features.texts if settings.text_backbone == FROZEN else None),
            features.duplicates,
            choose,
            settings.augment,
        )

    def __len__(self) -> int:
        return len(self.duplicates)

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """One batch; called in a worker."""
        listings = torch.tensor([draw.listing for draw in draws])
        seeds = torch.tensor([draw.seed for draw in draws])
        counts = [torch.from_numpy(side.views.counts)[listings] for side in (self.photos, self.texts)]
        numbers = torch.tensor([[draw.photo, draw.text] for draw in draws], dtype=torch.float64)
        photos, texts = self.choose(counts[0], numbers[:, 0], counts[1], numbers[:, 1])
        return {
            "photos": self._read(self.photos, listings, photos, seeds if self.augment else None),
            "photo_weights": photos.weights,
            "texts": self._read(self.texts, listings, texts, None),
            "text_weights": texts.weights,
            "duplicates": self.duplicates[listings],
        }

    @staticmethod
    def _read(side: Side, listings: Tensor, chosen: Chosen, seeds: Tensor | None) -> Batch:
        present = chosen.weights > 0
        places = (torch.from_numpy(side.views.offsets)[listings][:, None] + chosen.places)[present]
        each = None if seeds is None else (seeds[:, None] + chosen.places)[present]
        return side.read(places, each)


class ListingLoss(nn.Module):
    """A recipe's loss over the encoded batch of all processes together.

    Every process computes the same number from the embeddings of all, and gradients flow back to each; averaged
    over processes as distributed training does, they are those of one process with the whole batch.

    compute: what ListingEncoder gives for a batch, and what else ListingViews put there, to a scalar
    """

    def __init__(self, model: SentenceTransformer, compute: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.compute = compute

    def forward(self, features: list[Batch], labels: None = None) -> Tensor:
        batch = self.model(features[0])
        if distributed.is_available() and distributed.is_initialized():
            shared = ("scale", "tilt")
            rows = {name: value for name, value in batch.items() if isinstance(value, Tensor) and name not in shared}
            batch |= {name: all_gather_with_grad(value) for name, value in rows.items()}
        return self.compute(batch)


class ListingTrainer(SentenceTransformerTrainer):
    """The trainer of sentence-transformers, fed by a schedule and kept from what listings have no use for."""

    def __init__(self, *args: Any, schedule: Schedule, **kwargs: Any) -> None:
        self.schedule = schedule
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """The model card is the recipe's."""

    def preprocess_dataset(self, dataset: Any = None, dataset_name: str | None = None) -> Any:
        return dataset

    def get_train_dataloader(self) -> DataLoader[Any]:
        workers = self.args.dataloader_num_workers
        return DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_sampler=self.schedule,
            collate_fn=_as_it_is,
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_start_worker,
        )

    def collect_features(self, inputs: Batch) -> tuple[list[Batch], None]:
        """Tokens and pixels of what the workers read."""
        encoder: Any = self.model[0]
        towers: Towers = encoder.towers
        for side, tower in (("photos", towers.image), ("texts", towers.text), ("queries", towers.text)):
            items = inputs.get(side, {}).get("items", ())
            if len(items):
                inputs[side] = self._prepare_inputs(tower.inputs(items))
        return [inputs], None

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(self.model.state_dict(), folder / "model.safetensors")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.model.load_state_dict(load_file(str(Path(resume_from_checkpoint) / "model.safetensors")))


class Progress(TrainerCallback):
    """Our progress bar, on the first process."""

    def __init__(self, what: str) -> None:
        self.what = what

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        steps = state.max_steps if state.is_world_process_zero else 0
        self.bar = progress(None, self.what, total=steps, unit="steps")
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
class Trained:
    """What a run of the trainer did.

    seconds: of this process, loading included; losses: mean of each epoch
    first: whether this is the process that writes
    """

    steps: int
    seconds: float
    losses: list[float]
    first: bool


def train(
    towers: Towers,
    data: Batches,
    compute: Callable[[Batch], Tensor],
    settings: TrainerSettings,
    *,
    what: str,
    batch_size: int,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    folder: Path,
    run: dict[str, Any],
    resume: bool = False,
) -> Trained:
    """Train towers in place on all processes that were started (torchrun, accelerate), or on this one.

    data: what to learn from; compute: the loss (see ListingLoss); what: names the job on its progress bar
    batch_size: listings that are told apart from each other, over all processes
    learning_rate: of the heads, after a warm-up, falling to zero along a cosine as the backbones' does
    folder: checkpoints are kept in it while training runs
    run: what makes this run the one it is; a checkpoint with another `run` is not resumed (ModelError)
    """
    model, args = prepare(towers, settings, epochs, learning_rate, weight_decay, seed, folder)
    schedule = Schedule(len(data), batch_size, epochs, seed, args.process_index, args.world_size)
    args.logging_steps = max(1, schedule.steps_per_epoch // settings.accumulate)
    trainer = ListingTrainer(
        model, args, data, loss=ListingLoss(model, compute), callbacks=[Progress(what)], schedule=schedule
    )
    found = trainer.train(resume_from_checkpoint=checkpoint_of(folder, run, resume, trainer.is_world_process_zero()))
    for tower in (towers.image, towers.text):
        merge_adapters(tower)
        if tower.trained is not None:
            tower.trained.requires_grad_(False)
    towers.eval()
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    if trainer.is_world_process_zero():
        shutil.rmtree(folder)
    return Trained(found.global_step, found.metrics["train_runtime"], losses, trainer.is_world_process_zero())


def this_process() -> PartialState:
    """The process that this is among those that torchrun or accelerate started."""
    return PartialState(cpu=not torch.accelerator.is_available())


def prepare(
    towers: Towers,
    settings: TrainerSettings,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    folder: Path,
) -> tuple[SentenceTransformer, SentenceTransformerTrainingArguments]:
    """The model with its backbones made trainable, and the trainer's arguments."""
    for tower, how in ((towers.image, settings.image_backbone), (towers.text, settings.text_backbone)):
        train_backbone(tower, how)
        if settings.compile:
            compile_backbone(tower)
    model = SentenceTransformer(modules=[ListingEncoder(towers, settings.views_at_once)])
    args = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the schedule is the whole run
        learning_rate=learning_rate,
        learning_rate_mapping={} if settings.frozen else {r"\.trained\.": settings.backbone_rate},
        weight_decay=weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=WARM_UP,
        gradient_accumulation_steps=settings.accumulate,
        bf16=settings.bf16,
        use_cpu=not torch.accelerator.is_available(),
        seed=seed,
        save_steps=settings.checkpoint_steps,
        save_total_limit=1,
        report_to=list(settings.report_to) or "none",
        dataloader_num_workers=0 if settings.image_backbone == FROZEN else _decoders(settings.workers),
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
    )
    return model, args


def checkpoint_of(folder: Path, run: dict[str, Any], resume: bool, first: bool) -> str | None:
    """The newest checkpoint of this very run, or None to begin one. Raises ModelError."""
    about, now = folder / "run.json", json.loads(json.dumps(run))
    if not resume:
        if first:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            about.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
        return None
    found = last_checkpoint(folder)
    if found is None:
        raise ModelError(f"{folder} has no checkpoint to resume from. Leave out --resume to start a run.")
    then = json.loads(about.read_text(encoding="utf-8"))
    for name in now:
        if then.get(name) != now[name]:
            raise ModelError(
                f"{folder} is of a run with other {name} ({then.get(name)}; this run: {now[name]}). "
                "Choose another --out."
            )
    return found


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that is whole: the trainer writes its state last of all. None where there is none."""
    states = {int(path.parent.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*/trainer_state.json")}
    for step in sorted(states, reverse=True):
        try:
            json.loads(states[step].read_text(encoding="utf-8"))
        except ValueError:
            continue
        return str(states[step].parent)
    return None


def _decoders(workers: int | None) -> int:
    """For this process. `LOCAL_WORLD_SIZE` is what torchrun says of how many train on this machine."""
    training = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(1, (os.cpu_count() or 1) // training) if workers is None else workers


def _as_it_is(batch: Any) -> Any:
    return batch


def _start_worker(_: int) -> None:
    """Photos are decoded one a process: threads of libraries would only get in each other's way."""
    torch.set_num_threads(1)
