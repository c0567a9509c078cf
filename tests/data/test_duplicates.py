"""Duplicates: groups by eye, and splits that keep groups whole."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wares.data.duplicates import (
    duplicate_groups,
    duplicate_labels,
    duplicate_mask,
    group_count,
    split_by_group,
)
from wares.data.listings import Listing

labels = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=60).map(
    lambda pairs: np.array(pairs, dtype=np.int64).reshape(-1, 2)
)
fractions = st.floats(0.05, 0.95)


def test_a_group_shares_products_or_titles_along_a_chain() -> None:
    listings = [
        Listing("1", "Red  Mug", product="mug"),
        Listing("2", "Another name", product="mug"),
        Listing("3", "Red mug"),
        Listing("4", " RED MUG ", product="other mug"),
        Listing("5", "mug"),
        Listing("6", "Bowl", product="other mug"),
    ]
    assert duplicate_groups(duplicate_labels(listings)).tolist() == [0, 0, 0, 0, 1, 0]
    assert duplicate_mask(duplicate_labels(listings))[0].tolist() == [True, True, True, True, False, False]


def test_nothing_has_no_groups() -> None:
    assert group_count(duplicate_labels([])) == 0
    assert [len(side) for side in split_by_group(duplicate_labels([]), 0.3, 0)] == [0, 0]


@given(labels)
def test_groups_are_the_transitive_closure_of_duplicates(labels: np.ndarray) -> None:
    reached = duplicate_mask(labels)
    for _ in range(len(labels)):
        reached = reached @ reached
    groups = duplicate_groups(labels)
    np.testing.assert_array_equal(groups[:, None] == groups, reached)
    assert list(dict.fromkeys(groups.tolist())) == list(range(group_count(labels)))


@given(labels, fractions, st.integers(0, 5))
def test_a_split_keeps_groups_whole(labels: np.ndarray, fraction: float, seed: int) -> None:
    training, held_out = split_by_group(labels, fraction, seed)
    assert sorted([*training, *held_out]) == list(range(len(labels)))
    for column in labels.T:
        assert not {*column[training]} & {*column[held_out]}
    if (groups := group_count(labels)) > 1:
        assert len(training) and len(held_out)
        assert group_count(labels[training]) + group_count(labels[held_out]) == groups
    again = split_by_group(labels, fraction, seed)
    np.testing.assert_array_equal(held_out, again[1])


@given(labels, fractions)
def test_the_held_out_fraction_is_near(labels: np.ndarray, fraction: float) -> None:
    """No group could still be added, or left out, to come nearer; half of the smallest group is the largest gap."""
    _, held_out = split_by_group(labels, fraction, 0)
    groups = duplicate_groups(labels)
    if group_count(labels) < 2:
        return
    target, sizes = min(round(fraction * len(labels)), len(labels) - 1), Counter(groups.tolist())
    outside = [size for group, size in sizes.items() if group not in set(groups[held_out].tolist())]
    gap = target - len(held_out)
    if len(outside) > 1:
        assert all(abs(gap - size) >= abs(gap) for size in outside) or len(held_out) == 0


@pytest.mark.parametrize("seed", range(3))
def test_single_listings_split_exactly(seed: int) -> None:
    labels = np.arange(100)[:, None].repeat(2, axis=1)
    training, held_out = split_by_group(labels, 0.3, seed)
    assert (len(training), len(held_out)) == (70, 30)
    assert held_out.tolist() != split_by_group(labels, 0.3, seed + 1)[1].tolist()


def test_colours_of_a_product_are_together() -> None:
    """Nine listings of each of 81 products, as in a catalogue of colours: a fifth is 16 products."""
    products = np.arange(729) // 9
    _, held_out = split_by_group(np.stack([products, np.arange(729)], axis=1), 0.2, seed=0)
    by_product: dict[int, int] = defaultdict(int)
    for index in held_out:
        by_product[int(products[index])] += 1
    assert set(by_product.values()) == {9}
    assert len(by_product) == 16
