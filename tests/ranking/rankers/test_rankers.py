"""Rankers: one contract for all of them, cases by eye, and equivalences with plain computations."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import WORDS, named, save_cross_encoder

from wares.core.errors import ModelError, SettingsError
from wares.core.specs import format_spec
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.encoders.registry import build_towers
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.rankers.base import Ranker, RankerModel, SoftLabels, TrainingDefaults
from wares.ranking.rankers.bi_encoder import BiEncoder
from wares.ranking.rankers.registry import get_ranker, get_teacher, rankers
from wares.ranking.scoring import NO_LISTING
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.training import DistillationCollator, DistillationDataset, train_ranker

PUBLISHED = "cross-encoder(model='unset')"
LAYERED = ["dense(backbone='last-1')", "dense(backbone='lora')", "cross-encoder", PUBLISHED]  # learn slowly
MEMBERS = ["static", "dense", "sparse", "late-interaction", "two-tower", *LAYERED]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Twelve listings of two words each."""
    pairs = [(one, other) for i, one in enumerate(WORDS[:6]) for other in WORDS[i + 1 : 6]][:12]
    listings = [Listing(f"l{i}", f"{one} {other}", "", (), (), None, {}) for i, (one, other) in enumerate(pairs)]
    return Corpus(Catalogue(tmp_path_factory.mktemp("corpus"), tuple(listings)))


@pytest.fixture
def make(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Ranker]:
    """A ranker by its name, on the tiny sentence encoder."""
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))

    def ranker(name: str) -> Ranker:
        found = get_ranker(name if name != "two-tower" else "two-tower(model='unset')")
        if name == "two-tower":
            build_towers(named("pair", shelf)).save(tmp_path / "model")
            return replace(found, model=str(tmp_path / "model"))  # type: ignore[type-var]
        if name == PUBLISHED:
            return replace(found, model=f"{shelf}/cross-encoder")  # type: ignore[type-var]
        return replace(found, towers=named("pair", shelf))  # type: ignore[type-var]

    return ranker


def saved(ranker: Ranker, taught: SoftLabels, corpus: Corpus, folder: Path) -> RankerModel:
    """A model that has learned a little, and its weights in `folder/ranker`."""
    model = ranker.fit(corpus, seed=1)
    train_ranker(model, taught, TrainingDefaults(1e-2, 6, 8), RankerTrainingSettings(epochs=3), 0, folder)
    model.save(folder / "ranker")
    return model


def lessons(corpus: Corpus) -> SoftLabels:
    """For each word, all listings; those that hold it share the query among themselves."""
    queries = [Query(word, word) for word in WORDS[:6]]
    holds = np.array([[query.text in text for text in corpus.texts] for query in queries])
    with np.errstate(divide="ignore"):
        shares = np.log(holds / holds.sum(1, keepdims=True))
    shares[~holds] = np.log(1e-6)
    listings = np.broadcast_to(np.arange(len(corpus)), holds.shape).copy()
    return SoftLabels(queries, listings, shares, np.ones(len(queries)))


def precision(model: RankerModel, taught: SoftLabels) -> float:
    """How many of the first two results are as taught."""
    found = model.scorer().retrieve(taught.queries, 2).listings
    shares = np.take_along_axis(taught.log_probs, found, axis=1)
    return float((shares > np.log(1e-6)).mean())


# Contracts


def test_every_ranker_is_tested() -> None:
    assert {name.split("(")[0] for name in MEMBERS} == set(rankers())


@pytest.mark.parametrize("name", MEMBERS)
def test_names_read_back(name: str, make: Callable[[str], Ranker]) -> None:
    ranker = make(name)
    assert get_ranker(format_spec(ranker, rankers())) == ranker


@pytest.mark.parametrize("name", MEMBERS)
def test_training_scores_are_the_scorers(name: str, make: Callable[[str], Ranker], corpus: Corpus) -> None:
    """What is taught is what ranks: one score for one pair, on one scale."""
    model = make(name).fit(corpus, seed=1)
    listings = np.array([[0, 3, 5], [7, NO_LISTING, 2]])
    queries = [Query("1", "red scarf"), Query("2", "boots")]
    with torch.inference_mode():
        found = model.eval()([query.text for query in queries], torch.from_numpy(listings)).numpy()
    scores = model.scorer().score(queries, listings)
    assert np.isnan(scores).tolist() == (listings == NO_LISTING).tolist()
    np.testing.assert_allclose(found[listings != NO_LISTING], scores[listings != NO_LISTING], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MEMBERS)
