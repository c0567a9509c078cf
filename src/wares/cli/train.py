"""Commands that train towers: pretrain, finetune."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wares.cli.options import (
    AccumulateOption,
    AugmentFlag,
    BackboneOption,
    BackboneRateOption,
    Bf16Flag,
    CacheOption,
    CatalogueArgument,
    CheckpointStepsOption,
    CompileFlag,
    JsonFlag,
    Loss,
    MarginalKind,
    Method,
    OnError,
    OnErrorOption,
    OnOption,
    OverwriteFlag,
    ReportToOption,
    TextFieldOption,
    TowersOption,
    ViewsAtOnceOption,
    WorkersOption,
    app,
)
from wares.cli.output import _as_it_was_read, _console, _next, _print_json, _report_problems
from wares.core.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wares.training.weight_selection import WeightName


@app.command()
def pretrain(
    catalogue: CatalogueArgument,
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    method: Annotated[
        Method, typer.Option(help="Which views a step sees; single-view also fuses those alone.")
    ] = Method.factorized,
    towers: TowersOption = "offline",
    loss: Annotated[Loss, typer.Option(help="Between photos and texts.")] = Loss.pairwise,
    marginals: Annotated[MarginalKind, typer.Option(help="How a listing weighs its views.")] = MarginalKind.agreement,
    alpha: Annotated[
        float | None, typer.Option(help="Weight of the first photo among photos, 0 to 1.  [default: chosen]")
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="Weight of the title among texts, 0 to 1.  [default: chosen]")
    ] = None,
    epsilon: Annotated[float, typer.Option(help="Temperature of agreement marginals.")] = 0.2,
    gamma: Annotated[float, typer.Option(help="Weight of photos against texts in the fused embedding, 0 to 1.")] = 0.5,
    intra_modal: Annotated[
        float | None, typer.Option(help="Weight of the losses within a modality.  [default: chosen]")
    ] = None,
    choose: Annotated[
        bool,
        typer.Option(
            "--choose/--no-choose",
            help="Choose the weights that are not given on listings held out, without labels; or take .5, .5 and .25.",
        ),
    ] = True,
    image_backbone: BackboneOption = "frozen",
    text_backbone: BackboneOption = "frozen",
    backbone_rate: BackboneRateOption = 2e-5,
    bf16: Bf16Flag = False,
    accumulate: AccumulateOption = 1,
    views_at_once: ViewsAtOnceOption = None,
    augment: AugmentFlag = True,
    compile_backbones: CompileFlag = False,
    workers: WorkersOption = None,
    checkpoint_steps: CheckpointStepsOption = 200,
    report_to: ReportToOption = None,
    batch_size: Annotated[int, typer.Option(help="Listings in a step.")] = 128,
    epochs: Annotated[int, typer.Option(help="Passes over the catalogue.")] = 30,
    seconds: Annotated[float | None, typer.Option(help="Train for this long instead of --epochs.")] = None,
    learning_rate: Annotated[float, typer.Option(help="At the start; it falls to zero.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of weights, order and sampling.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    overwrite: OverwriteFlag = False,
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn one space for the catalogue's photos and texts, without labels."""
    from dataclasses import asdict, replace

    from wares.data.catalogue import read_catalogue
    from wares.encoders.features import catalogue_features
    from wares.encoders.registry import build_towers
    from wares.encoders.settings import Fusion, Marginals
    from wares.training.pretraining import pretrain as train_heads
    from wares.training.settings import PretrainSettings, method_fusion
    from wares.training.weight_selection import WeightSelection, select_weights, with_weights

    name: Any = method.value  # the names are those of wares.training.pretraining, which a test holds
    settings = PretrainSettings(
        method=name,
        loss=loss.value,
        fusion=Fusion(Marginals(marginals.value, epsilon=epsilon), gamma),
        batch_size=batch_size,
        epochs=epochs,
        seconds=seconds,
        learning_rate=learning_rate,
        seed=seed,
    )
    if settings.method == "joint-text":
        raise SettingsError("joint-text is a baseline of `wares compare`; a shop is of all views, so choose another.")
    trainer = None
    if image_backbone != "frozen" or text_backbone != "frozen":
        from wares.training.settings import TrainerSettings

        trainer = TrainerSettings(
            image_backbone,
            text_backbone,
            backbone_rate,
            bf16,
            accumulate,
            views_at_once,
            augment,
            compile_backbones,
            workers,
            checkpoint_steps,
            tuple(report_to or ()),
        )
    asked: dict[WeightName, float | None] = {"alpha": alpha, "beta": beta, "intra_modal": intra_modal}
    given = {knob: value for knob, value in asked.items() if value is not None}
    settings = with_weights(settings, given)
    settings = replace(settings, fusion=method_fusion(name, settings.fusion))
    _check_out(out, resume, overwrite)
    listings = read_catalogue(catalogue, on_error.value, text_field or ())
    model = build_towers(towers, seed)
    with _first_process_first(trains=trainer is not None) as first:
        features = catalogue_features(listings, model, cache, on_error.value)
        if first:
            _report_problems([*listings.problems, *features.problems])
        choice = WeightSelection(settings, (), 0, 0.0)
        if choose:
            choice = select_weights(features, towers, settings, given.keys())
    if trainer is not None:
        from wares.training.end_to_end import pretrain_end_to_end

        record = pretrain_end_to_end(listings, features, model, choice.settings, trainer, out, resume)
    else:
        record = train_heads(features, model, choice.settings, out, resume)
    if not first:
        return
    choice.add_to_record(out)
    if as_json:
        _print_json(asdict(record) | {"choice": choice.to_json()})
        return
    choice.render(_console())
    _console().print(
        f"{method.value}: {record.listings:,} listings, {record.photos:,} photos, {record.texts:,} texts; "
        f"{record.steps:,} steps in {record.seconds:.1f} s; loss {record.losses[0]:.3f} → {record.losses[-1]:.3f}"
    )
    if record.truncated_texts:
        _console().print(
            f"{record.truncated_texts:,} texts are longer than the text tower reads; their ends were not seen."
        )
    _next("wares", "index", catalogue, "--model", out, "--out", "SHOP", *_as_it_was_read(text_field, on_error))


