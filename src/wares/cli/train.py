"""Commands that train towers: pretrain, finetune."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from wares.cli.options import (
    Catalogue,
    FeatureOptions,
    Features,
    Given,
    Json,
    JsonFile,
    Overwrite,
    Resume,
    RunnerName,
    Towers,
    flatten,
    group,
)
from wares.cli.output import console, print_json, reading_arguments, report_problems, suggest
from wares.core.errors import ModelError, SettingsError
from wares.encoders.settings import FROZEN, Fusion, Marginals
from wares.training.settings import FinetuneSettings, PretrainSettings, TrainerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wares.training.early_stopping import EarlyStopping
    from wares.training.records import TrainingRecord
    from wares.training.weight_selection import WeightName, WeightSelection

flatten(Fusion)
flatten(Marginals, kind="marginals")

SELECTABLE: tuple[WeightName, ...] = ("alpha", "beta", "intra_modal")  # weights that are selected unless they are given
PAIR_TITLES = {
    "new": "Later interactions whose query and listing were not together in training:",
    "learned": "Later interactions whose query and listing were together in training:",
}
BACKBONES = group("Training backbones", "image-backbone", "text-backbone", "bf16", order=2)

Pretraining = Annotated[
    PretrainSettings,
    group("Training", "method", "marginals", "alpha", "beta", "intra-modal", "batch-size", "epochs", "seed"),
]
Finetuning = Annotated[
    FinetuneSettings, group("Training", "batch-size", "epochs", "learning-rate", "hard-negatives", "seed")
]
Backbones = Annotated[TrainerSettings, BACKBONES]


def pretrain(
    catalogue: Catalogue,
    /,
    *,
    out: Path,
    towers: Towers = "offline",
    select_weights: bool = True,
    early_stopping: bool = True,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    settings: Pretraining = PretrainSettings(),
    trainer: Backbones = TrainerSettings(),
    reading: Features = FeatureOptions(),
    given: Given = frozenset(),
) -> None:
    """Learn one space for the catalogue's photos and texts, without labels.

    Args:
        out: Folder for the model.
        select_weights: Select --alpha, --beta and --intra-modal on held-out listings, without labels, unless given.
        early_stopping: Select the number of epochs, up to --epochs, on held-out listings, without labels.
    """
    from dataclasses import replace

    from wares.data.catalogue import read_catalogue
    from wares.encoders.features import catalogue_features
    from wares.encoders.registry import build_towers
    from wares.training.early_stopping import EarlyStopping, select_epochs
    from wares.training.pretraining import pretrain as train_heads
    from wares.training.records import add_selections
    from wares.training.settings import method_fusion
    from wares.training.weight_selection import WeightSelection
    from wares.training.weight_selection import select_weights as select

    if settings.method == "joint-text":
        raise SettingsError("joint-text is a baseline of `wares compare` that ignores views. Choose another --method.")
    trains_backbones = trainer.image_backbone != FROZEN or trainer.text_backbone != FROZEN
    settings = replace(settings, fusion=method_fusion(settings.method, settings.fusion))
    _check_out(out, resume, overwrite)
    listings = read_catalogue(catalogue, reading.on_error, reading.text_field)
    model = build_towers(towers, settings.seed)
    with _first_process_first(trains_backbones) as is_first:
        features = catalogue_features(listings, model, reading.cache, reading.on_error)
        if is_first:
            report_problems([*listings.problems, *features.problems])
        selection = WeightSelection(settings, (), 0, 0, 0.0)
        if select_weights:
            selection = select(features, towers, settings, [name for name in SELECTABLE if name in given])
        settings, stopping = selection.settings, EarlyStopping(settings.epochs, {}, 0, 0, 0.0)
        if early_stopping and not trains_backbones:  # frozen backbones say nothing about the training of backbones
            stopping = select_epochs(features, towers, settings)
            settings = replace(settings, epochs=stopping.epochs)
    if trains_backbones:
        from wares.training.end_to_end import pretrain_end_to_end

        record = pretrain_end_to_end(listings, features, model, settings, trainer, out, resume)
    else:
        record = train_heads(features, model, settings, out, resume)
    if not is_first:
        return
    written = add_selections(out, model, record, [selection, stopping])
    if as_json:
        print_json(written)
        return
    _print_pretraining(selection, stopping, record)
    suggest("wares", "index", catalogue, "--model", out, "--out", "SHOP", *reading_arguments(reading))


def _print_pretraining(selection: WeightSelection, stopping: EarlyStopping, record: TrainingRecord) -> None:
    selection.render(console())
    if stopping.log_probs:
        console().print(f"{stopping}.")
    console().print(
        f"{selection.settings.method}: {record.listings:,} listings, {record.photos:,} photos, {record.texts:,} texts; "
        f"{record.steps:,} steps in {record.seconds:.1f} s; loss {record.losses[0]:.3f} → {record.losses[-1]:.3f}"
    )
    if record.truncated_texts:
        console().print(f"{record.truncated_texts:,} texts exceed the text tower's maximum length and were truncated.")


def finetune(
    catalogue: Catalogue,
    /,
    *,
    interactions: Path,
    model: Path,
    out: Path,
    kind_weight: tuple[str, ...] = (),
    test_fraction: Annotated[float, Parameter(validator=Number(gte=0, lt=1))] = 0.2,
    runner: RunnerName = "local",
    resume: Resume = False,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
    settings: Finetuning = FinetuneSettings(),
    trainer: Backbones = TrainerSettings(),
    reading: Features = FeatureOptions(),
) -> None:
    """Fine-tune a model on shoppers' queries, and measure it on later interactions, learned and new ones apart.

    Args:
        interactions: File of interactions: query, listing, kind, weight and time.
        model: Folder of a model that `wares pretrain` wrote.
        out: Folder for the fine-tuned model.
        kind_weight: Weight of a kind of interaction, as purchase=5, in place of the weights in the file.
        test_fraction: Fraction of the interactions, the latest, that are held out to measure with, 0 to 1.
    """
    from wares.core.files import write_json
    from wares.core.runners import open_runner
    from wares.data.catalogue import read_catalogue
    from wares.data.interactions import interactions_to_queries, read_interactions
    from wares.encoders.features import catalogue_features
    from wares.encoders.registry import load_towers
    from wares.evaluation.interactions import evaluate_interactions
    from wares.evaluation.systems import towers_run
    from wares.training.finetuning import finetune as train
    from wares.training.records import write_model_card

    _check_out(out, resume, overwrite)
    listings = read_catalogue(catalogue, reading.on_error, reading.text_field)
    ids = [listing.id for listing in listings.listings]
    found = read_interactions(interactions, ids, _kind_weights(kind_weight), reading.on_error)
    towers = load_towers(model)
    with _first_process_first(trains_backbones=True) as is_first:
        features = catalogue_features(listings, towers, reading.cache, reading.on_error)
        if is_first:
            report_problems([*listings.problems, *features.problems, *found.problems])
    training, test = found.split(test_fraction)
    queries, _ = interactions_to_queries(test)
    runs = {"pretrained": towers_run(features, towers, ids, queries)} if is_first else {}
    with open_runner(runner) as opened:
        record = train(listings, features, towers, training, settings, trainer, out, resume, opened)
    if not is_first:
        return
    if queries:
        tuned = catalogue_features(listings, towers, reading.cache, reading.on_error)
        runs["fine-tuned"] = towers_run(tuned, towers, ids, queries)
    evaluations = evaluate_interactions(runs, training, test, "pretrained")
    for novelty, evaluation in evaluations.items():
        console().print(PAIR_TITLES[novelty])
        evaluation.render(console())
    if "new" in evaluations:
        write_model_card(out, towers, record, evaluations["new"].means)
    if json_file is not None:
        write_json({novelty: evaluation.to_json() for novelty, evaluation in evaluations.items()}, json_file)
    console().print(
        f"{record.steps:,} steps in {record.seconds:.1f} s on {len(training):,} interactions; measured on "
        f"{len(test):,} later ones, which show what shoppers chose among the listings that they saw."
    )
    suggest("wares", "index", catalogue, "--model", out, "--out", "SHOP", *reading_arguments(reading))


def _kind_weights(texts: tuple[str, ...]) -> dict[str, float]:
    """Weights by kind, from texts such as purchase=5."""
    weights = {}
    for text in texts:
        kind, _, number = text.partition("=")
        try:
            weights[kind] = float(number)
        except ValueError:
            raise SettingsError(f"--kind-weight {text!r} is no kind with a number. Write it as purchase=5.") from None
    return weights


def _check_out(out: Path, resume: bool, overwrite: bool) -> None:
    """Raise ModelError if a finished or interrupted run, or files of something else, would be overwritten."""
    own_files = ("towers.json", "checkpoint.pt", "checkpoints")
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in own_files):
        raise ModelError(f"{out} is not empty and is not a model. Choose another --out.")
    if (out / "towers.json").exists() and not overwrite:
        state = "is finished; there is nothing to resume" if resume else "already holds a model"
        raise ModelError(f"{out} {state}. Choose another --out, or pass --overwrite.")
    if ((out / "checkpoint.pt").exists() or (out / "checkpoints").exists()) and not (resume or overwrite):
        raise ModelError(f"{out} holds an interrupted run. Pass --resume to finish it, or --overwrite.")


@contextmanager
def _first_process_first(trains_backbones: bool) -> Iterator[bool]:
    """True for the first of the processes that torchrun or accelerate started, which fills the cache before the others.

    trains_backbones: True if several processes can train

    Raises SettingsError if several processes were started for training that uses one.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        yield True
        return
    if not trains_backbones:
        raise SettingsError(
            f"{processes} processes were started, but heads on frozen backbones train in one process, in seconds. "
            "Start one, or pass --image-backbone or --text-backbone."
        )
    from wares.training.trainer import current_process

    process = current_process()
    with process.main_process_first():
        yield process.is_main_process
