"""The whole story on the sample marketplace: draw it, learn from it, index it, measure it, search it.

Everything is made with the public functions that the commands use, so this file is also a worked example.
"""

from __future__ import annotations

import shlex
import time
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
from wares.evaluation.systems import RUN_DEPTH, dense_run, fused_runs
from wares.samples.marketplace import write_marketplace
from wares.samples.sheet import contact_sheet
from wares.shop.build import build_shop
from wares.shop.encoder import TowersEncoder
from wares.shop.searching import run_queries, search
from wares.shop.shop import open_shop
from wares.training.pretraining import pretrain
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
WORDS = "yellow floral dress"
LOOKED_AT = 200  # listings that weights are chosen on: half a minute


def run_demo(console: Console, out: Path, listings: int, seed: int) -> Evaluation:
    """Make the demo in `out`: marketplace, models, shops, plots. Returns its evaluation."""
    began = time.monotonic()
    folder = out / "marketplace"
    console.rule("1  A marketplace, drawn by code")
    catalogue = draw(console, folder, listings, seed)
    contact_sheet(folder, out / "marketplace.png")
    console.rule("2  Learning from it, without labels")
    towers = build_towers("offline", seed)
    features = catalogue_features(catalogue, towers, out / "cache")
    shops = {method: learn(console, catalogue, features, out, method, seed) for method in COMPARED}
    console.rule("3  Measuring it")
    found = judge(console, shops, folder)
    draw_system_chart(found, ("nDCG@10", "R@10"), out / "comparison.png")
    console.rule("4  Searching it, with reasons")
    answers = try_searches(console, shops["factorized"])
    draw_hits(answers, shops["factorized"].photo_path, out / "searches.png")
    console.rule("5  What to type next")
    say_what_next(console, out, time.monotonic() - began)
    return found


def draw(console: Console, folder: Path, listings: int, seed: int) -> Catalogue:
    """Write the sample marketplace anew. Raises CatalogueError where somebody else's catalogue lies there."""
    if (folder / "listings.jsonl").exists() and not (folder / "truth.jsonl").exists():
        raise CatalogueError(f"{folder} holds a catalogue that is not the demo's. Choose another --out.")
    with progress(None, "drawing listings", total=listings, unit="listings") as bar:

        def drawn(done: int, _: int) -> None:
            bar.update(done - bar.n)

        made = write_marketplace(folder, listings, seed, drawn)
    console.print(
        f"{made.listings:,} synthetic listings with {made.photos:,} photos, {made.queries} queries and their true "
        f"relevance are in {folder}; nothing in them is for sale."
    )
    return read_catalogue(folder)


def learn(
    console: Console, catalogue: Catalogue, features: CatalogueFeatures, out: Path, method: Method, seed: int
) -> Shop:
    """Pretrain with one method and index the catalogue with the result."""
    towers = build_towers("offline", seed)
    settings = PretrainSettings(method=method, fusion=method_fusion(method, Fusion()), seed=seed)
    choice = select_weights(features.select(np.arange(len(catalogue))[:LOOKED_AT]), "offline", settings)
    choice.render(console)
    record = pretrain(features, towers, choice.settings, out / f"model-{method}")
    choice.add_to_record(out / f"model-{method}")
    shop = build_shop(catalogue, towers, out / f"shop-{method}", cache=out / "cache", overwrite=True)
    console.print(f"{method}: {record.steps:,} steps in {record.seconds:.0f} s; {len(shop):,} listings indexed.")
    return open_shop(shop.path, TowersEncoder(towers))


def judge(console: Console, shops: dict[Method, Shop], folder: Path) -> Evaluation:
    """Every system on the sample's queries, tested against single-view."""
    queries, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.txt")
    shop = shops["factorized"]
    bm25, dense = run_queries(shop, queries, RUN_DEPTH, "bm25"), dense_run(shop, queries)
    runs = {"bm25": bm25, "dense, all texts, untrained": dense, "bm25 + dense": fused_runs(bm25, dense)}
    runs |= {method: run_queries(shop, queries, RUN_DEPTH) for method, shop in reversed(shops.items())}
    runs["factorized + bm25"] = run_queries(shop, queries, RUN_DEPTH, "fused+bm25")
    found = evaluate(runs, qrels, baseline="single-view")
    found.render(console)
    return found


def try_searches(console: Console, shop: Shop) -> list[tuple[str, list[Hit]]]:
    """Words, a photo, and a listing: three best hits each, with the views that made them."""
    some = search(shop, WORDS, k=1)[0]
    answers = [
        (f'words: "{WORDS}"', search(shop, WORDS, k=3)),
        (f"photo: {some.photo}", search(shop, photo=shop.photo_path(str(some.photo)), k=3)),
        (f"more like {some.id}: {some.title}", search(shop, like=some.id, k=3)),
    ]
    for question, hits in answers:
        console.print(question, style="bold", markup=False)
        for hit in hits:
            console.print(f"  {hit.score:.3f}  {hit.title}", markup=False)
            for why in hit.why[:3]:
                console.print(f"         {why.contribution:+.3f}  {why.view}", style="dim", markup=False)
    return answers


def say_what_next(console: Console, out: Path, seconds: float) -> None:
    """Where everything is, and commands to go on with."""
    shop, single, marketplace, compared = (
        shlex.quote(str(out / name)) for name in ("shop-factorized", "shop-single-view", "marketplace", "compare")
    )
    for line in (
        f"Done in {seconds:.0f} s. Look at marketplace.png, comparison.png and searches.png in {out}, then try:",
        f'  wares search {shop} "{WORDS}" --why',
        f"  wares serve {shop} {single}",
        f"  wares check {marketplace}",
        f"  wares compare {marketplace} --out {compared}",
        "  wares check YOUR-CATALOGUE && wares pretrain YOUR-CATALOGUE --out MODEL",
    ):
        console.print(line, markup=False, soft_wrap=True)
