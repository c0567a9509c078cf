"""Rankers of a run in a shop: the same scores as in the run, who is taken, what stays, and what is refused.

Every kind of ranker is trained for a moment on listings of a few words; shops are real tables on disk.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes import done, refused, wares
from scipy.stats import zscore
from tiny_models import WORDS, named

from wares.core.errors import ModelError, SettingsError, ShopError
from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.encoders.registry import build_towers, load_towers
from wares.ranking.rankers.base import Ranker, RankerModel
from wares.ranking.rankers.bi_encoder import BiEncoder
from wares.ranking.rankers.registry import get_ranker
from wares.ranking.scoring import Indices, Scorer, Scores
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.trained import TrainedRanker
from wares.shop.build import add_ranker, build_shop, matches_catalogue
from wares.shop.searching import run_queries, search
from wares.shop.shop import Shop, open_shop
from wares.shop.update import delete, upsert
from wares.supervision.recipe import supervise
from wares.supervision.settings import SuperviseSettings, folder_name
from wares.supervision.trained_rankers import find_ranker

QUERIES = [Query(str(i), f"{one} {other}") for i, (one, other) in enumerate(pairwise(WORDS))]
KINDS = ["static", "dense", "dense-last-1", "sparse", "late-interaction", "cross-encoder", "two-tower"]
RERANKERS = KINDS[:-1]


@dataclass(frozen=True)
class World:
    """A catalogue, a model of it, a run that trained every kind of ranker, and a shop without any."""

    catalogue: Catalogue
    model: Path
    run: Path
    names: dict[str, str]
    plain: Path

    def trained(self, kind: str) -> TrainedRanker:
        return find_ranker(self.round(kind))

    def round(self, kind: str) -> Path:
        return self.run / "round-1" / folder_name(self.names[kind])

    def scorer(self, kind: str) -> Scorer:
        """The ranker as the run has it."""
        model = get_ranker(self.names[kind]).fit(Corpus(self.catalogue), 0)
        model.load(self.round(kind) / "model")
        return model.scorer()

    def index(self, out: Path, *more: object) -> tuple[object, ...]:
        return ("index", self.catalogue.folder, "--model", self.model, "--out", out, *more)


@pytest.fixture(scope="module")
def world(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("reranking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARES_CACHE", str(folder / "cache"))
        (folder / "goods").mkdir()
        write_goods(folder / "goods")
        catalogue = read_catalogue(folder / "goods")
        build_towers("small", 3).save(folder / "model")
        tiny = repr(named("pair", shelf))
        names = {
            "static": f"static(towers={tiny})",
            "dense": "dense(towers='small')",
            "dense-last-1": f"dense(towers={tiny}, backbone='last-1')",
            "sparse": f"sparse(towers={tiny})",
            "late-interaction": f"late-interaction(towers={tiny}, dimensions=8)",
            "cross-encoder": f"cross-encoder(towers={tiny}, layers=1)",
            "two-tower": f"two-tower(model={str(folder / 'model')!r}, learning_rate=0.05)",
        }
        learning = RankerTrainingSettings(epochs=3)
        settings = SuperviseSettings(rankers=tuple(names.values()), depth=8, random_candidates=4, training=learning)
        supervise(Corpus(catalogue), QUERIES, settings, folder / "run", processes=1)
        build_shop(catalogue, load_towers(folder / "model"), folder / "plain")
        yield World(catalogue, folder / "model", folder / "run", names, folder / "plain")


@pytest.fixture
def with_ranker(world: World, tmp_path: Path) -> Callable[[str], Shop]:
    """A function from a kind of ranker to a shop that has it, opened anew."""

    def shop(kind: str) -> Shop:
        shutil.copytree(world.plain, tmp_path / kind)
        add_ranker(open_shop(tmp_path / kind), world.trained(kind), world.catalogue)
        return open_shop(tmp_path / kind)

    return shop


def write_goods(folder: Path, count: int = 30) -> None:
    """Listings of three words, each with a price."""
    rows = [
        {
            "id": f"l{i:02}",
            "title": " ".join(WORDS[(i * step + i // 9) % 9] for step in (1, 2)),
            "description": WORDS[(i * 4 + i // 9) % 9],
            "price": i,
        }
        for i in range(count)
    ]
    (folder / "listings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def single(world: World, folder: Path, kind: str, kept: str | None) -> Path:
    """A run of one ranker only, with a check that keeps what it is told; None for a run without a check."""
    name = world.names[kind]
    shutil.copytree(world.round(kind), folder / "round-1" / folder_name(name))
    shutil.copyfile(world.run / "settings.json", folder / "settings.json")
    (folder / "reliability.json").write_text(json.dumps(None if kept is None else {"best": {name: f"{name}, {kept}"}}))
    return folder


def texts_of_nobody() -> list[str]:
    raise AssertionError("texts are not to be read")


# The same scores as in the run


@pytest.mark.parametrize("kind", RERANKERS)
def test_a_shop_scores_as_the_run_does(kind: str, world: World, with_ranker: Callable[[str], Shop]) -> None:
    shop, corpus = with_ranker(kind), Corpus(world.catalogue)
    everywhere = np.tile(np.arange(len(corpus)), (len(QUERIES), 1))
    expected = world.scorer(kind).score(QUERIES, everywhere)
    read = kind == "cross-encoder"
    found = [
        shop.reranker.score(query.text, corpus.ids.tolist(), lambda: corpus.texts if read else texts_of_nobody())
        for query in QUERIES
    ]
    assert np.array(found) == pytest.approx(expected, abs=2e-5, nan_ok=True)
    assert np.nanstd(expected[np.isfinite(expected).any(axis=1)], axis=1).min() > 1e-3


@pytest.mark.parametrize("kind", RERANKERS)
def test_results_are_those_of_the_retrieval_ordered_by_it_and_the_ranker(
    kind: str, world: World, with_ranker: Callable[[str], Shop]
) -> None:
    shop, corpus = with_ranker(kind), Corpus(world.catalogue)
    for query in QUERIES[:3]:
        retrieved = search(shop, query.text, k=30, system="fused+bm25")
        hits = search(shop, query.text, k=30, rerank_depth=12)
        assert {hit.id for hit in hits[:12]} == {hit.id for hit in retrieved[:12]}
        assert hits[12:] == retrieved[12:]
        own = {hit.id: hit for hit in retrieved}
        places = np.array([corpus.ids.tolist().index(hit.id) for hit in hits[:12]])
        scores = world.scorer(kind).score([query], places[None])[0]
        given = [hit.rerank_score for hit in hits[:12]]
        assert [np.nan if score is None else score for score in given] == pytest.approx(scores, abs=2e-5, nan_ok=True)
        named = [score for score in given if score is not None]
        assert given[len(named) :] == [None] * (12 - len(named))
        together = zscore([hit.score for hit in hits[: len(named)]]) + zscore(named)
        assert together.tolist() == pytest.approx(sorted(together, reverse=True), abs=1e-6)
        assert all((hit.score, hit.why) == (own[hit.id].score, own[hit.id].why) for hit in hits)
        assert list(run_queries(shop, [query], 30, rerank_depth=12)[query.id]) == [hit.id for hit in hits]
        for k in (5, 20):  # pages are parts of one ranking
            assert search(shop, query.text, k=k, rerank_depth=12) == hits[:k]


def test_a_moved_shop_stands_alone(world: World, tmp_path: Path, with_ranker: Callable[[str], Shop]) -> None:
    for kind in ("dense", "two-tower"):
        shop = with_ranker(kind)
        rerank = 10 if shop.has_ranker else None
        before = search(shop, "red boots", rerank_depth=rerank)
        moved = shop.path.rename(tmp_path / f"moved-{kind}")
        world.run.rename(world.run.with_name("gone"))
        try:
            assert search(open_shop(moved), "red boots", rerank_depth=rerank) == before
        finally:
            world.run.with_name("gone").rename(world.run)


# A shop that changes


@pytest.mark.parametrize("kind", RERANKERS)
def test_a_ranker_meets_listings_that_it_does_not_know(
    kind: str, world: World, with_ranker: Callable[[str], Shop]
) -> None:
    """What is new is scored by its texts, as when the shop is indexed with it; a ranker that is built over all listings
    says nothing of it until the shop is opened anew.
    """
    shop, last = with_ranker(kind), world.catalogue.listings[29]
    before = {hit.id: hit.rerank_score for hit in search(shop, "red wool", k=30, rerank_depth=30)}
    upsert(shop, [Listing("new", "red wool"), replace(last, id="copy")])
    delete(shop, ["l03"])
    for opened in (shop, open_shop(shop.path)):
        hits = {hit.id: hit.rerank_score for hit in search(opened, "red wool", k=31, rerank_depth=31)}
        assert hits.keys() == before.keys() - {"l03"} | {"new", "copy"}
        late = kind in ("sparse", "late-interaction") and opened is shop
        assert (hits["new"] is None) == (hits["copy"] is None) == late
        if kind in ("static", "dense", "dense-last-1", "cross-encoder"):
            known = {"copy": before[last.id]} | {id: score for id, score in before.items() if id != "l03"}
            assert {id: hits[id] for id in known} == pytest.approx(known, abs=1e-4)


def test_a_new_ranker_is_noticed_and_given_to_the_build_that_is_open(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.plain, tmp_path / "shop")
    shop = open_shop(tmp_path / "shop")
    again = add_ranker(shop, world.trained("static"), world.catalogue)
    assert shop.is_outdated and not again.is_outdated
    assert again.build_folder == shop.build_folder and again.has_ranker


def test_listings_are_put_in_by_the_towers_that_built_the_shop(
    world: World, with_ranker: Callable[[str], Shop]
) -> None:
    """And not by the query tower, which shares their frozen part."""
    shop, plain = with_ranker("two-tower"), open_shop(world.plain)
    listing = replace(world.catalogue.listings[3], id="copy")
    upsert(shop, [listing])
    expected = plain.table.search().where("id = 'l03'").select(["vector"]).to_arrow()["vector"].to_pylist()
    found = shop.table.search().where("id = 'copy'").select(["vector"]).to_arrow()["vector"].to_pylist()
    assert found == expected
    assert shop.encoder.encode_texts(["red"]) != pytest.approx(plain.encoder.encode_texts(["red"]), abs=1e-3)


# A ranker from elsewhere


@dataclass(frozen=True)
class SharedWords(Ranker):
    """Scores listings by the words that they share with the query, times a weight that is saved."""

    learning_rate: float = 0.1
    batch_size: int = 1
    listings_per_query: int = 2

    def fit(self, corpus: Corpus, seed: int) -> SharedWordsModel:
        return SharedWordsModel(corpus.texts)


class SharedWordsModel(RankerModel):
    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        self.texts, self.weight = texts, torch.nn.Parameter(torch.tensor(1.0))

    def prepare(self, queries: Sequence[Query]) -> None: ...

    def forward(self, queries: Sequence[str], listings: torch.Tensor) -> torch.Tensor:
        rows = [
            [len(set(query.split()) & set(self.texts[i].split())) for i in row]
            for query, row in zip(queries, listings.tolist(), strict=True)
        ]
        return torch.tensor(rows) * self.weight

    def scorer(self) -> Scorer:
        return self  # type: ignore[return-value]

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        with torch.inference_mode():
            found: Scores = self([query.text for query in queries], torch.from_numpy(listings)).numpy()
        return found


def test_a_ranker_that_no_shop_knows_of_reranks(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is built over the shop's listings, although it says nothing of shops."""
    monkeypatch.setattr("wares.ranking.rankers.registry.rankers", lambda: {"shared-words": SharedWords})
    model = SharedWordsModel(())
    model.weight.data.fill_(3.0)
    model.save(tmp_path / "model")
    shutil.copytree(world.plain, tmp_path / "shop")
    trained = TrainedRanker("shared-words", 1, tmp_path / "model", 0, tmp_path)
    shop = add_ranker(open_shop(tmp_path / "shop"), trained, world.catalogue)
    hits = search(shop, "red wool", k=30, rerank_depth=30)
    texts = dict(zip(Corpus(world.catalogue).ids, Corpus(world.catalogue).texts, strict=True))
    assert [hit.rerank_score for hit in hits] == [3 * len({"red", "wool"} & set(texts[hit.id].split())) for hit in hits]
    assert len({hit.rerank_score for hit in hits}) > 1


