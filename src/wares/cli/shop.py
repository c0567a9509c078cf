"""Commands that build, search and maintain shops: index, search, reembed, versions, rollback, publish."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from wares.cli.options import (
    Catalogue,
    FeatureOptions,
    Features,
    Flag,
    Json,
    Model,
    Overwrite,
    RunnerName,
    ShopFolder,
    UntrainedTowers,
)
from wares.cli.output import (
    console,
    first_words,
    print_hits,
    print_json,
    report_problems,
    shop_summary,
    suggest,
)
from wares.core.errors import SettingsError, ShopError
from wares.data.listings import OnError
from wares.shop.systems import System

if TYPE_CHECKING:
    from wares.data.catalogue import CatalogueFile
    from wares.data.listings import Catalogue as ReadCatalogue
    from wares.encoders.towers import Towers
    from wares.ranking.trained import TrainedRanker
    from wares.shop.shop import Shop


def index(
    catalogue: Catalogue,
    /,
    *,
    out: Path,
    model: Model = None,
    towers: UntrainedTowers = None,
    ranker: Path | None = None,
    target_recall: float | None = None,
    update: Flag = False,
    runner: RunnerName = "local",
    staging: str | None = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    reading: Features = FeatureOptions(),
) -> None:
    """Fuse every listing into one embedding and write the shop.

    Args:
        out: Folder for the shop.
        ranker: Run of `wares supervise`, whose best ranker reranks or encodes queries, or a ranker in it, as
            RUN/round-2/dense. A shop that is up to date is not rebuilt for it.
        target_recall: Recall of the 100 nearest listings in searches of a large shop, 0 to 1; 0.95 unless given.
        update: Bring the shop in line with the catalogue: only new and changed listings are encoded.
        staging: Folder or URL (s3://, gs://, az://) in which encoded rows are kept; the shop unless given.
    """
    from wares.data.catalogue import open_catalogue
    from wares.shop.build import add_ranker

    listings = open_catalogue(catalogue, reading.on_error, reading.text_field)
    if update:
        if ranker is not None or overwrite or staging is not None:
            raise SettingsError(
                "--update keeps the shop and its ranker. Leave out --ranker, --staging and --overwrite."
            )
        encoders = None if model is None and towers is None else _load_towers(model, towers)
        _update(listings, out, encoders, target_recall, runner, reading, as_json)
        return
    trained = _find_ranker(ranker) if ranker is not None else None
    encoders = _load_towers(model, towers)
    if ranker is not None and not overwrite and (out / "shop.json").is_file():
        shop = _matching_shop(out, listings.read(), encoders)
        shop = shop if trained is None else add_ranker(shop, trained, listings.read())
    else:
        shop = _build(listings, encoders, out, reading, overwrite, trained, target_recall, runner, staging)
    report_problems(shop.problems)
    if as_json:
        details: dict[str, Any] = {"photos": shop.build_info.photos, "problems": shop.build_info.problems}
        details |= {} if ranker is None else {"ranker": None if trained is None else str(trained)}
        print_json(shop_summary(shop) | details)
        return
    _print_shop(shop, out, trained)


def _build(
    listings: CatalogueFile,
    towers: Towers,
    out: Path,
    reading: FeatureOptions,
    overwrite: bool,
    ranker: TrainedRanker | None,
    target_recall: float | None,
    runner: str,
    staging: str | None,
) -> Shop:
    from wares.core.runners import open_runner
    from wares.shop.build import build_shop
    from wares.shop.vector_index import DEFAULT_TARGET_RECALL

    with open_runner(runner) as opened:
        return build_shop(
            listings,
            towers,
            out,
            cache=reading.cache,
            on_error=reading.on_error,
            overwrite=overwrite,
            ranker=ranker,
            target_recall=DEFAULT_TARGET_RECALL if target_recall is None else target_recall,
            runner=opened,
            staging=staging,
        )


def _print_shop(shop: Shop, out: Path, ranker: TrainedRanker | None) -> None:
    from wares.shop.filters import Filter
    from wares.shop.retrieval import column_values, scan

    console().print(f"{len(shop):,} listings with {shop.build_info.photos:,} photos are in {out}.")
    if shop.vector_index.kind != "exact":
        console().print(str(shop.vector_index), soft_wrap=True)
    reranks = ranker is not None and not ranker.replaces_query_tower
    if ranker is not None:
        console().print(f"{ranker} {'reranks' if reranks else 'encodes queries'}.", markup=False, soft_wrap=True)
    [title] = column_values(shop, scan(shop, 1, Filter()), ["title"])["title"]
    suggest("wares", "search", out, first_words(title), *(["--rerank"] if reranks else []), "--why")


def search(
    shop: ShopFolder,
    text: str | None = None,
    /,
    *,
    photo: Path | None = None,
    like: str | None = None,
    k: Annotated[int, Parameter(name="-k")] = 10,
    where: str | None = None,
    system: System | None = None,
    rerank: Flag = False,
    depth: Annotated[int | None, Parameter(name=["--depth", "-n"])] = None,
    why: Flag = False,
    as_json: Json = False,
) -> None:
    """Search by words, by photo, by a listing, or by several of these together.

    Args:
        text: Query in words.
        photo: Query photo.
        like: Id of a listing; finds similar ones.
        k: Number of results.
        where: Filter, as in "price < 50 AND attributes.size = 'M'".
        system: System that ranks: the fused embedding, BM25, or both; fused+bm25 unless given, or fused without words.
        rerank: Rerank the first results with the shop's ranker.
        depth: Number of results that --rerank reorders; 100 unless given.
        why: Show what each photo and text contributed to the score.
    """
    from wares.shop.reranking import RERANK_DEPTH
    from wares.shop.searching import search as find
    from wares.shop.shop import open_shop

    if depth is not None and not rerank:
        raise SettingsError("--depth is the number of results that --rerank reorders. Pass --rerank as well.")
    rerank_depth = (RERANK_DEPTH if depth is None else depth) if rerank else None
    hits = find(open_shop(shop), text, photo, like, k=k, where=where, system=system, rerank_depth=rerank_depth)
    if as_json:
        print_json([hit.to_json() for hit in hits])
    elif hits:
        print_hits(hits, why)
    else:
        console().print("Nothing found.")


def reembed(
    shop: ShopFolder,
    /,
    *,
    model: Model = None,
    towers: UntrainedTowers = None,
    runner: RunnerName = "local",
    on_error: OnError = "stop",
    cache: Path | None = None,
    as_json: Json = False,
) -> None:
    """Move a shop to another model; the old build serves until the new one is complete.

    Args:
        on_error: Stop at a bad photo, or skip it and list it.
        cache: Folder for photo and text features; ~/.cache/wares unless given.
    """
    from wares.core.runners import open_runner
    from wares.shop.sync import reembed_shop

    with open_runner(runner) as opened:
        moved = reembed_shop(shop, _load_towers(model, towers), cache=cache, on_error=on_error, runner=opened)
    report_problems(moved.problems)
    if as_json:
        print_json(shop_summary(moved))
        return
    console().print(f"{len(moved):,} listings of {shop} are embedded by model {moved.build_info.model[:8]}….")
    suggest("wares", "versions", shop)


def versions(shop: ShopFolder, /, *, as_json: Json = False) -> None:
    """List the builds of a shop to which it can be rolled back, newest first."""
    from dataclasses import asdict

    from rich.table import Table

    from wares.shop.versions import list_versions

    known = list_versions(shop)
    if as_json:
        print_json([asdict(version) | {"time": version.time.isoformat()} for version in known])
        return
    table = Table("version", "time (UTC)", "listings", "")
    for version in known:
        state = "current" if version.current else "as before the update at that time" if version.copied else ""
        table.add_row(version.name, f"{version.time:%Y-%m-%d %H:%M:%S}", f"{version.listings:,}", state)
    console().print(table)
    if len(known) > 1:
        suggest("wares", "rollback", shop, known[1].name)


def rollback(shop: ShopFolder, version: str, /) -> None:
    """Roll a shop back to another build; the current one is kept, so this can be undone.

    Args:
        version: Name of the build, as `wares versions` lists it.
    """
    from wares.shop.versions import roll_back

    current = roll_back(shop, version)
    console().print(f"{shop} is version {version}: {len(current):,} listings.")


def publish(shop: ShopFolder, url: str, /, *, as_json: Json = False) -> None:
    """Copy a shop to object storage, from where `wares serve` serves it; later only changed files.

    Args:
        url: Destination, as s3://bucket/shop, gs:// or az://.
    """
    from wares.shop.replicas import publish as copy
    from wares.shop.shop import open_shop

    copied = copy(open_shop(shop), url)
    if as_json:
        print_json({"files": copied.files, "bytes": copied.total_bytes, "missing": list(copied.missing)})
        return
    size = f"{copied.total_bytes / 1e6:,.1f} MB"
    console().print(f"Copied {copied.files:,} files ({size}) to {url}." if copied.files else "Nothing has changed.")
    if copied.missing:
        console().print(
            f"{len(copied.missing):,} photos are missing, such as {copied.missing[0]}, and were not copied."
        )
    suggest("wares", "serve", url)


def _load_towers(model: Path | None, towers: str | None) -> Towers:
    from wares.encoders.registry import build_towers, load_towers

    if model is not None and towers is None:
        return load_towers(model)
    if towers is not None and model is None:
        return build_towers(towers)
    raise SettingsError("give either --model MODEL, from `wares pretrain`, or --towers NAME for untrained towers.")


def _update(
    catalogue: CatalogueFile,
    out: Path,
    towers: Towers | None,
    target_recall: float | None,
    runner: str,
    reading: FeatureOptions,
    as_json: bool,
) -> None:
    """Run `wares index --update`. towers: refused unless they are the shop's own"""
    from dataclasses import replace

    from wares.core.runners import open_runner
    from wares.shop.encoder import TowersEncoder
    from wares.shop.shop import open_shop
    from wares.shop.sync import update_shop

    with open_runner(runner) as opened:  # Ray starts before Lance is loaded, which does not survive a fork
        shop = open_shop(out, None if towers is None else TowersEncoder(towers, cache=reading.cache), reading.cache)
        if not catalogue.text_fields:
            catalogue = replace(catalogue, text_fields=tuple(shop.build_info.text_fields))
        result = update_shop(shop, catalogue, on_error=reading.on_error, target_recall=target_recall, runner=opened)
    report_problems(result.problems)
    if as_json:
        counts = {"added": result.added, "changed": result.changed, "deleted": result.deleted}
        print_json(shop_summary(shop) | counts | {"problems": len(result.problems)})
        return
    unchanged = len(shop) - result.added - result.changed
    console().print(
        f"{result.added:,} listings added, {result.changed:,} changed, {result.deleted:,} deleted, "
        f"{unchanged:,} unchanged.",
        soft_wrap=True,
    )
    suggest("wares", "versions", out)


def _find_ranker(path: Path) -> TrainedRanker | None:
    """The ranker of a run; None, with a line on standard error, if no round is better than the untrained ranker."""
    from wares.supervision.trained_rankers import find_ranker

    ranker = find_ranker(path)
    if not ranker.untrained:
        return ranker
    print(
        f"wares: no round of {ranker.name} in {path} is better than the untrained ranker, so the shop gets "
        "none. To use a round all the same, name its folder.",
        file=sys.stderr,
    )
    return None


def _matching_shop(out: Path, catalogue: ReadCatalogue, towers: Towers) -> Shop:
    """The existing shop. Raises ShopError if it is of another catalogue or model."""
    from wares.shop.build import matches_catalogue
    from wares.shop.shop import open_shop

    shop = open_shop(out)
    if shop.build_info.model == towers.identity and matches_catalogue(shop, catalogue):
        return shop
    raise ShopError(f"{out} is a shop of another model or of other listings. Pass --overwrite to rebuild it.")
