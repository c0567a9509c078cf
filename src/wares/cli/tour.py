"""The tour of the sample marketplace: draw it, learn from it, index it, measure it, search it.

It calls the same public functions as the commands, so this file is also a worked example.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wares.core.errors import CatalogueError
from wares.core.progress import progress
from wares.data.catalogue import read_catalogue
from wares.data.queries import read_queries
from wares.encoders.features import catalogue_features
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion
from wares.evaluation.charts import draw_hits, draw_system_chart
from wares.evaluation.evaluator import evaluate
from wares.evaluation.measures import read_qrels
from wares.evaluation.systems import BASELINES, RUN_DEPTH, shop_runs
from wares.samples.marketplace import write_marketplace
from wares.samples.sheet import contact_sheet
from wares.shop.build import build_shop
from wares.shop.encoder import TowersEncoder
from wares.shop.searching import run_queries, search
from wares.shop.shop import open_shop
from wares.training.early_stopping import select_epochs
from wares.training.pretraining import pretrain
from wares.training.records import add_selections
from wares.training.settings import METHODS, Method, PretrainSettings, method_fusion
from wares.training.weight_selection import select_weights

if TYPE_CHECKING:
    from rich.console import Console

    from wares.data.listings import Catalogue
    from wares.encoders.features import CatalogueFeatures
    from wares.evaluation.evaluator import Evaluation
    from wares.shop.explanation import Hit
    from wares.shop.shop import Shop


COMPARED: tuple[Method, ...] = METHODS[:2]  # factorized, and single-view as the baseline
QUERY = "floral teapot"
SELECTION_LISTINGS = 200  # listings on which weights are selected: half a minute


def run_demo(console: Console, out: Path, listings: int, seed: int) -> Evaluation:
    """Write the demo to `out`: marketplace, models, shops, pictures. Returns its evaluation."""
    start = time.monotonic()
    folder = out / "marketplace"
    console.rule("1  A marketplace, drawn by code")
    catalogue = draw(console, folder, listings, seed)
    contact_sheet(folder, out / "marketplace.png")
    console.rule("2  Learning from it, without labels")
    towers = build_towers("offline", seed)
    features = catalogue_features(catalogue, towers, out / "cache")
    shops = {method: learn(console, catalogue, features, out, method, seed) for method in COMPARED}
    console.rule("3  Measuring it")
    evaluation = measure(console, shops, folder)
    draw_system_chart(evaluation, ("nDCG@10", "R@10"), out / "comparison.png")
    console.rule("4  Searching it, with explanations")
    results = run_searches(console, shops["factorized"])
    draw_hits(results, shops["factorized"].photo_path, out / "searches.png")
    console.rule("5  Commands to try next")
    print_next_commands(console, out, time.monotonic() - start)
    return evaluation


def draw(console: Console, folder: Path, listings: int, seed: int) -> Catalogue:
    """Write the sample marketplace. Raises CatalogueError if the folder holds another catalogue."""
    if (folder / "listings.jsonl").exists() and not (folder / "truth.jsonl").exists():
        raise CatalogueError(f"{folder} holds a catalogue that the demo did not write. Choose another --out.")
    with progress(None, "drawing listings", total=listings, unit="listings") as bar:

        def show_progress(drawn: int, _: int) -> None:
            bar.update(drawn - bar.n)

        market = write_marketplace(folder, listings, seed, show_progress)
    console.print(
        f"{market.listings:,} synthetic listings with {market.photos:,} photos, {market.queries} queries and their "
        f"true relevance are in {folder}; nothing in them is for sale."
    )
    return read_catalogue(folder)


def learn(
    console: Console, catalogue: Catalogue, features: CatalogueFeatures, out: Path, method: Method, seed: int
) -> Shop:
    """Pretrain with one method and index the catalogue with the result."""
    towers = build_towers("offline", seed)
    settings = PretrainSettings(method=method, fusion=method_fusion(method, Fusion()), seed=seed)
    selection = select_weights(features.select(np.arange(len(catalogue))[:SELECTION_LISTINGS]), "offline", settings)
    selection.render(console)
    stopping = select_epochs(features, "offline", selection.settings)
    record = pretrain(features, towers, replace(selection.settings, epochs=stopping.epochs), out / f"model-{method}")
    add_selections(out / f"model-{method}", towers, record, [selection, stopping])
    shop = build_shop(catalogue, towers, out / f"shop-{method}", cache=out / "cache", overwrite=True)
    epochs = f"{len(record.losses)} of {settings.epochs} epochs"
    console.print(f"{method}: {epochs} in {record.seconds:.0f} s; {len(shop):,} listings indexed.")
    return open_shop(shop.path, TowersEncoder(towers))


def measure(console: Console, shops: dict[Method, Shop], folder: Path) -> Evaluation:
    """Measure every system on the sample's queries, tested against single-view."""
    queries, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.txt")
    shop = shops["factorized"]
    of_shop = shop_runs(shop, queries)
    runs = {name: of_shop[name] for name in BASELINES}
    runs |= {method: run_queries(shop, queries, RUN_DEPTH, "fused") for method, shop in reversed(shops.items())}
    runs["factorized + bm25"] = of_shop["fused+bm25"]
    evaluation = evaluate(runs, qrels, baseline="single-view")
    evaluation.render(console)
    return evaluation


def run_searches(console: Console, shop: Shop) -> list[tuple[str, list[Hit]]]:
    """Search by words, by a photo and by a listing; print the best three hits of each with their explanations."""
    best = search(shop, QUERY, k=1)[0]
    results = [
        (f'words: "{QUERY}"', search(shop, QUERY, k=3)),
        (f"photo: {best.photo}", search(shop, photo=shop.photo_path(str(best.photo)), k=3)),
        (f"more like {best.id}: {best.title}", search(shop, like=best.id, k=3)),
    ]
    for query, hits in results:
        console.print(query, style="bold", markup=False)
        for hit in hits:
            console.print(f"  {hit.score:.3f}  {hit.title}", markup=False)
            for why in hit.why[:3]:
                console.print(f"         {why.contribution:+.3f}  {why.view}", style="dim", markup=False)
    return results


def print_next_commands(console: Console, out: Path, seconds: float) -> None:
    """Print where everything is, and commands to try next."""
    shop, single, marketplace, compared = (
        shlex.quote(str(out / name)) for name in ("shop-factorized", "shop-single-view", "marketplace", "compare")
    )
    for line in (
        f"Done in {seconds:.0f} s. Look at marketplace.png, comparison.png and searches.png in {out}, then try:",
        f'  wares search {shop} "{QUERY}" --why',
        f"  wares serve {shop} {single}",
        f"  wares check {marketplace}",
        f"  wares compare {marketplace} --out {compared}",
        "  wares check YOUR-CATALOGUE && wares pretrain YOUR-CATALOGUE --out MODEL",
    ):
        console.print(line, markup=False, soft_wrap=True)