# The query tower


def test_a_query_tower_changes_queries_and_no_listing(world: World, with_ranker: Callable[[str], Shop]) -> None:
    shop, plain = with_ranker("two-tower"), open_shop(world.plain)
    assert not shop.has_ranker
    assert shop.table.to_arrow().equals(plain.table.to_arrow())
    model = get_ranker(world.names["two-tower"]).fit(Corpus(world.catalogue), 0)
    model.load(world.round("two-tower") / "model")
    assert isinstance(model, BiEncoder)
    cosines = model.scorer().score(QUERIES, np.tile(np.arange(30), (len(QUERIES), 1))) / model.scale.item()
    texts = [query.text for query in QUERIES]
    vectors = np.array(shop.table.to_arrow()["vector"].to_pylist())
    assert shop.encoder.encode_texts(texts) @ vectors.T == pytest.approx(cosines, abs=3e-3)
    assert np.abs(shop.encoder.encode_texts(texts) - plain.encoder.encode_texts(texts)).max() > 0.02
    assert search(shop, like="l03") == search(plain, like="l03")


def test_a_query_tower_of_another_model_is_refused(world: World, tmp_path: Path) -> None:
    build_towers("small", 4).save(tmp_path / "other")
    arguments = ("index", world.catalogue.folder, "--model", tmp_path / "other", "--out", tmp_path / "shop")
    said = refused(*arguments, "--ranker", world.round("two-tower"))
    assert "the query tower was trained for" in said and "Index with --model" in said
    assert not (tmp_path / "shop" / "shop.json").exists()