@app.command()
def finetune(
    catalogue: CatalogueArgument,
    interactions: Annotated[Path, typer.Option(help="Lines of query, listing, kind, weight and time.")],
    model: Annotated[Path, typer.Option(help="A model made by `wares pretrain`.")],
    out: Annotated[Path, typer.Option(help="Folder for the tuned model.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="What a kind counts, as purchase=5, in place of its weights; repeatable.")
    ] = None,
    later: Annotated[
        float, typer.Option(help="Share of the interactions, the latest, that are kept apart to measure with.")
    ] = 0.2,
    hard: Annotated[int, typer.Option(help="Mined negatives for each query in a step.")] = 2,
    popularity: Annotated[
        bool, typer.Option("--popularity/--no-popularity", help="Correct in-batch negatives for popularity (logQ).")
    ] = True,
    photos: Annotated[
        bool, typer.Option("--train-photos/--keep-photos", help="Train the image head too, or leave photos alone.")
    ] = True,
    image_backbone: BackboneOption = "frozen",
    text_backbone: BackboneOption = "frozen",
    backbone_rate: BackboneRateOption = 2e-5,
    bf16: Bf16Flag = False,
    accumulate: AccumulateOption = 1,
    views_at_once: ViewsAtOnceOption = None,
    augment: AugmentFlag = True,
    compile_backbones: CompileFlag = False,
    workers: WorkersOption = None,
    checkpoint_steps: CheckpointStepsOption = 200,
    report_to: ReportToOption = None,
    batch_size: Annotated[int, typer.Option(help="Interactions in a step.")] = 128,
    epochs: Annotated[int, typer.Option(help="Passes over the interactions.")] = 3,
    learning_rate: Annotated[float, typer.Option(help="Of the heads.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Of order, views and negatives.")] = 0,
    on: OnOption = "local",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    overwrite: OverwriteFlag = False,
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    cache: CacheOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what it gained to this file.")] = None,
) -> None:
    """Tune a model to shoppers' queries, and measure it on what they did later."""
    from wares.core.runners import open_runner
    from wares.data.catalogue import read_catalogue
    from wares.data.interactions import interactions_to_queries, read_interactions
    from wares.encoders.features import catalogue_features
    from wares.encoders.registry import load_towers
    from wares.evaluation.evaluator import evaluate as judge
    from wares.evaluation.systems import towers_run
    from wares.training.finetuning import finetune as train
    from wares.training.records import write_model_card
    from wares.training.settings import FinetuneSettings, TrainerSettings

    settings = FinetuneSettings(
        batch_size,
        epochs,
        learning_rate,
        hard_negatives=hard,
        logq_correction=popularity,
        train_image_head=photos,
        seed=seed,
    )
    trainer = TrainerSettings(
        image_backbone,
        text_backbone,
        backbone_rate,
        bf16,
        accumulate,
        views_at_once,
        augment,
        compile_backbones,
        workers,
        checkpoint_steps,
        tuple(report_to or ()),
    )
    _check_out(out, resume, overwrite)
    listings = read_catalogue(catalogue, on_error.value, text_field or ())
    ids = [listing.id for listing in listings.listings]
    clicks = read_interactions(interactions, ids, _weights(kind or []), on_error.value)
    towers = load_towers(model)
    with _first_process_first(trains=True) as first:
        features = catalogue_features(listings, towers, cache, on_error.value)
        if first:
            _report_problems([*listings.problems, *features.problems, *clicks.problems])
    earlier, held_out = clicks.split(later)
    queries, chosen = interactions_to_queries(held_out)
    runs = {"pretrained": towers_run(features, towers, ids, queries)} if first else {}
    with open_runner(on) as runner:
        record = train(listings, features, towers, earlier, settings, trainer, out, resume, runner)
    if not first:
        return
    found = None
    if queries:
        tuned = catalogue_features(listings, towers, cache, on_error.value)
        runs["fine-tuned"] = towers_run(tuned, towers, ids, queries)
        found = judge(runs, chosen, "pretrained")
        found.render(_console())
        write_model_card(out, towers, record, found.means)
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_json() if found else {}, indent=2) + "\n", encoding="utf-8")
    _console().print(
        f"{record.steps:,} steps in {record.seconds:.1f} s on {len(earlier):,} interactions; measured on "
        f"{len(held_out):,} later ones, which say what shoppers chose among what they were shown."
    )
    _next("wares", "index", catalogue, "--model", out, "--out", "SHOP", *_as_it_was_read(text_field, on_error))


