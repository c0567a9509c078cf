"""Cross-view protocols by eye, on hand-vectors vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from wares.data.views import Views
from wares.encoders.features import Embeddings
from wares.encoders.fusion import barycentres
from wares.encoders.settings import Fusion, Marginals
from wares.evaluation.comparison.protocols import measure_cross_view_protocols
from wares.evaluation.comparison.results import (
    ProtocolValues,
)
from wares.evaluation.measures import DEFAULT_MEASURES

CROSS_VIEWS = ["title->photos", "description->photos", "photo->title", "photo->primary-photo"]
FIXED = Fusion(Marginals("fixed"))
E = np.eye(8, dtype=np.float32)


def embeddings(photos: list[list[Any]], texts: list[list[tuple[str, Any]]]) -> Embeddings:
    """Hand-vectors vectors. photos: by listing; texts: by listing, name and vector."""

    def table(names: list[list[str]]) -> Views:
        flat = [name for row in names for name in row]
        return Views(flat, flat, np.cumsum([0, *map(len, names)]))

    def stack(rows: list[list[Any]]) -> npt.NDArray[np.float32]:
        vectors = np.array([vector for row in rows for vector in row], dtype=np.float32).reshape(-1, E.shape[1])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

    names = [[f"{i}-{j}.jpg" for j in range(len(row))] for i, row in enumerate(photos)]
    return Embeddings(
        table(names),
        stack(photos),
        table([[name for name, _ in row] for row in texts]),
        stack([[vector for _, vector in row] for row in texts]),
    )


def aligned(*listings: int) -> tuple[list[list[Any]], list[list[tuple[str, Any]]]]:
    """Listings whose photos and texts all point the same way, each listing its own."""
    return [[E[i], E[i]] for i in listings], [[("title", E[i]), ("description", E[i])] for i in listings]


def reciprocal_rank_values(values: ProtocolValues) -> dict[str, list[float]]:
    return {protocol: list(measures["RR"].values()) for protocol, measures in values.items()}


@pytest.mark.parametrize("fusion", [FIXED, Fusion()])
def test_orthogonal_listings_have_perfect_values(fusion: Fusion) -> None:
    values = measure_cross_view_protocols(embeddings(*aligned(0, 1, 2)), np.arange(3), fusion)
    assert list(values) == CROSS_VIEWS
    for measures in values.values():
        assert list(measures) == list(DEFAULT_MEASURES)
        assert all(list(values.values()) == [1.0] * 3 for values in measures.values())


def test_swapped_photos_lower_every_score() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[0], photos[1] = photos[1], photos[0]
    values = reciprocal_rank_values(measure_cross_view_protocols(embeddings(photos, texts), np.arange(3), FIXED))
    # The correct photos now tie with the third listing's, which comes later in the order of candidates.
    assert values["title->photos"] == values["description->photos"] == values["photo->title"] == [0.5, 0.5, 1.0]
    assert values["photo->primary-photo"] == [1.0, 1.0, 1.0], "photos still agree with photos"


def test_a_primary_photo_of_other_goods_is_ranked_last() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[2][0] = E[0]
    values = reciprocal_rank_values(measure_cross_view_protocols(embeddings(photos, texts), np.arange(3), FIXED))
    assert values["photo->primary-photo"] == [1.0, 1.0, pytest.approx(1 / 3)], "no first photo is similar to its second"
    assert values["title->photos"] == [1.0, 1.0, 1.0], "half of its photos still match, and no others do"


def test_listings_of_one_product_are_relevant_to_each_other() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[0], photos[1] = photos[1], photos[0]
    values = measure_cross_view_protocols(embeddings(photos, texts), np.array([7, 7, 3]), FIXED)
    assert values["title->photos"]["RR"] == values["title->photos"]["R@10"] == {"3": 1.0, "7": 1.0}
    apart = measure_cross_view_protocols(embeddings(photos, texts), np.arange(3), FIXED)
    assert reciprocal_rank_values(apart)["title->photos"] == [0.5, 0.5, 1.0]


def test_marginals_weight_the_candidate_photos() -> None:
    """The second photo of each listing shows the goods of the other."""
    photos = [[E[0], E[1]], [E[1], E[0]]]
    texts = [[("title", E[0])], [("title", E[1])]]

    def ranks(alpha: float) -> list[float]:
        values = measure_cross_view_protocols(
            embeddings(photos, texts), np.arange(2), Fusion(Marginals("fixed", alpha=alpha))
        )
        return reciprocal_rank_values(values)["title->photos"]

    assert ranks(0.8) == [1.0, 1.0]
    assert ranks(0.2) == [0.5, 0.5]


def test_the_query_text_is_excluded_from_the_agreement() -> None:
    """The second photo of listing 0 is a size chart. Its title agrees with the first photo, its description with the
    chart. With the title as the query only the description weights the photos, so listing 1 comes first.
    """
    title, chart = E[0], E[1]
    near = title * 0.6 + E[2] * 0.8
    photos = [[title, chart], [near, near]]
    texts = [[("title", title), ("description", chart)], [("title", E[2]), ("description", E[2])]]
    vectors = embeddings(photos, texts)
    fusion = Fusion(Marginals("agreement", epsilon=0.1))
    assert (
        reciprocal_rank_values(measure_cross_view_protocols(vectors, np.arange(2), fusion))["title->photos"][0] == 0.5
    )
    only_title = embeddings(photos, [[("title", title), ("description", title)], texts[1]])
    assert (
        reciprocal_rank_values(measure_cross_view_protocols(only_title, np.arange(2), fusion))["title->photos"][0]
        == 1.0
    )
    including_query = barycentres(vectors, fusion.marginals, "photo")[0]
    including_query /= np.linalg.norm(including_query, axis=1, keepdims=True)
    assert float(including_query[0] @ title) > float(including_query[1] @ title), (
        "with the title included, listing 0 would come first"
    )


def test_without_other_texts_agreement_equals_fixed_marginals() -> None:
    photos = [[E[0], E[1]], [E[1], E[0]]]
    vectors = embeddings(photos, [[("title", E[0])], [("title", E[1])]])
    agreement = measure_cross_view_protocols(vectors, np.arange(2), Fusion(Marginals("agreement", alpha=0.2)))
    fixed = measure_cross_view_protocols(vectors, np.arange(2), Fusion(Marginals("fixed", alpha=0.2)))
    assert agreement == fixed
    assert reciprocal_rank_values(agreement)["title->photos"] == [0.5, 0.5]


def test_listings_with_few_photos_take_part_in_the_protocols_they_allow() -> None:
    photos: list[list[Any]] = [[E[0]], [], [E[2], E[2]]]
    texts = [[("title", E[0])], [("title", E[1]), ("description", E[1])], [("title", E[2]), ("tags", E[2])]]
    values = reciprocal_rank_values(measure_cross_view_protocols(embeddings(photos, texts), np.arange(3), FIXED))
    assert values == {"title->photos": [1.0, 1.0], "photo->title": [1.0], "photo->primary-photo": [1.0]}
    one = measure_cross_view_protocols(
        embeddings([[E[0]], [E[1]]], [[("title", E[0])], [("title", E[1])]]), np.arange(2), FIXED
    )
    assert list(one) == ["title->photos"]
    none = measure_cross_view_protocols(
        embeddings([[], []], [[("title", E[0])], [("title", E[1])]]), np.arange(2), FIXED
    )
    assert none == {}


def test_a_listing_has_the_same_weight_with_any_number_of_photos() -> None:
    """Listing 0 has one auxiliary photo, which finds its title; listing 1 has three, one of which does."""
    photos = [[E[0], E[0]], [E[1], E[1], E[0], E[0]]]
    texts = [[("title", E[0])], [("title", E[1])]]
    values = measure_cross_view_protocols(embeddings(photos, texts), np.arange(2), FIXED)["photo->title"]
    assert values["RR"] == {"0": 1.0, "1": pytest.approx((1 + 0.5 + 0.5) / 3)}


def test_a_group_has_the_same_weight_with_any_number_of_listings() -> None:
    """Listings 0 and 1 are one product: the photos of 0 find it, those of 1 find listing 2 first."""
    photos = [[E[0], E[0]], [E[2], E[2]], [E[2], E[2]]]
    texts = [[("title", E[0])], [("title", E[1])], [("title", E[2])]]
    values = measure_cross_view_protocols(embeddings(photos, texts), np.array([5, 5, 9]), FIXED)["photo->title"]
    assert values["RR"] == {"5": (1 + 0.5) / 2, "9": 1.0}