# Which ranker


def test_the_kept_round_is_taken(world: World, tmp_path: Path) -> None:
    run = single(world, tmp_path / "run", "dense", "round 1")
    assert find_ranker(run) == find_ranker(run / "round-1" / folder_name(world.names["dense"]))
    shutil.copytree(run / "round-1", run / "round-2")
    about = next(run.glob("round-2/*/round.json"))
    about.write_text(about.read_text().replace('"round": 1', '"round": 2'))
    assert find_ranker(run).round == 1
    (run / "reliability.json").write_text("null")
    assert find_ranker(run).round == 2
    (run / "reliability.json").unlink()
    assert find_ranker(run).round == 2


def test_rounds_that_are_not_kept_are_not_recommended(world: World, tmp_path: Path) -> None:
    for kind in ("static", "dense"):
        shutil.copytree(world.round(kind), tmp_path / "round-1" / world.round(kind).name)
    shutil.copyfile(world.run / "settings.json", tmp_path / "settings.json")
    static, dense = world.names["static"], world.names["dense"]
    for kept, said in (
        ({static: f"{static}, round 1", dense: f"{dense}, untrained"}, r"of one: \S*static\S* \(no round of dense"),
        ({static: f"{static}, untrained", dense: f"{dense}, untrained"}, "no round of them is better"),
    ):
        (tmp_path / "reliability.json").write_text(json.dumps({"best": kept}))
        with pytest.raises(SettingsError, match=said):
            find_ranker(tmp_path)


