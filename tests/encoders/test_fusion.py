"""Fusion: scores against plain loops over the views, shares, permutations, and listings that lack views."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import embeddings, embeddings_of, fusions

from wares.data.views import Views
from wares.encoders.features import Embeddings, Vectors
from wares.encoders.fusion import FusedEmbeddings, barycentres, contributions, fuse
from wares.encoders.settings import Fusion, Marginals

FIXED, AGREEMENT = Marginals("fixed"), Marginals("agreement")


def views_of(of: Embeddings, listing: int) -> tuple[Vectors, Vectors]:
    """The photos and the texts of one listing."""
    photos, texts = (
        vectors[slice(*views.offsets[listing : listing + 2])]
        for views, vectors in ((of.photo_views, of.photos), (of.text_views, of.texts))
    )
    return photos, texts


def weights_of(of: Embeddings, fused: FusedEmbeddings, listing: int) -> tuple[Vectors, Vectors]:
    photo_slice = slice(*of.photo_views.offsets[listing : listing + 2])
    return fused.photo_weights[photo_slice], fused.text_weights[slice(*of.text_views.offsets[listing : listing + 2])]


def fixed(count: int, primary: float) -> list[float]:
    """The fixed marginal over so many views: the primary one weighs primary : (1 - primary) against each other one."""
    odds = [primary] + [1 - primary] * (count - 1)
    return [1.0] if count == 1 else [weight / sum(odds) for weight in odds] if count else []


def tilted(weights: list[float], views: Vectors, others: Vectors, opposite: list[float], epsilon: float) -> list[float]:
    """Agreement of photos with texts, whose weights are `opposite`, by hand."""
    raw = []
    for weight, view in zip(weights, views, strict=True):
        agreement = sum(w * float(view @ other) for w, other in zip(opposite, others, strict=True))
        raw.append(weight * math.exp(agreement / epsilon))
    return [value / sum(raw) for value in raw]


def expected_view_score(query: Vectors, photos: Vectors, texts: Vectors, tilt: Vectors, fusion: Fusion) -> float:
    """The mean score of a view drawn at random: the modality by gamma, then the view by its marginal."""
    marginals = fusion.marginals
    a, b = fixed(len(photos), marginals.alpha), fixed(len(texts), marginals.beta)
    if marginals.kind == "agreement" and a and b:
        a = tilted(a, photos, texts, b, marginals.epsilon)
    if marginals.kind == "learned" and a:
        a = tilted(a, photos, np.atleast_2d(tilt), [1.0], 1 / math.sqrt(len(tilt)))
    by_photo = sum(weight * float(query @ view) for weight, view in zip(a, photos, strict=True))
    by_text = sum(weight * float(query @ view) for weight, view in zip(b, texts, strict=True))
    gamma = fusion.gamma if a and b else float(bool(a))
    return gamma * by_photo + (1 - gamma) * by_text


def queries(seed: int, dimension: int = 6) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(8, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


# The claims the method rests on ----------------------------------------------------------------------------------


@given(embeddings(), fusions(), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_a_fused_score_is_the_expected_score_of_a_view(of: Embeddings, fusion: Fusion, seed: int) -> None:
    """Up to one factor a listing, the norm, which is the same for every query."""
    fused, tilt = fuse(of, fusion), of.photo_attention
    assert tilt is not None
    for listing, vector in enumerate(fused.vectors):
        photos, texts = views_of(of, listing)
        expected = np.array([expected_view_score(query, photos, texts, tilt, fusion) for query in queries(seed)])
        if not len(photos) + len(texts):
            assert not vector.any()
            continue
        weights = np.concatenate(weights_of(of, fused, listing))
        norm = 1.0 / float(weights.sum())  # the marginals and gamma sum to 1 before the norm divides them
        np.testing.assert_allclose(norm * (queries(seed) @ vector), expected, atol=2e-4)


@given(embeddings(), fusions())
@settings(deadline=None, max_examples=60)
def test_the_fused_vector_is_the_weighted_sum_of_the_views(of: Embeddings, fusion: Fusion) -> None:
    fused = fuse(of, fusion)
    assert (fused.photo_weights >= 0).all() and (fused.text_weights >= 0).all()
    for listing, vector in enumerate(fused.vectors):
        pairs = zip(weights_of(of, fused, listing), views_of(of, listing), strict=True)
        total = sum((weights @ views for weights, views in pairs), np.zeros(6))
        np.testing.assert_allclose(total, vector, atol=1e-5)


@given(embeddings(), fusions())
@settings(deadline=None, max_examples=40)
def test_fused_vectors_are_unit_vectors(of: Embeddings, fusion: Fusion) -> None:
    counts = of.photo_views.counts + of.text_views.counts
    np.testing.assert_allclose(np.linalg.norm(fuse(of, fusion).vectors, axis=1), counts > 0, atol=1e-4)


@given(embeddings(), fusions(), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_shares_sum_to_the_score(of: Embeddings, fusion: Fusion, seed: int) -> None:
    fused = fuse(of, fusion)
    for listing, vector in enumerate(fused.vectors):
        weights, views = weights_of(of, fused, listing), views_of(of, listing)
        for query in queries(seed):
            parts = np.concatenate([contributions(query, v, w) for v, w in zip(views, weights, strict=True)])
            assert len(parts) == len(views[0]) + len(views[1])
            assert float(parts.sum()) == pytest.approx(float(query @ vector), abs=1e-5)


@given(embeddings(), fusions(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_order_of_auxiliary_views_changes_nothing(of: Embeddings, fusion: Fusion, random: Random) -> None:
    photo_order, text_order = (auxiliaries_shuffled(views, random) for views in (of.photo_views, of.text_views))
    shuffled = replace(of, photos=of.photos[photo_order], texts=of.texts[text_order])
    before, after = fuse(of, fusion), fuse(shuffled, fusion)
    np.testing.assert_allclose(after.vectors, before.vectors, atol=1e-5)
    np.testing.assert_allclose(after.photo_weights, before.photo_weights[photo_order], atol=1e-5)
    np.testing.assert_allclose(after.text_weights, before.text_weights[text_order], atol=1e-5)


def auxiliaries_shuffled(views: Views, random: Random) -> npt.NDArray[np.int64]:
    """Places of all views, those after the first of each listing in another order."""
    order: list[int] = []
    for start, end in zip(views.offsets[:-1], views.offsets[1:], strict=True):
        rest = list(range(start + 1, end))
        random.shuffle(rest)
        order += [*range(start, min(start + 1, end)), *rest]
    return np.asarray(order, dtype=np.int64)


# By eye ----------------------------------------------------------------------------------------------------------

EAST, NORTH, UP = np.eye(3, dtype=np.float32)


def one(photos: list[Vectors], texts: list[Vectors]) -> Embeddings:
    """One listing with these views."""
    return Embeddings(*numbered(photos), *numbered(texts))


def numbered(vectors: list[Vectors]) -> tuple[Views, Vectors]:
    names = [str(number) for number in range(len(vectors))]
    return Views(names, names, np.array([0, len(vectors)])), np.array(vectors, dtype=np.float32).reshape(-1, 3)


@pytest.mark.parametrize("marginals", [FIXED, AGREEMENT])
def test_one_photo_and_one_text(marginals: Marginals) -> None:
    fused = fuse(one([EAST], [NORTH]), Fusion(marginals, gamma=0.75))
    np.testing.assert_allclose(fused.vectors[0], np.array([3, 1, 0]) / math.sqrt(10), atol=1e-6)
    assert float(fused.photo_weights[0]) == pytest.approx(0.75 / math.sqrt(0.625))
    assert float(fused.text_weights[0]) == pytest.approx(0.25 / math.sqrt(0.625))


def test_the_first_photo_weighs_alpha_against_each_other_photo() -> None:
    fusion = Fusion(Marginals("fixed", alpha=0.75), gamma=0.5)
    fused = fuse(one([EAST, NORTH, UP], [EAST]), fusion)
    assert (fused.photo_weights / fused.photo_weights.sum()).tolist() == pytest.approx([0.6, 0.2, 0.2])
    assert float(fused.photo_weights.sum()) == pytest.approx(float(fused.text_weights.sum()))


@pytest.mark.parametrize("marginals", [FIXED, AGREEMENT])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_a_listing_without_one_modality_is_fused_from_the_other(marginals: Marginals, gamma: float) -> None:
    diagonal = (EAST + NORTH) / math.sqrt(2)
    for fused in (
        fuse(one([], [EAST, NORTH]), Fusion(marginals, gamma)),
        fuse(one([EAST, NORTH], []), Fusion(marginals, gamma)),
    ):
        np.testing.assert_allclose(fused.vectors[0], diagonal, atol=1e-6)


@pytest.mark.parametrize("marginals", [FIXED, AGREEMENT])
def test_gamma_at_its_ends_leaves_one_modality(marginals: Marginals) -> None:
    texts_only, photos_only = (fuse(one([EAST], [NORTH]), Fusion(marginals, gamma)) for gamma in (0.0, 1.0))
    assert texts_only.vectors[0].tolist() == NORTH.tolist()
    assert texts_only.photo_weights.tolist() == [0.0]
    assert photos_only.vectors[0].tolist() == EAST.tolist()
    assert photos_only.text_weights.tolist() == [0.0]


@pytest.mark.parametrize("kind", ["fixed", "agreement"])
def test_all_weight_on_the_primary_views_ignores_the_others(kind: str) -> None:
    marginals = Marginals(kind, alpha=1.0, beta=1.0)  # type: ignore[arg-type]
    fused = fuse(one([EAST, UP, UP], [NORTH, UP]), Fusion(marginals, gamma=0.5))
    np.testing.assert_allclose(fused.vectors[0], (EAST + NORTH) / math.sqrt(2), atol=1e-6)
    assert fused.photo_weights[1:].tolist() == [0.0, 0.0]
    assert fused.text_weights[1:].tolist() == [0.0]


def test_agreement_plays_down_the_odd_photo_out_and_leaves_the_texts_alone() -> None:
    """Three photos of a boot, one of them a size chart, and three texts, one of them about delivery."""
    boots = one([EAST, NORTH, EAST], [EAST, EAST, UP])
    plain, agreed = (fuse(boots, Fusion(marginals, gamma=0.5)) for marginals in (FIXED, AGREEMENT))
    for fused, at_least, at_most in ((plain, 0.3, 0.4), (agreed, 0.0, 0.1)):
        assert at_least <= float(fused.photo_weights[1] / fused.photo_weights.sum()) <= at_most
        assert float(fused.text_weights[2] / fused.text_weights.sum()) == pytest.approx(1 / 3)
    assert float(agreed.vectors[0] @ EAST) > float(plain.vectors[0] @ EAST) + 0.01
    patient = fuse(boots, Fusion(Marginals("agreement", epsilon=1e6), gamma=0.5))
    np.testing.assert_allclose(patient.vectors, plain.vectors, atol=1e-5)


def test_equal_weight_against_one_view_is_equal_shares_of_all() -> None:
    fused = fuse(one([EAST, NORTH, UP], [EAST, NORTH]), Fusion(Marginals("fixed", alpha=0.5, beta=0.5)))
    assert np.ptp(fused.photo_weights) == pytest.approx(0.0, abs=1e-7)
    assert np.ptp(fused.text_weights) == pytest.approx(0.0, abs=1e-7)
    assert float(fused.photo_weights.sum()) == pytest.approx(float(fused.text_weights.sum()))


def test_learned_marginals_follow_the_photo_tilt_and_leave_the_texts_alone() -> None:
    boots = one([EAST, NORTH, EAST], [EAST, UP])
    learned, fixed_ = Marginals("learned"), fuse(boots, Fusion(FIXED))
    away = fuse(replace(boots, photo_attention=-2 * NORTH), Fusion(learned))
    assert float(away.photo_weights[1] / away.photo_weights.sum()) < 0.02
    assert (away.text_weights / away.text_weights.sum()).tolist() == pytest.approx([0.5, 0.5])
    for untaught in (boots, replace(boots, photo_attention=0 * NORTH)):
        np.testing.assert_allclose(fuse(untaught, Fusion(learned)).vectors, fixed_.vectors, atol=1e-6)


def test_views_that_cancel_out_give_nothing_rather_than_nan() -> None:
    fused = fuse(one([EAST], [-EAST]), Fusion(FIXED, gamma=0.5))
    assert np.isfinite(fused.vectors).all()
    assert np.isfinite(fused.photo_weights).all()


def test_a_listing_without_any_view_is_a_zero_vector() -> None:
    assert fuse(one([], []), Fusion()).vectors.tolist() == [[0.0, 0.0, 0.0]]


# Many ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marginals", [FIXED, AGREEMENT])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_blocks_of_listings_give_what_all_at_once_give(
    marginals: Marginals, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = embeddings_of([3, 0, 1, 5, 2, 0, 4], [1, 2, 0, 3, 1, 0, 2], np.random.default_rng(0))
    whole = fuse(of, Fusion(marginals))
    monkeypatch.setattr("wares.encoders.fusion.LISTINGS_PER_BLOCK", block)
    blocks = fuse(of, Fusion(marginals))
    for name in ("vectors", "photo_weights", "text_weights"):
        np.testing.assert_allclose(getattr(blocks, name), getattr(whole, name), atol=1e-6)
    assert blocks.vectors.shape == (7, 6)


def test_a_listing_is_fused_alike_alone_and_among_others() -> None:
    of = embeddings_of([3, 0, 2], [1, 2, 4], np.random.default_rng(1))
    photos, texts = views_of(of, 2)
    alone = Embeddings(of.photo_views.select(np.array([2])), photos, of.text_views.select(np.array([2])), texts)
    np.testing.assert_allclose(fuse(alone, Fusion()).vectors[0], fuse(of, Fusion()).vectors[2], atol=1e-6)


def test_a_catalogue_without_photos_is_fused_from_texts() -> None:
    of = embeddings_of([0, 0], [1, 3], np.random.default_rng(2))
    fused = fuse(of, Fusion(gamma=0.9))
    np.testing.assert_allclose(fused.vectors[0], of.texts[0], atol=1e-6)
    assert fused.photo_weights.shape == (0,)


def test_barycentres_are_means_within_one_modality() -> None:
    of = one([EAST, NORTH], [UP])
    mean, weights = barycentres(of, Marginals("fixed", alpha=0.25), "photo")
    np.testing.assert_allclose(mean[0], [0.25, 0.75, 0], atol=1e-6)
    assert weights.tolist() == [0.25, 0.75]
    mean, weights = barycentres(of, FIXED, "text")
    assert (mean[0].tolist(), weights.tolist()) == ([0.0, 0.0, 1.0], [1.0])


def test_photos_that_share_no_space_with_the_texts_weigh_nothing() -> None:
    """The photos of towers that nothing has trained are noise: they must not move the texts."""
    of = embeddings_of([3, 0, 2], [1, 2, 0], np.random.default_rng(1))
    texts_alone = fuse(of, Fusion(gamma=0.0))
    untrained = fuse(replace(of, aligned=False), Fusion(gamma=0.5))
    assert untrained.vectors[:2].tolist() == texts_alone.vectors[:2].tolist()
    assert not untrained.photo_weights.any()
    assert not untrained.vectors[2].any(), "a listing of photos alone"