def test_retrieved_scores_fall_and_are_those_of_the_pairs(
    name: str, make: Callable[[str], Ranker], corpus: Corpus
) -> None:
    scorer = make(name).fit(corpus, seed=1).scorer()
    queries = [Query("1", "red boots"), Query("2", "wool"), Query("3", "")]
    found = scorer.retrieve(queries, 5)
    assert found.listings.shape == (3, 5)
    assert (found.listings[2] == NO_LISTING).all(), "there is nothing to answer"
    assert found.present[:2, :3].all()
    assert not (np.diff(found.scores) > 0).any()
    np.testing.assert_allclose(scorer.score(queries, found.listings)[:2], found.scores[:2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MEMBERS)
def test_every_ranker_learns_what_it_is_taught(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    model, taught = make(name).fit(corpus, seed=1), lessons(corpus)
    rate, epochs = (5e-3, 90) if name in LAYERED else (2e-2, 60)
    record = train_ranker(
        model, taught, TrainingDefaults(rate, 3, 8), RankerTrainingSettings(epochs=epochs), 2, tmp_path
    )
    assert record.steps == 2 * epochs
    assert record.losses[-1] < 0.8 * record.losses[0]
    assert precision(model, taught) > (0.45 if name in LAYERED else 0.9), "1/3 of listings hold a word"
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("name", MEMBERS)
def test_a_saved_ranker_is_the_same_ranker(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    ranker, taught = make(name), lessons(corpus)
    model = saved(ranker, taught, corpus, tmp_path)
    again = ranker.fit(corpus, seed=5)
    again.load(tmp_path / "ranker")
    listings = np.broadcast_to(np.arange(len(corpus)), (6, len(corpus)))
    before, after = (each.scorer().score(taught.queries, listings) for each in (model, again))
    np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-4)
    untaught = ranker.fit(corpus, seed=1).scorer().score(taught.queries, listings)
    assert np.abs(before - untaught).max() > 1e-3


@pytest.mark.parametrize("name", MEMBERS)
def test_a_saved_ranker_ranks_listings_that_it_was_not_taught_with(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    """Of which some words are new and most are gone, as in known-item search."""
    ranker, taught = make(name), lessons(corpus)
    model = saved(ranker, taught, corpus, tmp_path)
    kept = np.arange(4)
    few = Corpus(corpus.catalogue.subset(kept.tolist()))
    few = Corpus(replace(few.catalogue, listings=(*few.catalogue.listings, Listing("new", "an aubergine"))))
    again = ranker.fit(few, seed=1)
    again.load(tmp_path / "ranker")
    listings = np.broadcast_to(kept, (6, 4))
    before, after = (each.scorer().score(taught.queries, listings) for each in (model, again))
    np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-4)
    assert again.scorer().retrieve([Query("1", "aubergine")], 5).listings.shape == (1, 5)


@pytest.mark.parametrize("name", ["static", "sparse", "late-interaction", "cross-encoder"])
def test_the_seed_decides(name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path) -> None:
    taught, scores = lessons(corpus), []
    listings = np.broadcast_to(np.arange(len(corpus)), (6, len(corpus)))
    for seed in (3, 3, 4):
        model = make(name).fit(corpus, seed)
        train_ranker(model, taught, TrainingDefaults(1e-2, 2, 4), RankerTrainingSettings(epochs=2), seed, tmp_path)
        scores.append(model.scorer().score(taught.queries, listings))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.abs(scores[0] - scores[2]).max() > 1e-4


@pytest.mark.parametrize("name", MEMBERS)
def test_a_query_of_no_weight_teaches_nothing(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    taught = lessons(corpus)
    nobody = replace(taught, weights=np.zeros(6))
    with pytest.raises(SettingsError, match="nothing to learn from"):
        train_ranker(
            make(name).fit(corpus, 0), nobody, TrainingDefaults(1e-2, 2, 4), RankerTrainingSettings(), 0, tmp_path
        )


def test_a_damaged_or_foreign_ranker_is_refused(make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path) -> None:
    make("static").fit(corpus, 0).save(tmp_path)
    with pytest.raises(ModelError, match="belongs to another ranker"):
        make("dense").fit(corpus, 0).load(tmp_path)
    (tmp_path / "ranker.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="does not load"):
        make("static").fit(corpus, 0).load(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tree", "no ranker 'tree'; there are static, dense"),
        ("dense(layers=3)", "dense has no setting 'layers'"),
        ("dense(backbone='most')", '"last-N"'),
        ("dense(learning_rate=0)", "learning_rate must be above 0, not 0"),
        ("static(listings_per_query=1)", "listings_per_query must be 2 or more, not 1"),
        ("cross-encoder(depth=0)", "layers and depth of cross-encoder must be 1 or more, not 3 and 0"),
        (
            "cross-encoder(model='published', layers=2)",
            "a cross-encoder takes a model with all its layers, or towers and layers",
        ),
        ("sparse(flops_weight=-1)", "flops_weight of sparse must be 0 or more, not -1"),
        ("late-interaction(dimensions=0)", "dimensions and depth of late-interaction must be 1 or more, not 0 and 100"),
        ("two-tower", "needs a model"),
        ("static(towers='small')", "static needs a sentence encoder"),
        ("cross-encoder(towers='small')", "cross-encoder needs a sentence encoder"),
        ("sparse(towers='small')", "sparse needs a sentence encoder"),
        ("late-interaction(towers='small')", "late-interaction needs a sentence encoder"),
    ],
)
def test_what_cannot_be_is_refused(name: str, message: str, corpus: Corpus) -> None:
    with pytest.raises(SettingsError, match=message):
        get_ranker(name).fit(corpus, 0)


def test_settings_out_of_range() -> None:
    with pytest.raises(SettingsError, match="epochs must be 1 or more, not 0"):
        RankerTrainingSettings(epochs=0)
    with pytest.raises(SettingsError, match="no ranking loss 'hinge'"):
        RankerTrainingSettings(loss="hinge")  # type: ignore[arg-type]


# By eye


def row(shares: Sequence[float], draws: Sequence[float], listings: Sequence[int]) -> dict[str, Any]:
    arrays = {"listings": np.array(listings), "log_probs": np.array(shares), "draws": np.array(draws)}
    return {"query": "q", "weight": 1.0, **arrays}


def test_a_draw_keeps_the_best_half_and_draws_the_rest() -> None:
    """The two best are 11 and 13; of the others, 14 and 10 drew the smallest numbers."""
    shares = np.log(np.array([0.1, 0.4, 0.05, 0.3, 0.1, 0.05])).tolist()
    batch = DistillationCollator(4)([row(shares, [0.3, 0.9, 0.8, 0.7, 0.2, 0.5], [10, 11, 12, 13, 14, 15])])
    assert set(batch["listings"][0, :2].tolist()) == {11, 13}
    assert batch["listings"][0, 2:].tolist() == [14, 10]
    expected = [shares[listing - 10] for listing in batch["listings"][0].tolist()]
    torch.testing.assert_close(batch["log_probs"][0], torch.tensor(expected))


def test_a_draw_of_few_listings_is_padded() -> None:
    batch = DistillationCollator(4)([row([-0.5, -np.inf, -1.0, -np.inf], [0.1] * 4, [4, NO_LISTING, 5, 9])])
    assert batch["listings"][0].tolist() == [4, 5, NO_LISTING, NO_LISTING], "what has no label is not shown"


def test_other_listings_are_drawn_in_each_epoch(corpus: Corpus) -> None:
    taught = DistillationDataset(lessons(corpus), seed=0)
    first = taught[2]["draws"]
    taught.epoch = 1
    assert (taught[2]["draws"] != first).all()
    taught.epoch = 0
    assert (taught[2]["draws"] == first).all()
    assert (taught[3]["draws"] != first).all()


def test_only_queries_with_two_labels_and_a_weight_are_taught() -> None:
    shares = np.array([[0.0, -np.inf], [-1.0, -1.0], [-1.0, -1.0], [-np.inf, -np.inf]])
    queries = [Query(str(i), "q") for i in range(4)]
    taught = DistillationDataset(
        SoftLabels(queries, np.zeros((4, 2), dtype=np.int64), shares, np.array([1.0, 1.0, 0.0, 1.0])), 0
    )
    assert taught.indices.tolist() == [1]


def test_untaught_frozen_dense_is_the_encoder_itself(
    make: Callable[[str], Ranker], corpus: Corpus, shelf: Path
) -> None:
    """Heads start as the identity, so cosines are those of sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    model = make("dense").fit(corpus, seed=0)
    assert isinstance(model, BiEncoder)
    encoder = SentenceTransformer(str(shelf / "text"))
    queries = [Query("1", "red wool"), Query("2", "winter mug")]
    vectors = [encoder.encode(texts, normalize_embeddings=True) for texts in ([q.text for q in queries], corpus.texts)]
    listings = np.broadcast_to(np.arange(len(corpus)), (2, len(corpus)))
    scale = float(model.log_scale.detach().exp())
    np.testing.assert_allclose(model.scorer().score(queries, listings), scale * vectors[0] @ vectors[1].T, atol=2e-2)


def test_an_untrained_ranker_is_a_teacher(make: Callable[[str], Ranker], shelf: Path, corpus: Corpus) -> None:
    queries, listings = lessons(corpus).queries, lessons(corpus).listings
    teacher = get_teacher(f"late-interaction(towers={named('pair', shelf)!r})").fit(corpus)
    expected = make("late-interaction").fit(corpus, seed=0).scorer().score(queries, listings)
    np.testing.assert_array_equal(teacher.score(queries, listings), expected)


def test_a_labelers_name_comes_before_a_rankers() -> None:
    """`dense` is both, and the untrained ranker is what the labeler is."""
    assert get_teacher("dense") == get_labeler("dense")
    with pytest.raises(SettingsError, match=r"no labeler 'colbert'; there are bm25, .*late-interaction"):
        get_teacher("colbert")


def test_static_is_a_weighted_mean_of_token_vectors(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    """By hand: each token's vector times its weight, summed and brought to length 1."""
    from wares.ranking.rankers.static import StaticModel

    model = make("static").fit(corpus, seed=0)
    assert isinstance(model, StaticModel)
    ids = model.tokenizer("red boots red", add_special_tokens=False)["input_ids"]
    assert len(ids) == 3
    total = sum(model.token_vectors[token] * model.token_weights[token] for token in ids)
    assert isinstance(total, torch.Tensor)
    torch.testing.assert_close(model.query_vectors(["red boots red"])[0], total / total.norm())


def test_a_common_token_weighs_less(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    from wares.ranking.rankers.static import StaticModel

    model = make("static").fit(corpus, seed=0)
    assert isinstance(model, StaticModel)
    often, never = (model.tokenizer.convert_tokens_to_ids(word) for word in ("red", "winter"))
    assert model.token_weights[often] < model.token_weights[never]


def test_two_towers_listings_stay_where_they_are(make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path) -> None:
    """So a shop need not encode them again."""
    model = make("two-tower").fit(corpus, seed=0)
    assert isinstance(model, BiEncoder)
    before = model.listing_vectors(torch.arange(len(corpus))).clone()
    train_ranker(model, lessons(corpus), TrainingDefaults(1e-2, 6, 8), RankerTrainingSettings(epochs=5), 0, tmp_path)
    after = model.listing_vectors(torch.arange(len(corpus))).cpu()
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_a_published_cross_encoder_scores_as_its_library_does(
    make: Callable[[str], Ranker], shelf: Path, corpus: Corpus
) -> None:
    from sentence_transformers import CrossEncoder

    query, places = Query("1", "red scarf"), np.arange(len(corpus))
    scores = make(PUBLISHED).fit(corpus, seed=0).scorer().score([query], places[None])[0]
    library = CrossEncoder(f"{shelf}/cross-encoder", device="cpu")
    pairs = [(query.text, corpus.texts[place]) for place in places]
    np.testing.assert_allclose(scores, library.predict(pairs, activation_fn=torch.nn.Identity()), rtol=1e-4, atol=1e-4)


def test_a_model_that_is_no_cross_encoder(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        get_ranker("cross-encoder(model='./nowhere')").fit(corpus, 0)
    save_cross_encoder(tmp_path / "classes", outputs=3)
    with pytest.raises(ModelError, match=r"has 3 outputs\. Choose a cross-encoder with one"):
        get_ranker(f"cross-encoder(model={str(tmp_path / 'classes')!r})").fit(corpus, 0)


@pytest.mark.parametrize("name", ["cross-encoder", "late-interaction"])
def test_a_reranker_ranks_what_its_first_stage_finds(name: str, make: Callable[[str], Ranker], corpus: Corpus) -> None:
    found = make(name).fit(corpus, seed=0).scorer().retrieve([Query("1", "red"), Query("2", "xyzzy")], 10)
    holding = [place for place, text in enumerate(corpus.texts) if "red" in text]
    assert sorted(found.listings[0][found.present[0]].tolist()) == holding
    assert (found.listings[1] == NO_LISTING).all()


def test_sparse_weights_are_splades() -> None:
    """Pooling and FLOPS are those of sentence-transformers."""
    from sentence_transformers.sparse_encoder.losses import FlopsLoss
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    from wares.ranking.rankers.sparse import flops_loss, max_pool

    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    present = torch.tensor([[True, True, True, True], [True, False, False, False], [False, False, False, False]])
    weights = max_pool(logits, present)
    features = {"token_embeddings": logits.clone(), "attention_mask": present}
    torch.testing.assert_close(weights, SpladePooling()(features)["sentence_embedding"])
    assert (weights >= 0).all() and (weights[2] == 0).all()
    torch.testing.assert_close(flops_loss(weights), FlopsLoss(None).compute_loss_from_embeddings(weights))  # type: ignore[arg-type]


def test_a_sparse_head_starts_as_an_idf_weighted_bag_of_words() -> None:
    """Each token's states are one direction of their own: it gets sqrt(idf), and nothing else does."""
    from wares.ranking.rankers.sparse import initial_head, max_pool

    states, document_frequency = torch.eye(6).repeat(5, 1), torch.arange(1, 7)
    head = initial_head(states, torch.arange(6).repeat(5), document_frequency, text_count=6)
    tokens = torch.tensor([[0, 2, 2]])
    weights = max_pool(head(states[tokens], tokens, torch.arange(6)), torch.ones(1, 3, dtype=torch.bool))
    idf = torch.log1p(6 / document_frequency) * torch.tensor([1, 0, 1, 0, 0, 0])
    torch.testing.assert_close(weights[0], idf.sqrt())


def test_more_flops_regularisation_makes_sparser_vectors(
    make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    """From weights for every token of the corpus, at first."""
    from wares.ranking.rankers.sparse import SparseModel

    held = []
    for name in ("sparse(flops_weight=0)", "sparse(flops_weight=1)"):
        model = make(name).fit(corpus, seed=0)
        assert isinstance(model, SparseModel)
        torch.nn.init.constant_(model.head.linear.bias, 1.0)
        train_ranker(
            model, lessons(corpus), TrainingDefaults(2e-2, 6, 8), RankerTrainingSettings(epochs=60), 0, tmp_path
        )
        held.append(model.scorer().listing_weights.nnz)
    assert held[1] < held[0]


def test_only_sparse_adds_to_the_loss(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    for name in MEMBERS:
        model = make(name).fit(corpus, seed=0)
        model(["red boots", "wool"], torch.tensor([[0, 1], [2, 3]]))
        assert (model.regulariser().item() > 0) == (name == "sparse")


@pytest.mark.parametrize("name", ["static", "sparse", "late-interaction"])
def test_a_query_of_unknown_words(name: str, make: Callable[[str], Ranker], corpus: Corpus) -> None:
    """Sparse has no weight for it, and BM25 finds nothing to rerank; static has a vector for whatever is asked."""
    scorer = make(name).fit(corpus, seed=0).scorer()
    queries, listings = [Query("1", "xyzzy"), Query("2", "red boots")], np.array([[0, 1], [0, 1]])
    abstains = name == "sparse"
    assert (scorer.retrieve(queries, 3).listings[0] == NO_LISTING).all() == (name != "static")
    assert np.isnan(scorer.score(queries, listings)).tolist() == [[abstains, abstains], [False, False]]
    assert scorer.retrieve([], 3).listings.shape == (0, 3)


def test_late_interaction_sums_best_matches(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    """By hand, for one pair: of each query token the largest cosine with a token of the listing."""
    from wares.ranking.rankers.late_interaction import LateInteractionModel

    model = make("late-interaction(dimensions=8)").fit(corpus, seed=0)
    assert isinstance(model, LateInteractionModel)
    asked, listing = model.encode(["red boots", corpus.texts[4]])
    assert asked.shape == (4, 8), "two words between a start and an end"
    cosines = asked.float() @ listing.float().T
    expected = float(model.log_scale.detach().exp()) * float(cosines.max(1).values.sum())
    score = model.scorer().score([Query("1", "red boots")], np.array([[4]]))
    assert score[0, 0] == pytest.approx(expected, rel=1e-3)


def test_principal_axes_keep_inner_products_where_there_is_room() -> None:
    """Vectors of a plane lose nothing in two dimensions."""
    from wares.ranking.rankers.late_interaction import principal_axes, project_tokens

    random = torch.Generator().manual_seed(0)
    plane = torch.randn(2, 10, generator=random)
    texts = [torch.randn(count, 2, generator=random) @ plane for count in (3, 5)]
    axes = principal_axes(texts, 2)
    torch.testing.assert_close(axes.T @ axes, torch.eye(2))
    unit = torch.nn.functional.normalize(texts[0], dim=-1)
    (kept,) = project_tokens(texts[:1], axes)
    torch.testing.assert_close(kept.float() @ kept.float().T, unit @ unit.T, atol=2e-3, rtol=0)


def test_token_states_are_read_once_and_do_not_depend_on_company(
    make: Callable[[str], Ranker], shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wares.encoders.sentence import SentenceTower
    from wares.ranking.rankers import token_states as tokens

    make("late-interaction")  # gives the cache a folder of its own
    tower = build_towers(named("pair", shelf)).text
    assert isinstance(tower, SentenceTower)
    texts = ["red", "blue wool scarf", "mug", "red"]
    together = tokens.token_states(texts, tower)
    assert [len(states) for states in together] == [3, 5, 3, 3]
    with torch.inference_mode():
        alone = tower.backbone(tower.preprocess(["blue wool scarf"]))["token_embeddings"][0]
    torch.testing.assert_close(together[1].float(), alone, atol=1e-2, rtol=1e-2)
    monkeypatch.setattr(tokens, "_encode", None)
    torch.testing.assert_close(tokens.token_states(texts[::-1], tower)[2], together[1])


def test_a_run_that_was_stopped_goes_on(
    make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after a checkpoint, it makes the steps that are left and ends where it would have ended."""
    from transformers import Trainer

    monkeypatch.setattr("wares.ranking.training.CHECKPOINT_STEPS", 4)
    taught, pace, settings = lessons(corpus), TrainingDefaults(1e-2, 2, 4), RankerTrainingSettings(epochs=3)
    whole = make("static").fit(corpus, 0)
    assert train_ranker(whole, taught, pace, settings, 1, tmp_path / "whole").steps == 9

    class Killed(Exception):
        pass

    made = []

    def step(self: Trainer, *args: Any, **kwargs: Any) -> torch.Tensor:
        made.append(1)
        if len(made) == 6:
            raise Killed
        return original(self, *args, **kwargs)

    original = Trainer.training_step
    monkeypatch.setattr(Trainer, "training_step", step)
    with pytest.raises(Killed):
        train_ranker(make("static").fit(corpus, 0), taught, pace, settings, 1, tmp_path / "stopped")
    checkpoints = tmp_path / "stopped" / "checkpoints"
    for number, written in ((5, '{"epoch": 1.'), (6, None)):  # killed while it wrote these
        half = shutil.copytree(checkpoints / "checkpoint-4", checkpoints / f"checkpoint-{number}")
        (half / "trainer_state.json").unlink() if written is None else (half / "trainer_state.json").write_text(written)
    again = make("static").fit(corpus, 0)
    train_ranker(again, taught, pace, settings, 1, tmp_path / "stopped")
    assert len(made) == 6 + 9 - 4
    for name, value in whole.trained_state().items():
        torch.testing.assert_close(again.trained_state()[name], value)
