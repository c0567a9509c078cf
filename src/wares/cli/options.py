"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wares.core.errors import SettingsError

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


def _names(text: str, known: type[StrEnum]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in set(known):
            raise SettingsError(f"no {known.__name__.lower()} {name!r}; there are {', '.join(known)}.")
    return names
