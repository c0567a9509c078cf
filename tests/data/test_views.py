"""Views and their sampling: the ragged table, cases by eye, and unbiasedness of the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wares.core.errors import SettingsError
from wares.data.listings import Catalogue, Listing
from wares.data.views import listing_texts, photo_views, text_views, with_joint_text
from wares.encoders.marginals import all_views
from wares.encoders.settings import Marginals
from wares.training.view_sampling import primary_view_only, sample_one_view, sample_primary_and_auxiliary

LISTINGS = (
    Listing("a", "red boots", description="worn once", tags=("leather", "39"), images=("a1.jpg", "a2.jpg")),
    Listing("b", "mug"),
    Listing("c", "lamp", texts={"care": "wipe dry"}, images=("c1.jpg",)),
)


def counts_of(*counts: int) -> torch.Tensor:
    return torch.tensor(counts)


def catalogue(tmp_path: object) -> Catalogue:
    return Catalogue(tmp_path, LISTINGS, (), "listings.jsonl")  # type: ignore[arg-type]


def test_a_table_lists_views_primary_first_and_knows_their_owners(tmp_path: object) -> None:
    texts, photos = text_views(catalogue(tmp_path)), photo_views(catalogue(tmp_path))
    assert texts.names == ["title", "description", "tags", "title", "title", "care"]
    assert texts.items[:3] == ["red boots", "worn once", "leather, 39"]
    assert texts.counts.tolist() == [3, 1, 2]
    assert photos.items == ["a1.jpg", "a2.jpg", "c1.jpg"]
    assert photos.offsets.tolist() == [0, 2, 2, 3]
    assert photos.owners.tolist() == [0, 0, 2]


def test_dropping_views_keeps_every_listing(tmp_path: object) -> None:
    photos = photo_views(catalogue(tmp_path)).filter(np.array([False, True, False]))
    assert photos.items == ["a2.jpg"]
    assert photos.offsets.tolist() == [0, 1, 1, 1]


def test_fixed_marginal_by_eye() -> None:
    chosen = all_views(counts_of(4, 1, 0), primary_weight=0.4)
    expected = torch.tensor([[0.4, 0.2, 0.2, 0.2], [1.0, 0, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(chosen.weights, expected)


def test_single_view_and_random_view_choose_one() -> None:
    assert primary_view_only(counts_of(3, 0)).weights.tolist() == [[1.0], [0.0]]
    drawn = [sample_one_view(counts_of(3), torch.tensor([s / 60])).indices.item() for s in range(60)]
    assert set(drawn) == {0, 1, 2}


def test_joint_text_is_one_photo_and_one_text() -> None:
    listings = (
        Listing("a", "Mug", "For tea.", ("blue", "clay"), ("1.jpg", "2.jpg"), texts={"care": "By hand."}),
        Listing("b", "Lamp", price=3.0, product="p"),
    )
    joint = with_joint_text(Catalogue(Path("shop"), listings))
    assert [listing_texts(listing) for listing in joint.listings] == [
        [("title", "Mug\nFor tea.\nblue, clay\nBy hand.")],
        [("title", "Lamp")],
    ]
    assert [listing.images for listing in joint.listings] == [("1.jpg",), ()]
    assert joint.listings[1] == listings[1]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 2**31))
def test_weights_sum_to_one_and_places_exist(counts: list[int], primary: float, seed: int) -> None:
    number = torch.tensor(counts)
    draws = torch.rand(len(counts), generator=torch.Generator().manual_seed(seed))
    for chosen in (
        all_views(number, primary),
        sample_primary_and_auxiliary(number, primary, draws),
        primary_view_only(number),
        sample_one_view(number, draws),
    ):
        torch.testing.assert_close(chosen.weights.sum(1), (number > 0).float())
        assert (
            chosen.indices[chosen.weights > 0] < number[:, None].expand_as(chosen.indices)[chosen.weights > 0]
        ).all()


def test_the_sample_never_needs_more_than_two_views() -> None:
    assert sample_primary_and_auxiliary(counts_of(2, 16, 300), 0.5, torch.rand(3)).indices.shape == (3, 2)


def test_the_weighted_sample_is_an_unbiased_estimate_of_the_barycentre() -> None:
    views = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    everything = all_views(counts_of(5), 0.4).weights[0] @ views
    draws = torch.rand(40_000, generator=torch.Generator().manual_seed(2))
    chosen = sample_primary_and_auxiliary(torch.full((40_000,), 5), 0.4, draws)
    estimates = torch.einsum("bv,bvd->bd", chosen.weights, views[chosen.indices])
    error = estimates.std(0) / np.sqrt(len(estimates))
    assert ((estimates.mean(0) - everything).abs() < 5 * error).all()
    assert (estimates.std(0) > 0.1).any(), "the sample must actually vary"


def test_an_auxiliary_view_is_drawn_uniformly() -> None:
    draws = torch.rand(30_000, generator=torch.Generator().manual_seed(0))
    places = sample_primary_and_auxiliary(torch.full((30_000,), 4), 0.5, draws).indices[:, 1]
    frequencies = torch.bincount(places, minlength=4) / len(places)
    torch.testing.assert_close(frequencies, torch.tensor([0.0, 1 / 3, 1 / 3, 1 / 3]), atol=0.015, rtol=0)


@pytest.mark.parametrize("bad", [{"alpha": 1.2}, {"beta": -0.1}, {"epsilon": 0.0}, {"kind": "learnt"}])
def test_marginals_out_of_range_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        Marginals(**bad)  # type: ignore[arg-type]