def test_a_run_that_keeps_the_untrained_ranker_leaves_the_shop_without(world: World, tmp_path: Path) -> None:
    run = single(world, tmp_path / "run", "dense", "untrained")
    answer = done(*world.index(tmp_path / "shop", "--ranker", run, "--json"))
    assert "no round of dense(towers='small') in" in answer.err and answer.json["ranker"] is None
    assert not open_shop(tmp_path / "shop").has_ranker
    named = done(*world.index(tmp_path / "shop", "--ranker", next(run.glob("round-1/*")), "--json"))
    assert named.json["ranker"] == "dense(towers='small'), round 1"
    assert open_shop(tmp_path / "shop").has_ranker


def test_no_ranker_where_one_is_named(world: World, tmp_path: Path) -> None:
    static, several = world.names["static"], tmp_path / "several"
    for kind in ("static", "two-tower"):
        shutil.copytree(world.round(kind), several / "round-1" / world.round(kind).name)
    shutil.copyfile(world.run / "settings.json", several / "settings.json")
    with pytest.raises(
        SettingsError, match=r"several rankers. Name the folder of one: .*round-1/static.*, .*two-tower"
    ):
        find_ranker(several)
    assert find_ranker(several, static) == find_ranker(several / "round-1" / folder_name(static))
    with pytest.raises(SettingsError, match=r"has no ranker bm25\. Name one of"):
        find_ranker(several, "bm25")
    with pytest.raises(ModelError, match="is neither a run of `wares supervise`"):
        find_ranker(tmp_path)
    shutil.copyfile(world.run / "settings.json", tmp_path / "settings.json")
    with pytest.raises(ModelError, match="has no finished round"):
        find_ranker(tmp_path)
    run = single(world, tmp_path / "run", "dense", "round 1")
    next(run.glob("round-1/*/model/*")).write_bytes(b"")
    assert "does not load" in refused(*world.index(tmp_path / "shop", "--ranker", run))
    assert not (tmp_path / "shop" / "shop.json").exists()