def _weights(kinds: list[str]) -> dict[str, float]:
    """Kinds and what they count, of texts such as purchase=5."""
    weights = {}
    for text in kinds:
        name, _, number = text.partition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            raise SettingsError(f"--kind takes a kind and a number, as purchase=5, not {text!r}.") from None
    return weights


def _check_out(out: Path, resume: bool, overwrite: bool) -> None:
    """Raise ModelError where a finished or a stopped run would be lost, or files of others be written over."""
    ours = ("towers.json", "checkpoint.pt", "checkpoints")
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in ours):
        raise ModelError(f"{out} holds files that are no model's, so it is left alone. Choose another --out.")
    if (out / "towers.json").exists() and not overwrite:
        done = "is finished; there is nothing to resume" if resume else "holds a model already"
        raise ModelError(f"{out} {done}. Choose another --out, or pass --overwrite.")
    if ((out / "checkpoint.pt").exists() or (out / "checkpoints").exists()) and not (resume or overwrite):
        raise ModelError(f"{out} holds a run that was stopped. Pass --resume to finish it, or --overwrite.")


@contextmanager
def _first_process_first(trains: bool) -> Iterator[bool]:
    """Where torchrun or accelerate started several processes, the first goes ahead and fills the cache for all.

    trains: whether several can train

    Gives whether this is the first process. Raises SettingsError where one process is all that can be used.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        yield True
        return
    if not trains:
        raise SettingsError(f"heads on frozen backbones train in seconds, on one process; {processes} were started.")
    from wares.training.trainer import current_process

    process = current_process()
    with process.main_process_first():
        yield process.is_main_process
