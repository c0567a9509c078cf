"""The command line: one command a job. Heavy libraries are imported inside the commands, so that --help is quick."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wares.errors import CatalogueError, ModelError, SettingsError, ShopError, WaresError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from wares.catalogue import Catalogue, CatalogueFile, Query
    from wares.choose import Knob
    from wares.reranking import TrainedRanker
    from wares.runs import Run
    from wares.search import Hit
    from wares.shop import Shop
    from wares.supervise import Dev
    from wares.towers import Towers

TITLE = 120  # letters of a title that tables show
SERVING = ("fastapi", "uvicorn", "obstore")  # libraries of the extra "serve", those that are asked for first

app = typer.Typer(
    name="wares",
    help="Marketplace search that needs no labels: one embedding per listing, from all of its photos and texts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class OnError(StrEnum):
    """What a bad row or photo does."""

    stop = "stop"
    skip = "skip"


class Method(StrEnum):
    """How pretraining chooses and scores views."""

    factorized = "factorized"
    single_view = "single-view"
    random_view = "random-view"
    all_pairs = "all-pairs"
    full_transport = "full-transport"
    low_rank_transport = "low-rank-transport"
    mean_views = "mean-views"
    joint_text = "joint-text"


# What `wares compare` trains unless told otherwise: everything but the references that are slow by design.
COMPARED = [method for method in Method if method not in (Method.full_transport, Method.low_rank_transport)]


class Loss(StrEnum):
    """What pretraining minimises."""

    pairwise = "pairwise"
    barycentric = "barycentric"


class MarginalKind(StrEnum):
    """How a listing weighs its views."""

    fixed = "fixed"
    agreement = "agreement"
    learned = "learned"


class System(StrEnum):
    """What ranks the listings."""

    fused = "fused"
    bm25 = "bm25"
    hybrid = "fused+bm25"


CatalogueArgument = Annotated[
    Path, typer.Argument(help="Folder with listings.jsonl, .csv or .parquet, or such a file.")
]
ShopArgument = Annotated[Path, typer.Argument(help="A shop made by `wares index`.")]
OnErrorOption = Annotated[OnError, typer.Option(help="Stop at a bad row or photo, or leave it out and list it.")]
TextFieldOption = Annotated[list[str] | None, typer.Option("--text-field", help="Another text column; repeatable.")]
OnOption = Annotated[
    str, typer.Option(help="Where: local, ray (a Ray cluster of this machine), or ray://ADDRESS.", metavar="WHERE")
]
CacheOption = Annotated[
    Path | None, typer.Option(help="Where photo and text features are kept.  [default: ~/.cache/wares]")
]
TowersOption = Annotated[str, typer.Option(help="offline, small, a hub name or folder, or VISION+TEXT.")]
BackboneOption = Annotated[str, typer.Option(help="frozen, last-N (its last N blocks), lora, or all.")]
BackboneRateOption = Annotated[float, typer.Option(help="Learning rate of trained backbones.")]
Bf16Flag = Annotated[bool, typer.Option("--bf16", help="Train backbones in bfloat16.")]
AccumulateOption = Annotated[int, typer.Option(help="Batches to one step of trained backbones.")]
ViewsAtOnceOption = Annotated[
    int | None, typer.Option(help="Views encoded at a time, for batches that do not fit into memory.")
]
AugmentFlag = Annotated[
    bool, typer.Option("--augment/--no-augment", help="Show photos to trained backbones a little differently.")
]
CompileFlag = Annotated[bool, typer.Option("--compile", help="Compile trained backbones.")]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes that decode photos for each that trains backbones.  [default: one a core]")
]
CheckpointStepsOption = Annotated[int, typer.Option(help="Steps between checkpoints of trained backbones.")]
ReportToOption = Annotated[list[str] | None, typer.Option(help="tensorboard, wandb or another tracker; repeatable.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
OverwriteFlag = Annotated[bool, typer.Option("--overwrite", help="Replace what --out names.")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Options of every command; --debug is read by `main`."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    listings: Annotated[int, typer.Option(min=50, help="How many listings to draw.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the marketplace and of training.")] = 0,
) -> None:
    """The whole story on a sample marketplace that is drawn by code."""
    from wares.demo import run_demo

    run_demo(_console(), out, listings, seed)


@app.command()
def check(
    catalogue: CatalogueArgument,
    text_field: TextFieldOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Validate a catalogue, count its views, and list everything that cannot be used."""
    from wares.check import check_catalogue

    report = check_catalogue(catalogue, text_fields=text_field or ())
    if as_json:
        _print_json(report.to_json())
    else:
        report.render(_console())
    if not report.ok:
        raise typer.Exit(1)


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

    from wares.catalogue import read_catalogue
    from wares.choose import Choice, choose_settings, with_knobs
    from wares.encode import catalogue_features
    from wares.pretrain import PretrainSettings, method_fusion
    from wares.pretrain import pretrain as train_heads
    from wares.towers import Fusion, build_towers
    from wares.views import Marginals

    name: Any = method.value  # the names are those of wares.pretrain, which a test holds
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
        from wares.trainer import TrainerSettings

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
    asked: dict[Knob, float | None] = {"alpha": alpha, "beta": beta, "intra_modal": intra_modal}
    given = {knob: value for knob, value in asked.items() if value is not None}
    settings = with_knobs(settings, given)
    settings = replace(settings, fusion=method_fusion(name, settings.fusion))
    _check_out(out, resume, overwrite)
    listings = read_catalogue(catalogue, on_error.value, text_field or ())
    model = build_towers(towers, seed)
    with _first_process_first(trains=trainer is not None) as first:
        features = catalogue_features(listings, model, cache, on_error.value)
        if first:
            _report_problems([*listings.problems, *features.problems])
        choice = Choice(settings, (), 0, 0.0)
        if choose:
            choice = choose_settings(features, towers, settings, given.keys())
    if trainer is not None:
        from wares.end_to_end import pretrain_end_to_end

        record = pretrain_end_to_end(listings, features, model, choice.settings, trainer, out, resume)
    else:
        record = train_heads(features, model, choice.settings, out, resume)
    if not first:
        return
    choice.note(out)
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
    from wares.catalogue import read_catalogue
    from wares.cluster import running
    from wares.encode import catalogue_features
    from wares.evaluate import evaluate as judge
    from wares.evaluate import towers_run
    from wares.finetune import FinetuneSettings
    from wares.finetune import finetune as train
    from wares.interactions import as_queries, read_interactions
    from wares.pretrain import write_card
    from wares.towers import load_towers
    from wares.trainer import TrainerSettings

    settings = FinetuneSettings(
        batch_size, epochs, learning_rate, hard=hard, popularity=popularity, train_photos=photos, seed=seed
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
    queries, chosen = as_queries(held_out)
    runs = {"pretrained": towers_run(features, towers, ids, queries)} if first else {}
    with running(on) as runner:
        record = train(listings, features, towers, earlier, settings, trainer, out, resume, runner)
    if not first:
        return
    found = None
    if queries:
        tuned = catalogue_features(listings, towers, cache, on_error.value)
        runs["fine-tuned"] = towers_run(tuned, towers, ids, queries)
        found = judge(runs, chosen, "pretrained")
        found.render(_console())
        write_card(out, towers, record, found.systems)
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_json() if found else {}, indent=2) + "\n", encoding="utf-8")
    _console().print(
        f"{record.steps:,} steps in {record.seconds:.1f} s on {len(earlier):,} interactions; measured on "
        f"{len(held_out):,} later ones, which say what shoppers chose among what they were shown."
    )
    _next("wares", "index", catalogue, "--model", out, "--out", "SHOP", *_as_it_was_read(text_field, on_error))


