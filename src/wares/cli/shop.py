"""Commands that build, search and maintain shops: index, search, reembed, versions, rollback, publish."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wares.cli.options import (
    CacheOption,
    CatalogueArgument,
    JsonFlag,
    OnError,
    OnErrorOption,
    OnOption,
    OverwriteFlag,
    ShopArgument,
    System,
    TextFieldOption,
    app,
)
from wares.cli.output import _console, _next, _print_hits, _print_json, _report_problems, _some_words, _told
from wares.core.errors import SettingsError, ShopError

if TYPE_CHECKING:
    from wares.data.catalogue import CatalogueFile
    from wares.data.listings import Catalogue
    from wares.encoders.towers import Towers
    from wares.ranking.trained import TrainedRanker
    from wares.shop.shop import Shop


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
    from wares.core.runners import open_runner
    from wares.data.catalogue import open_catalogue
    from wares.shop.build import add_ranker, build_shop
    from wares.shop.filters import Filter
    from wares.shop.retrieval import column_values, scan
    from wares.shop.vector_index import DEFAULT_TARGET_RECALL

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
        with open_runner(on) as runner:
            shop = build_shop(
                listings,
                built_by,
                out,
                cache=cache,
                on_error=on_error.value,
                overwrite=overwrite,
                ranker=trained,
                target_recall=DEFAULT_TARGET_RECALL if recall is None else recall,
                runner=runner,
                staging=rows,
            )
    _report_problems(shop.problems)
    if as_json:
        told: dict[str, Any] = {"photos": shop.build_info.photos, "problems": shop.build_info.problems}
        told |= {} if ranker is None else {"ranker": None if trained is None else str(trained)}
        _print_json(_told(shop) | told)
        return
    _console().print(f"{len(shop):,} listings with {shop.build_info.photos:,} photos are in {out}.")
    if shop.vector_index.kind != "exact":
        _console().print(str(shop.vector_index), soft_wrap=True)
    if trained is not None:
        does = "encodes queries" if trained.replaces_query_tower else "reranks"
        _console().print(f"{trained} {does}.", markup=False, soft_wrap=True)
    rerank = ["--rerank"] if trained is not None and not trained.replaces_query_tower else []
    [title] = column_values(shop, scan(shop, 1, Filter()), ["title"])["title"]
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
    from wares.shop.reranking import RERANK_DEPTH
    from wares.shop.searching import search as find
    from wares.shop.shop import open_shop

    if depth is not None and not rerank:
        raise SettingsError("--depth is how many results --rerank reorders; pass --rerank as well.")
    reranked = (RERANK_DEPTH if depth is None else depth) if rerank else None
    by: Any = None if system is None else system.value  # the names are those of wares.shop.searching
    hits = find(open_shop(shop), text, photo, like, k=k, where=where, system=by, rerank_depth=reranked)
    if as_json:
        _print_json([hit.to_json() for hit in hits])
    elif hits:
        _print_hits(_console(), hits, why)
    else:
        _console().print("Nothing found.")


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
    from wares.core.runners import open_runner
    from wares.shop.sync import reembed_shop

    with open_runner(on) as runner:
        moved = reembed_shop(shop, _towers(model, towers), cache=cache, on_error=on_error.value, runner=runner)
    _report_problems(moved.problems)
    if as_json:
        _print_json(_told(moved))
        return
    _console().print(f"{len(moved):,} listings of {shop} were embedded by model {moved.build_info.model[:8]}….")
    _next("wares", "versions", shop)


@app.command()
def versions(shop: ShopArgument, as_json: JsonFlag = False) -> None:
    """What a shop is now, and the builds that it can be set back to, the latest first."""
    from dataclasses import asdict

    from rich.table import Table

    from wares.shop.versions import list_versions as known

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
    from wares.shop.versions import roll_back

    now = roll_back(shop, version)
    _console().print(f"{shop} is version {version}: {len(now):,} listings.")


@app.command()
def publish(
    shop: ShopArgument,
    url: Annotated[str, typer.Argument(help="Where to, as s3://bucket/shop, gs:// or az://.")],
    as_json: JsonFlag = False,
) -> None:
    """Copy a shop to object storage, for `wares serve` elsewhere; later only what has changed."""
    from wares.shop.replicas import publish as copy
    from wares.shop.shop import open_shop

    copied = copy(open_shop(shop), url)
    if as_json:
        _print_json({"files": copied.files, "bytes": copied.total_bytes, "missing": list(copied.missing)})
        return
    console = _console()
    size = f"{copied.total_bytes / 1e6:,.1f} MB"
    console.print(f"{copied.files:,} files ({size}) were copied to {url}." if copied.files else "Nothing has changed.")
    if copied.missing:
        console.print(f"{len(copied.missing):,} photos are not there to be copied, such as {copied.missing[0]}.")
    _next("wares", "serve", url)


def _towers(model: Path | None, towers: str | None) -> Towers:
    from wares.encoders.registry import build_towers, load_towers

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

    from wares.core.runners import open_runner
    from wares.shop.encoder import TowersEncoder
    from wares.shop.shop import open_shop
    from wares.shop.sync import update_shop

    with open_runner(on) as runner:  # before Lance is loaded, after which no process is to be forked
        shop = open_shop(out, None if towers is None else TowersEncoder(towers, cache=cache), cache)
        if not catalogue.text_fields:
            catalogue = replace(catalogue, text_fields=tuple(shop.build_info.text_fields))
        done = update_shop(shop, catalogue, on_error=on_error, target_recall=recall, runner=runner)
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


def _trained(path: Path) -> TrainedRanker | None:
    """The ranker of a run; None, with a line that says so, where the run keeps what there was before."""
    from wares.supervision.trained_rankers import find_ranker

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
    from wares.shop.build import matches_catalogue
    from wares.shop.shop import open_shop

    shop = open_shop(out)
    if shop.build_info.model == towers.identity and matches_catalogue(shop, catalogue):
        return shop
    raise ShopError(f"{out} is a shop of another model or of other listings. Pass --overwrite to build it anew.")