@pytest.mark.parametrize("kind", ["static", "late-interaction", "sparse"])
def test_a_ranker_may_meet_listings_that_it_was_not_taught_with(kind: str, world: World, tmp_path: Path) -> None:
    write_goods(tmp_path, 40)
    more = read_catalogue(tmp_path)
    shop = build_shop(more, load_towers(world.model), tmp_path / "shop", ranker=world.trained(kind))
    hits = search(shop, "red wool", k=40, rerank_depth=40, system="bm25")
    assert hits and all(hit.rerank_score is not None for hit in hits)


# On the command line


def test_index_and_search_with_a_ranker(world: World, tmp_path: Path) -> None:
    shop, ranker = tmp_path / "shop", ("--ranker", world.round("cross-encoder"))
    said = done(*world.index(shop, *ranker)).out
    assert "round 1 reranks." in said and f"Next: wares search {shop} " in said and "--rerank --why" in said
    asked = ("search", shop, "red wool boots", "--rerank", "-n", 8, "-k", 8)
    hits = done(*asked, "--json").json
    assert len(hits) == 8
    scores = zscore([[hit["score"], hit["rerank_score"]] for hit in hits]).sum(axis=1)
    assert scores.tolist() == pytest.approx(sorted(scores, reverse=True), abs=1e-6)
    assert all(hit["score"] == pytest.approx(sum(each["contribution"] for each in hit["why"])) for hit in hits)
    assert "reranked" in done(*asked, "--why").out
    assert all("rerank_score" not in hit for hit in done("search", shop, "red wool", "--json").json)
    alone = done("search", shop, "red wool boots", "--rerank", "-n", 8, "--system", "bm25", "--json").json
    assert [each["view"] for hit in alone for each in hit["why"]] == ["words"] * len(alone)


def test_a_filter_comes_before_reranking(world: World, with_ranker: Callable[[str], Shop]) -> None:
    """As many results as there are dear listings, although the first ten of all hold few of them."""
    shop = with_ranker("dense")
    hits = search(shop, "red wool", k=10, rerank_depth=10, where="price >= 20")
    prices = [hit.price for hit in hits if hit.price is not None]
    assert len(prices) == 10 and min(prices) >= 20
    assert all(hit.rerank_score is not None for hit in hits)
    assert search(shop, "red wool", rerank_depth=10, where="price > 100") == []