@app.command()
def index(
    catalogue: CatalogueArgument,
    out: Annotated[Path, typer.Option(help="Folder for the shop.")],
    model: Annotated[Path | None, typer.Option(help="A model made by `wares pretrain`.")] = None,
    towers: Annotated[str | None, typer.Option(help="Untrained towers by name, instead of --model.")] = None,
    ranker: Annotated[
        Path | None,
        typer.Option(
            help="A run of `wares supervise`, whose kept ranker reranks or encodes queries; or a folder in it, as "
            "RUN/round-2/dense. A shop that is up to date is not built again for it."
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Share of the 100 nearest listings that a search of a large shop finds.  [default: 0.95]"),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Bring the shop in line: only what is new or has changed is encoded.")
    ] = False,
    on: OnOption = "local",
    rows: Annotated[
        str | None,
        typer.Option(help="Folder or URL (s3://, gs://, az://) to gather rows at and keep them.  [default: the shop]"),
    ] = None,
    overwrite: OverwriteFlag = False,
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Fuse every listing into one embedding and write the shop."""
    from wares.catalogue import open_catalogue
    from wares.cluster import running
    from wares.index import add_ranker, build_shop
    from wares.search import Condition, unranked, values
    from wares.vector_index import RECALL

    listings = open_catalogue(catalogue, on_error.value, text_field or ())
    if update:
        if ranker is not None or overwrite or rows is not None:
            raise SettingsError("--update keeps the shop and its ranker; leave out --ranker, --rows and --overwrite.")
        encoders = None if model is None and towers is None else _towers(model, towers)
        _update(listings, out, encoders, recall, on, on_error.value, cache, as_json)
        return
    trained = _trained(ranker) if ranker is not None else None
    built_by = _towers(model, towers)
    if ranker is not None and not overwrite and (out / "shop.json").is_file():
        shop = _shop_to_keep(out, listings.read(), built_by)
        shop = shop if trained is None else add_ranker(shop, trained, listings.read())
    else:
        with running(on) as runner:
            shop = build_shop(
                listings,
                built_by,
                out,
                cache=cache,
                on_error=on_error.value,
                overwrite=overwrite,
                ranker=trained,
                recall=RECALL if recall is None else recall,
                runner=runner,
                rows=rows,
            )
    _report_problems(shop.problems)
    if as_json:
        told: dict[str, Any] = {"photos": shop.about.photos, "problems": shop.about.problems}
        told |= {} if ranker is None else {"ranker": None if trained is None else str(trained)}
        _print_json(_told(shop) | told)
        return
    _console().print(f"{len(shop):,} listings with {shop.about.photos:,} photos are in {out}.")
    if shop.vector_index.kind != "exact":
        _console().print(str(shop.vector_index), soft_wrap=True)
    if trained is not None:
        does = "encodes queries" if trained.changes_queries else "reranks"
        _console().print(f"{trained} {does}.", markup=False, soft_wrap=True)
    rerank = ["--rerank"] if trained is not None and not trained.changes_queries else []
    [title] = values(shop, unranked(shop, 1, Condition()), ["title"])["title"]
    _next("wares", "search", out, _some_words(title), *rerank, "--why")


@app.command()
def search(
    shop: ShopArgument,
    text: Annotated[str | None, typer.Argument(help="What is looked for, in words.")] = None,
    photo: Annotated[Path | None, typer.Option(help="A photo of what is looked for.")] = None,
    like: Annotated[str | None, typer.Option(help="Id of a listing to find more of.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many results.")] = 10,
    where: Annotated[str | None, typer.Option(help="A filter, as in \"price < 50 AND attributes.size = 'M'\".")] = None,
    system: Annotated[
        System | None,
        typer.Option(
            help="What ranks: the fused embedding, BM25, or both.  [default: fused; with --rerank fused+bm25]"
        ),
    ] = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Reorder the best results by the shop's ranker.")] = False,
    depth: Annotated[
        int | None, typer.Option("--depth", "-n", help="Results that --rerank reorders.  [default: 100]")
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="What each photo and text added to the score.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Search by words, by photo, or by a listing, or by all of these together."""
    from wares.reranking import DEPTH
    from wares.search import search as find
    from wares.shop import open_shop

    if depth is not None and not rerank:
        raise SettingsError("--depth is how many results --rerank reorders; pass --rerank as well.")
    reranked = (DEPTH if depth is None else depth) if rerank else None
    by: Any = None if system is None else system.value  # the names are those of wares.search
    hits = find(open_shop(shop), text, photo, like, k=k, where=where, system=by, rerank=reranked)
    if as_json:
        _print_json([hit.to_json() for hit in hits])
    elif hits:
        _print_hits(_console(), hits, why)
    else:
        _console().print("Nothing found.")


@app.command()
def queries(
    catalogue: CatalogueArgument,
    out: Annotated[Path, typer.Option(help='File for the queries, one {"id", "text"} a line.')],
    count: Annotated[int | None, typer.Option(min=1, help="Queries to write, at most.  [default: 5000]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of what is written.  [default: 0]")] = None,
    log: Annotated[
        Path | None, typer.Option(help="Tidy the queries of this log instead: lines of queries or of interactions.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="A log to take the lengths of queries from, and to show beside them.")
    ] = None,
    held_out: Annotated[
        Path | None, typer.Option(help="File for a share of the log's queries, kept apart to test with.")
    ] = None,
    share: Annotated[float | None, typer.Option(help="That share, 0 to 1.  [default: 0.2]")] = None,
    overwrite: OverwriteFlag = False,
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write queries from the listings, or tidy those of a log, and show how they look to the catalogue."""
    from wares.catalogue import read_catalogue, write_queries
    from wares.corpus import Corpus
    from wares.queries import (
        LENGTHS,
        Log,
        Written,
        lengths_of,
        likeness,
        render_likeness,
        split,
        tidied,
        write_written,
        written,
    )

    if log is not None and not (count is None and seed is None and like is None):
        raise SettingsError("--count, --seed, --like are of queries written from listings; with --log, leave them out.")
    if (held_out is not None and log is None) or (share is not None and held_out is None):
        raise SettingsError("--held-out keeps a --share of the queries of a --log apart; name all that it takes.")
    for path in (out, held_out):
        if path is not None and path.exists() and not overwrite:
            raise CatalogueError(f"{path} is there already. Choose another file, or pass --overwrite.")
    files = {name: path for name, path in (("log", log), ("like", like)) if path is not None}
    logs = {name: tidied(path, on_error.value) for name, path in files.items()}
    corpus = Corpus(read_catalogue(catalogue, on_error.value, text_field or ()))
    _report_problems([*corpus.catalogue.problems, *(problem for each in logs.values() for problem in each.problems)])
    pools: dict[str, Log | Written]
    apart: list[Query] = []
    if log is None:
        lengths = LENGTHS if like is None else lengths_of(logs["like"].queries)
        found = written(corpus, 5000 if count is None else count, seed or 0, lengths)
        write_written(found, corpus, out)
        pools = {"written": found, **logs}
    else:
        kept, apart = split(logs["log"].queries, 0.0 if held_out is None else 0.2 if share is None else share)
        write_queries(kept, out)
        if held_out is not None:
            write_queries(apart, held_out)
        pools = {**logs}
    looks = {name: likeness(pool.queries, corpus) for name, pool in pools.items()}
    examples = [query.text for query in next(iter(pools.values())).queries[:10]]
    if as_json:
        sets = {name: pool.to_json() | looks[name].to_json() for name, pool in pools.items()}
        _print_json({"out": str(out), "held_out": len(apart), "sets": sets, "examples": examples})
        return
    for name, pool in pools.items():
        _console().print(f"{name}: {pool}", markup=False, soft_wrap=True)
    if held_out is not None:
        _console().print(f"{len(apart):,} of them are kept apart in {held_out}.", markup=False, soft_wrap=True)
    render_likeness(_console(), looks)
    _console().print("For example:", *examples, sep="\n  ", markup=False, soft_wrap=True)


class Strategy(StrEnum):
    """Who teaches whom, from the second round on."""

    weak = "weak"
    self_ = "self"
    cross = "cross"
    joint = "joint"
    greedy = "greedy"


class Start(StrEnum):
    """What a round starts from."""

    fresh = "fresh"
    warm = "warm"


@app.command()
def supervise(
    corpus: CatalogueArgument,
    queries: Annotated[Path, typer.Option(help='Queries to learn from: {"id", "text"} a line.')],
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    strategy: Annotated[Strategy, typer.Option(help="Who teaches whom, from the second round on.")] = Strategy.weak,
    labelers: Annotated[str, typer.Option(help="First teachers, as in bm25,late-interaction or bm25(k1=.9).")] = "bm25",
    rankers: Annotated[str, typer.Option(help="Who learns, as in dense,cross-encoder.")] = "dense",
    weights: Annotated[
        str | None, typer.Option(help="Query performance predictor that weighs queries, as nqc.  [default: none]")
    ] = None,
    weight_map: Annotated[str, typer.Option(help="How predictions become weights.")] = "rank",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, at most; weak has one.")] = 3,
    settled: Annotated[
        float, typer.Option(help="Rounds end early when results agree by so much with those of the round before.")
    ] = 0.98,
    start: Annotated[Start, typer.Option(help="What a round starts from.")] = Start.fresh,
    loss: Annotated[str, typer.Option(help="Ranking loss.")] = "listwise-kl",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the queries in a round.")] = 3,
    depth: Annotated[int, typer.Option(min=1, help="Best listings of each teacher that are labelled.")] = 50,
    random: Annotated[int, typer.Option(min=0, help="Listings labelled beside them, drawn from all.")] = 30,
    temperature: Annotated[float, typer.Option(help="Of labelers; small values put all on the first listing.")] = 0.6,
    seed: Annotated[int, typer.Option(min=0, help="Of everything drawn.")] = 0,
    test_queries: Annotated[Path | None, typer.Option(help="Queries whose results are written.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgments of them, for reporting only.")] = None,
    dev_queries: Annotated[
        Path | None, typer.Option(help="A few judged queries, by which greedy chooses teachers; no test queries.")
    ] = None,
    dev_qrels: Annotated[Path | None, typer.Option(help="Judgments of --dev-queries.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="That label, at most; no result depends on it.  [default: one a core]")
    ] = None,
    on: OnOption = "local",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train rankers from queries that nobody judged, round by round."""
    from dataclasses import asdict

    from wares.catalogue import read_catalogue, read_queries
    from wares.cluster import running
    from wares.corpus import Corpus
    from wares.evaluate import read_qrels, render_correlations
    from wares.naming import split_names
    from wares.rankers.learning import LearningSettings
    from wares.supervise import SuperviseSettings
    from wares.supervise import supervise as run
    from wares.supervise_report import judge, judge_predictors, predictions, render, write_report

    if qrels is not None and test_queries is None:
        raise SettingsError("--qrels are judgments of --test-queries; name both.")
    if (dev_queries is None) != (dev_qrels is None):
        raise SettingsError("--dev-qrels are judgments of --dev-queries; name both.")
    if (out / "settings.json").exists() and not resume:
        raise ModelError(f"{out} holds a run. Choose another --out, or pass --resume to go on with it.")
    settings = SuperviseSettings(
        strategy=strategy.value,
        labelers=tuple(split_names(labelers)),
        rankers=tuple(split_names(rankers)),
        rounds=rounds,
        settled=settled,
        depth=depth,
        random=random,
        temperature=temperature,
        weights=weights,
        weight_map=weight_map,
        start=start.value,
        learning=LearningSettings(loss, epochs),
        seed=seed,
    )
    listings = read_catalogue(corpus, on_error.value, text_field or ())
    _report_problems(list(listings.problems))
    tests = read_queries(test_queries) if test_queries is not None else []
    dev = _dev(dev_queries, dev_qrels, tests) if dev_queries is not None and dev_qrels is not None else None
    searched = Corpus(listings, on_error.value)
    with running(on) as runner:
        labelling = None if on == "local" else runner
        found = run(searched, read_queries(queries), settings, out, tests, processes, dev, labelling)
    _report_problems(searched.problems)
    if as_json:
        _print_json({"out": str(out), **asdict(found)})
    else:
        render(found, _console())
    if qrels is not None:
        judged = judge(out, read_qrels(qrels))
        compared = judge_predictors(out, judged, predictions(searched, tests))
        if not as_json:
            judged.render(_console())
            render_correlations(compared, _console())
    page = write_report(out)
    if not as_json:
        _console().print(f"Everything on one page: {page}", soft_wrap=True)


@app.command()
def evaluate(
    systems: Annotated[list[Path], typer.Argument(help="Shops and TREC run files.", metavar="SHOP|RUN...")],
    queries: Annotated[Path, typer.Option(help='queries.jsonl: {"id", "text"}.')],
    qrels: Annotated[Path, typer.Option(help="Judgments in TREC format.")],
    baseline: Annotated[str | None, typer.Option(help="System to test against.  [default: bm25, or the first]")] = None,
    measures: Annotated[
        str, typer.Option(help="Measures, as ir_measures names them.")
    ] = "nDCG@10,R@10,R@100,R@500,AP,RR",
    save_runs: Annotated[Path | None, typer.Option(help="Folder to write the shops' TREC runs to.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
) -> None:
    """Measure shops and runs on judged queries, with paired tests and Holm's correction."""
    from wares.catalogue import read_queries
    from wares.evaluate import check_measures, named_runs, read_qrels
    from wares.evaluate import evaluate as judge
    from wares.runs import write_run

    names = [name.strip() for name in measures.split(",")]
    check_measures(names)
    asked, judgments = read_queries(queries), read_qrels(qrels)
    if json_file is not None and not json_file.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(json_file))
    if save_runs is not None:
        save_runs.mkdir(parents=True, exist_ok=True)
    runs = named_runs(systems, asked)
    chosen = baseline or next((name for name in runs if name.endswith("bm25") and "+" not in name), next(iter(runs)))
    found = judge(runs, judgments, chosen, names)
    found.render(_console())
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    if save_runs is not None:
        for name, run in runs.items():
            write_run(run, save_runs / f"{name.replace('/', '-')}.txt", "-".join(name.split()))


@app.command()
def compare(
    catalogue: CatalogueArgument,
    towers: TowersOption = "offline",
    methods: Annotated[
        str, typer.Option(help="Methods, the first sets the clock; `all` adds the slow references.")
    ] = ",".join(COMPARED),
    seeds: Annotated[int, typer.Option(min=1, help="How many times to train each method.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the catalogue at equal epochs.")] = 30,
    baseline: Annotated[str, typer.Option(help="System to test against, where it is measured.")] = "single-view",
    choose: Annotated[
        bool, typer.Option("--choose/--no-choose", help="Choose every method's weights, as `wares pretrain` does.")
    ] = True,
    queries: Annotated[Path | None, typer.Option(help="Queries.  [default: the catalogue's queries.jsonl]")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgments.  [default: the catalogue's qrels.txt]")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.html, its pictures and compare.json.")] = Path("compare"),
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    cache: CacheOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write compare.json here as well.")] = None,
) -> None:
    """Pretraining methods side by side, at equal wall-clock and at equal epochs: a report with intervals and tests."""
    from wares.catalogue import read_catalogue
    from wares.compare import Encoded, system_names
    from wares.compare import compare as run
    from wares.compare_report import Setup, facts, write_comparison
    from wares.encode import catalogue_features
    from wares.pretrain import PretrainSettings
    from wares.towers import build_towers

    names = list(Method) if methods == "all" else _names(methods, Method)
    chosen = [PretrainSettings(method=Method(name).value, epochs=epochs) for name in names]
    judged = _judged(catalogue, queries, qrels)
    known = system_names([settings.method for settings in chosen], judged is not None)
    if baseline not in {*known, "single-view"}:
        raise SettingsError(f"no system {baseline!r} to test against; there are {', '.join(known)}.")
    listings = read_catalogue(catalogue, on_error.value, text_field or ())
    features = catalogue_features(listings, build_towers(towers), cache, on_error.value)
    _report_problems([*listings.problems, *features.problems])
    corpus = Encoded(listings, features)
    findings = run(corpus, towers, chosen, seeds, judged, choose, cache)
    command = shlex.join(["wares", *sys.argv[1:]])
    setup = Setup(catalogue.resolve().name, command, facts(corpus, judged, towers, seeds), chosen)
    files = write_comparison(_console(), findings, setup, out, baseline)
    if json_file is not None:
        json_file.write_bytes(files[0].read_bytes())


@app.command()
def reembed(
    shop: ShopArgument,
    model: Annotated[Path | None, typer.Option(help="A model made by `wares pretrain`.")] = None,
    towers: Annotated[str | None, typer.Option(help="Untrained towers by name, instead of --model.")] = None,
    on: OnOption = "local",
    on_error: OnErrorOption = OnError.stop,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Move a shop to another model, beside what is searched; it takes over when all listings are there."""
    from wares.cluster import running
    from wares.incremental import reembed_shop

    with running(on) as runner:
        moved = reembed_shop(shop, _towers(model, towers), cache=cache, on_error=on_error.value, runner=runner)
    _report_problems(moved.problems)
    if as_json:
        _print_json(_told(moved))
        return
    _console().print(f"{len(moved):,} listings of {shop} were embedded by model {moved.about.model[:8]}….")
    _next("wares", "versions", shop)


@app.command()
def versions(shop: ShopArgument, as_json: JsonFlag = False) -> None:
    """What a shop is now, and the builds that it can be set back to, the latest first."""
    from dataclasses import asdict

    from rich.table import Table

    from wares.versions import versions as known

    found = known(shop)
    if as_json:
        _print_json([asdict(version) | {"time": version.time.isoformat()} for version in found])
        return
    table = Table("version", "time (UTC)", "listings", "")
    for version in found:
        now = "the shop" if version.current else "as it was before the update of that time" if version.copied else ""
        table.add_row(version.name, f"{version.time:%Y-%m-%d %H:%M:%S}", f"{version.listings:,}", now)
    _console().print(table)
    if len(found) > 1:
        _next("wares", "rollback", shop, found[1].name)


@app.command()
def rollback(shop: ShopArgument, version: Annotated[str, typer.Argument(help="As `wares versions` names it.")]) -> None:
    """Set a shop back to another build of it; what it was is kept, so that this can be taken back."""
    from wares.versions import roll_back

    now = roll_back(shop, version)
    _console().print(f"{shop} is version {version}: {len(now):,} listings.")


@app.command()
def publish(
    shop: ShopArgument,
    url: Annotated[str, typer.Argument(help="Where to, as s3://bucket/shop, gs:// or az://.")],
    as_json: JsonFlag = False,
) -> None:
    """Copy a shop to object storage, for `wares serve` elsewhere; later only what has changed."""
    from wares.replicas import publish as copy
    from wares.shop import open_shop

    copied = copy(open_shop(shop), url)
    if as_json:
        _print_json({"files": copied.files, "bytes": copied.size, "missing": list(copied.missing)})
        return
    console = _console()
    size = f"{copied.size / 1e6:,.1f} MB"
    console.print(f"{copied.files:,} files ({size}) were copied to {url}." if copied.files else "Nothing has changed.")
    if copied.missing:
        console.print(f"{len(copied.missing):,} photos are not there to be copied, such as {copied.missing[0]}.")
    _next("wares", "serve", url)


@app.command()
def serve(
    shops: Annotated[
        list[str],
        typer.Argument(help="Shops made by `wares index`: FOLDER, or NAME=FOLDER; or where `wares publish` put them."),
    ],
    host: Annotated[
        str, typer.Option(envvar="WARES_HOST", help="Address to listen at; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="WARES_PORT", min=0, max=65535, help="0 for any that is free.")] = 7700,
    workers: Annotated[int, typer.Option(envvar="WARES_WORKERS", min=1, help="Processes that answer.")] = 1,
    key: Annotated[
        str | None,
        typer.Option(envvar="WARES_KEY", help="Opens the write routes to who has it; they are closed without."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(envvar="WARES_ORIGIN", help="A site whose pages may read answers (CORS); repeatable."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(envvar="WARES_RATE", help="Requests of an address to each worker, as 20/second.  [default: any]"),
    ] = None,
    upload_bytes: Annotated[
        int, typer.Option(envvar="WARES_UPLOAD_BYTES", min=1, help="Of a request's body, at most.")
    ] = 20_000_000,
    upload_pixels: Annotated[
        int, typer.Option(envvar="WARES_UPLOAD_PIXELS", min=1, help="Of an uploaded photo, at most.")
    ] = 50_000_000,
    in_memory: Annotated[
        bool,
        typer.Option(
            "--in-memory", envvar="WARES_IN_MEMORY", help="Hold the fused vectors in memory; takes `wares[memory]`."
        ),
    ] = False,
) -> None:
    """Shops behind an HTTP API, with a search page."""
    from wares.serve.running import run
    from wares.serve.settings import ServeSettings, named_shops

    settings = ServeSettings(named_shops(shops), key, tuple(origin or ()), rate, upload_bytes, upload_pixels, in_memory)
    run(settings, host, port, workers)


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
    from wares.trainer import this_process

    process = this_process()
    with process.main_process_first():
        yield process.is_main_process


def _names(text: str, known: type[StrEnum]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in set(known):
            raise SettingsError(f"no {known.__name__.lower()} {name!r}; there are {', '.join(known)}.")
    return names


def _judged(catalogue: Path, queries: Path | None, qrels: Path | None) -> Any:
    """The queries and judgments that were named, or that lie in the catalogue; None where there are none."""
    from wares.catalogue import read_queries
    from wares.compare import Judged
    from wares.evaluate import read_qrels

    if (queries is None) != (qrels is None):
        raise SettingsError("--queries and --qrels go together; give both, or neither.")
    if queries is None or qrels is None:
        folder = catalogue if catalogue.is_dir() else catalogue.parent
        queries, qrels = folder / "queries.jsonl", folder / "qrels.txt"
        if not (queries.exists() and qrels.exists()):
            return None
    return Judged(read_queries(queries), read_qrels(qrels))


def _towers(model: Path | None, towers: str | None) -> Towers:
    from wares.towers import build_towers, load_towers

    if (model is None) == (towers is None):
        raise SettingsError("give either --model MODEL, from `wares pretrain`, or --towers NAME for untrained towers.")
    return build_towers(towers) if towers is not None else load_towers(model or Path())


def _update(
    catalogue: CatalogueFile,
    out: Path,
    towers: Towers | None,
    recall: float | None,
    on: str,
    on_error: Any,
    cache: Path | None,
    as_json: bool,
) -> None:
    """`wares index --update`. towers: refused where they are not the shop's own"""
    from dataclasses import replace

    from wares.cluster import running
    from wares.incremental import update_shop
    from wares.shop import TowersEncoder, open_shop

    with running(on) as runner:  # before Lance is loaded, after which no process is to be forked
        shop = open_shop(out, None if towers is None else TowersEncoder(towers, cache=cache), cache)
        if not catalogue.text_fields:
            catalogue = replace(catalogue, text_fields=tuple(shop.about.texts))
        done = update_shop(shop, catalogue, on_error=on_error, recall=recall, runner=runner)
    _report_problems(list(done.problems))
    if as_json:
        counts = {"added": done.added, "changed": done.changed, "deleted": done.deleted}
        _print_json(_told(shop) | counts | {"problems": len(done.problems)})
        return
    same = len(shop) - done.added - done.changed
    _console().print(
        f"{done.added:,} listings are new, {done.changed:,} have changed, {done.deleted:,} are gone, {same:,} are as "
        "they were.",
        soft_wrap=True,
    )
    _next("wares", "versions", out)


def _told(shop: Shop) -> dict[str, Any]:
    """What scripts are told of a shop."""
    from dataclasses import asdict

    about = {"shop": str(shop.path), "listings": len(shop), "model": shop.about.model}
    return about | {"vector_index": asdict(shop.vector_index)}


def _dev(queries: Path, qrels: Path, tests: Sequence[Query]) -> Dev:
    """Judged queries that greedy selection goes by. Raises SettingsError where they are to be reported on, too."""
    import hashlib
    from statistics import fmean

    from wares.catalogue import read_queries
    from wares.evaluate import measure, read_qrels
    from wares.supervise import Dev

    asked, judged = read_queries(queries), read_qrels(qrels)
    judgments = {query.id: judged[query.id] for query in asked if query.id in judged}
    if not judgments:
        raise SettingsError(f"{qrels} judges none of the queries of {queries}. Do their ids agree?")
    texts = {query.text.casefold() for query in tests}
    if shared := sum(query.text.casefold() in texts for query in asked):
        raise SettingsError(f"{shared:,} of --dev-queries are among --test-queries, and would flatter the run.")

    def value(run: Run) -> float:
        return fmean(measure(run, judgments, ["nDCG@10"])["nDCG@10"].values())

    return Dev(asked, value, hashlib.sha256(queries.read_bytes() + qrels.read_bytes()).hexdigest())


def _trained(path: Path) -> TrainedRanker | None:
    """The ranker of a run; None, with a line that says so, where the run keeps what there was before."""
    from wares.reranking import find_ranker

    found = find_ranker(path)
    if not found.untrained:
        return found
    print(
        f"wares: {path} found no round of {found.name} better than the ranker untrained, so the shop is left without "
        "it. To use a round all the same, name its folder.",
        file=sys.stderr,
    )
    return None


def _shop_to_keep(out: Path, catalogue: Catalogue, towers: Towers) -> Shop:
    """The shop that is there, which is of this catalogue and model. Raises ShopError where it is of others."""
    from wares.index import is_of
    from wares.shop import open_shop

    shop = open_shop(out)
    if shop.about.model == towers.identity and is_of(shop, catalogue):
        return shop
    raise ShopError(f"{out} is a shop of another model or of other listings. Pass --overwrite to build it anew.")


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def _report_problems(problems: list[Any]) -> None:
    """Everything that was left out, and how much it is, on standard error."""
    for problem in problems:
        print(f"wares: {problem}", file=sys.stderr)
    if problems:
        print(f"wares: {len(problems):,} in all; everything else is used.", file=sys.stderr)


def _next(*command: object) -> None:
    """A command to go on with, as a shell takes it; never broken into lines."""
    _console().print(f"Next: {shlex.join(map(str, command))}", markup=False, soft_wrap=True)


def _as_it_was_read(text_field: list[str] | None, on_error: OnError) -> list[str]:
    """The options that another command needs to read a catalogue in the same way."""
    fields = [word for name in text_field or () for word in ("--text-field", name)]
    return fields + (["--on-error", "skip"] if on_error == OnError.skip else [])


def _some_words(title: str) -> str:
    """The beginning of a title, which must not look like an option."""
    return " ".join(title.split()[:4]).lstrip("- ") or "something"


def _shown(title: str) -> str:
    """A title as far as a table has room for it."""
    return title if len(title) <= TITLE else f"{title[:TITLE].rstrip()}…"


def _print_hits(console: Console, hits: list[Hit], why: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    reranked = ["reranked"] if any(hit.rerank_score is not None for hit in hits) else []
    numbers = ["", *reranked, "score", "price"]
    for name in ("", *reranked, "score", "id", "title", "price"):
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for rank, hit in enumerate(hits, 1):
        price = "" if hit.price is None else f"{hit.price:g}"
        by_ranker = ["" if hit.rerank_score is None else f"{hit.rerank_score:.3f}"] if reranked else []
        table.add_row(str(rank), *by_ranker, f"{hit.score:.3f}", escape(hit.id), escape(_shown(hit.title)), price)
        blank = [""] * len(by_ranker)
        for share in hit.why if why else ():
            table.add_row("", *blank, f"[dim]{share.share:+.3f}[/dim]", "", f"[dim]{escape(share.view)}[/dim]", "")
    console.print(table)


def main() -> None:
    """Run a command; print an error that is the user's to mend in one line.

    What the system refuses (no space, no permission, no such folder) is theirs to mend as well.
    """
    debug = "--debug" in sys.argv[1:]
    try:
        app(prog_name="wares")
    except WaresError as error:
        if debug:
            raise
        print(f"wares: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if debug or error.name not in SERVING:
            raise
        print(f"wares: {error.name} is missing. It comes with an extra: pip install 'wares[serve]'", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if debug or error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"wares: {where}{error.strerror}.", file=sys.stderr)
        sys.exit(1)