def test_an_up_to_date_shop_is_given_a_ranker_as_it_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "shop"
    done(*world.index(shop))
    folder = open_shop(shop).build_folder
    table = {path: path.stat().st_mtime_ns for path in (folder / "listings.lance").rglob("*")}
    monkeypatch.setattr("wares.encoders.features.embed", texts_of_nobody)
    for kind in ("dense", "two-tower", "cross-encoder"):
        done(*world.index(shop, "--ranker", world.round(kind)))
    assert {path: path.stat().st_mtime_ns for path in (folder / "listings.lance").rglob("*")} == table
    assert {path.name for path in folder.iterdir()} >= {"ranker", "query-tower"}
    assert not (folder / "ranker" / "listings.parquet").exists()
    kept = json.loads((folder / "ranker" / "ranker.json").read_text())
    assert (kept["name"], kept["needs"]) == (world.names["cross-encoder"], "texts")


def test_a_shop_of_other_listings_is_not_given_a_ranker(world: World, tmp_path: Path) -> None:
    goods = tmp_path / "goods"
    goods.mkdir()
    write_goods(goods)
    index = ("index", goods, "--model", world.model, "--out", tmp_path / "shop")
    done(*index)
    shop, rows = open_shop(tmp_path / "shop"), (goods / "listings.jsonl").read_text()
    assert matches_catalogue(shop, read_catalogue(goods))
    changes: list[tuple[str, str]] = [("boots", "shoes"), ('"price": 3', '"price": 4'), ('"l07"', '"new"')]
    for before, after in changes:
        (goods / "listings.jsonl").write_text(rows.replace(before, after, 1))
        assert not matches_catalogue(shop, read_catalogue(goods))
        said = refused(*index, "--ranker", world.round("dense"))
        assert "of another model or of other listings. Pass --overwrite" in said
    done(*index, "--ranker", world.round("dense"), "--overwrite")
    assert open_shop(tmp_path / "shop").has_ranker


def test_what_reranking_refuses(world: World, with_ranker: Callable[[str], Shop]) -> None:
    plain = world.plain
    assert f"{plain} has no ranker. Add one" in refused("search", plain, "red wool", "--rerank")
    assert "Pass --rerank as well" in refused("search", plain, "red", "-n", 5)
    shop = with_ranker("dense")
    assert "the rerank depth is 0" in refused("search", shop.path, "red", "--rerank", "-n", 0)
    assert "reads the text of the query" in refused("search", shop.path, "--like", "l03", "--rerank")
    (shop.build_folder / "ranker" / "listings.parquet").write_bytes(b"")
    assert "ranker is damaged" in refused("search", shop.path, "red", "--rerank")
    (shop.build_folder / "ranker" / "ranker.json").write_text("{}")
    with pytest.raises(ShopError, match="is damaged or of another version of wares"):
        search(open_shop(shop.path), "red", rerank_depth=5)


def test_evaluate_reports_the_reranked_system(world: World, tmp_path: Path, with_ranker: Callable[[str], Shop]) -> None:
    (tmp_path / "queries.jsonl").write_text('{"id": "q", "text": "red wool"}\n')
    (tmp_path / "qrels.txt").write_text("q 0 l03 1\n")
    judged = ("--queries", tmp_path / "queries.jsonl", "--qrels", tmp_path / "qrels.txt")
    found: dict[str, Any] = {}
    for name, path in (("with", with_ranker("static").path), ("without", world.plain)):
        done("evaluate", path, *judged, "--save-runs", tmp_path / name, "--json", tmp_path / "results.json")
        found[name] = json.loads((tmp_path / "results.json").read_text())["systems"]
    assert set(found["with"]) - set(found["without"]) == {"reranked"}
    expected = [hit.id for hit in search(open_shop(tmp_path / "static"), "red wool", k=30, rerank_depth=100)]
    lines = (tmp_path / "with" / "reranked.txt").read_text().splitlines()
    assert [line.split()[2] for line in lines] == expected


def test_help_tells_of_ranker_and_rerank() -> None:
    assert "--ranker" in wares("index", "--help").out
    assert "--rerank" in wares("search", "--help").out
