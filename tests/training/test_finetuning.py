"""Fine-tuning: what a batch holds, what is no negative, the loss by hand, and what is learned."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from wares.core.errors import ModelError, SettingsError
from wares.data.catalogue import read_catalogue
from wares.data.interactions import Interaction, Interactions
from wares.data.listings import Catalogue, Listing
from wares.data.writers import write_listings
from wares.encoders.features import CatalogueFeatures, catalogue_features, embed_features, embed_texts
from wares.encoders.fusion import fuse
from wares.encoders.registry import build_towers, load_towers
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import Towers
from wares.training.datasets import ListingDraw
from wares.training.finetuning import (
    InteractionDataset,
    build_interaction_dataset,
    finetune,
    fuse_batch,
    interaction_loss,
    mine_hard_negatives,
)
from wares.training.settings import FinetuneSettings, TrainerSettings

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "grey": (120, 120, 120)}
THINGS = ("cup", "hat", "rug", "bag", "pen")
SHORT = FinetuneSettings(batch_size=10, epochs=20, learning_rate=3e-3, hard_negative_ranks=(0, 8))
FROZEN = TrainerSettings(num_workers=0, checkpoint_steps=10)
Shop = tuple[Catalogue, CatalogueFeatures, Towers]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty listings, a thing in a colour each; the colour is in the photos alone."""
    folder = tmp_path_factory.mktemp("shop")
    listings = []
    for number, (thing, colour) in enumerate((thing, colour) for thing in THINGS for colour in COLOURS):
        names = tuple(f"{number}-{view}.png" for view in range(number % 3))
        for name in names:
            Image.new("RGB", (16, 16), COLOURS[colour]).save(folder / name)
        listings.append(Listing(f"l{number}", f"{thing} number {number}", f"a fine {thing}", (), names))
    write_listings(listings, folder / "listings.jsonl")
    return folder


@pytest.fixture
def shop(folder: Path) -> Shop:
    catalogue, towers = read_catalogue(folder), build_towers("small", seed=1)
    towers.aligned = True  # as if pretrained
    return catalogue, catalogue_features(catalogue, towers, folder / "cache"), towers


def clicked() -> Interactions:
    """ "gift 0" to "gift 4" lead to the listings of one thing each, words that no listing has."""
    rows = [
        Interaction(f"gift {place}", f"l{4 * place + turn}", "click", 1.0 + turn, 10.0 * turn + place)
        for turn in range(4)
        for place in range(5)
    ]
    return Interactions(tuple(rows))


def clicks(shop: Shop, settings: FinetuneSettings = SHORT) -> InteractionDataset:
    return build_interaction_dataset(*shop, clicked(), settings, FROZEN)


def test_a_batch_holds_a_query_its_listing_and_negatives(shop: Shop) -> None:
    data = clicks(shop)
    batch = data.__getitems__([ListingDraw(0, 0.0, 0.0, 5), ListingDraw(7, 0.0, 0.0, 6)])
    assert batch["query"].tolist() == [0, 2]
    assert batch["listing"].shape == (2, 3)
    assert batch["listing"][:, 0].tolist() == [0, 9]
    assert batch["weight"].tolist() == [1.0, 2.0]
    assert batch["photo_weights"].shape == batch["text_weights"].shape == (2, 3, 2)
    assert batch["duplicate_labels"].shape == (2, 3, 2)
    assert len(batch["photos"]["features"]) == int((batch["photo_weights"] > 0).sum())
    again = data.__getitems__([ListingDraw(7, 0.9, 0.9, 6)])
    assert torch.equal(again["listing"], batch["listing"][1:]), "negatives follow from the draw alone"


def test_negatives_of_a_query_differ_from_each_other(shop: Shop) -> None:
    """As many negatives as candidates are all candidates, and more there are not."""
    data = clicks(shop, replace(SHORT, hard_negatives=4, hard_negative_ranks=(0, 4)))
    for seed in range(10):
        batch = data.__getitems__([ListingDraw(0, 0.0, 0.0, seed)])
        assert sorted(batch["listing"][0, 1:].tolist()) == sorted(data.negative_candidates[0].tolist())
    few = clicks(shop, replace(SHORT, hard_negatives=9, hard_negative_ranks=(0, 4)))
    assert few.__getitems__([ListingDraw(0, 0.0, 0.0, 0)])["listing"].shape == (1, 5)


def test_popularity_is_the_share_of_the_interactions(shop: Shop) -> None:
    """Also of a listing chosen less often than listings are on average (Yi et al. have no such minimum)."""
    often = Interactions(
        (*[Interaction("gift", "l0", "click", 1.0, 0.0)] * 99, Interaction("gift", "l1", "click", 1, 0))
    )
    data = build_interaction_dataset(*shop, often, SHORT, FROZEN)
    assert data.log_popularity[:2].exp().tolist() == pytest.approx([0.99, 0.01])


def test_nothing_that_was_interacted_with_is_mined(shop: Shop) -> None:
    data = clicks(shop)
    for query, listings in enumerate(data.negative_candidates):
        assert not {4 * query + turn for turn in range(4)} & set(listings.tolist())


def test_mined_are_the_ranks_asked_for(shop: Shop) -> None:
    catalogue, features, towers = shop
    queries = ["cup number 0", "hat"]
    scores = embed_texts(queries, towers) @ fuse(embed_features(features, towers), towers.fusion).vectors.T
    order = np.argsort(-scores, axis=1, kind="stable")
    found = mine_hard_negatives(features, towers, queries, np.array([int(order[0, 0])]), (1, 5))
    assert found[0].tolist() == order[0, 2:6].tolist()
    assert found[1].tolist() == order[1, 1:5].tolist()
    assert mine_hard_negatives(features, towers, queries, np.zeros(0, dtype=np.int64), (10, 100)).shape == (2, 10)
    assert len(catalogue) == 20


@pytest.mark.parametrize("kind", ["fixed", "agreement"])
def test_all_views_of_a_batch_are_fused_as_the_shop_fuses_them(shop: Shop, kind: Any) -> None:
    """With every listing's views drawn, the estimate is the cached embedding; no listing here has more than two."""
    _, features, towers = shop
    fusion = Fusion(Marginals(kind, alpha=0.7, beta=0.6, epsilon=0.3), gamma=0.3)
    towers.fusion = fusion
    data = clicks(shop, replace(SHORT, hard_negatives=0))
    batch = data.__getitems__([ListingDraw(place, 0.0, 0.0, 0) for place in range(20)])
    embeddings = embed_features(features, towers)
    encoded = encode(batch, towers)
    expected = fuse(embeddings, fusion).vectors[data.interactions[:, 1]]
    torch.testing.assert_close(fuse_batch(encoded, fusion), torch.from_numpy(expected), atol=1e-5, rtol=1e-4)


def encode(batch: dict[str, Any], towers: Towers) -> dict[str, Any]:
    from wares.encoders.listing_encoder import ListingEncoder

    with torch.no_grad():
        encoded: dict[str, Any] = ListingEncoder(towers)(batch)
    return encoded


def by_hand(clicks: InteractionDataset, encoded: dict[str, Any], fusion: Fusion, logq_correction: bool) -> float:
    """The loss, a listing at a time."""
    listings = normalize(fuse_batch(encoded, fusion), dim=1)
    rows, shown = encoded["listing"].shape
    flat = encoded["listing"].reshape(-1).tolist()
    total = weights = 0.0
    for row in range(rows):
        own, terms = row * shown, []
        chosen = {int(listing) for query, listing in clicks.interactions if query == int(encoded["query"][row])}
        for column, listing in enumerate(flat):
            share = float(clicks.log_popularity[listing]) if column % shown == 0 else float(clicks.log_popularity.min())
            score = float(encoded["queries"][row] @ listings[column]) * float(encoded["scale"])
            score -= share if logq_correction else 0.0
            if column == own:
                positive = score
            if column == own or (listing not in chosen and listing != flat[own]):
                terms.append(score)
        weight = float(encoded["weight"][row])
        total += weight * (math.log(sum(map(math.exp, terms))) - positive)
        weights += weight
    return total / weights


@pytest.mark.parametrize("temperature", [0.03, 0.9])
@pytest.mark.parametrize("logq_correction", [True, False])
def test_the_loss_by_hand(shop: Shop, logq_correction: bool, temperature: float) -> None:
    settings = FinetuneSettings(logq_correction=logq_correction, temperature=temperature)
    data = clicks(shop)
    towers = shop[2]
    encoded = encode(data.__getitems__([ListingDraw(place, 0.3, 0.7, place) for place in (0, 1, 5, 8, 13)]), towers)
    found = interaction_loss(towers.fusion, data, settings, encoded)
    encoded["scale"] = encoded["scale"] if temperature == 0.9 else 1 / temperature  # the lower temperature
    assert float(found) == pytest.approx(by_hand(data, encoded, towers.fusion, logq_correction), rel=1e-4)


def recall(shop: Shop, towers: Towers) -> float:
    """How many of the four best listings of a gift are those that were clicked."""
    vectors = fuse(embed_features(shop[1], towers), towers.fusion).vectors
    scores = embed_texts([f"gift {place}" for place in range(5)], towers) @ vectors.T
    best = np.argsort(-scores, axis=1)[:, :4]
    return float(np.mean(best // 4 == np.arange(5)[:, None]))


def test_queries_learn_what_no_listing_says(shop: Shop, tmp_path: Path) -> None:
    towers = shop[2]
    before = recall(shop, towers)
    record = finetune(*shop, clicked(), SHORT, FROZEN, tmp_path / "model")
    assert before < 0.5
    assert recall(shop, towers) > 0.9
    assert record.losses[-1] < record.losses[0]
    assert load_towers(tmp_path / "model").identity == towers.identity
    written = json.loads((tmp_path / "model" / "finetune.json").read_text())
    assert (written["settings"]["interactions"], written["settings"]["queries"]) == (20, 5)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "20 interactions" in card
    assert "No judgments were used" in card


def test_photos_may_be_left_alone(shop: Shop, tmp_path: Path) -> None:
    towers = shop[2]
    before = {name: value.clone() for name, value in towers.image.state_dict().items()}
    texts = {name: value.clone() for name, value in towers.text.state_dict().items()}
    finetune(*shop, clicked(), replace(SHORT, epochs=1, train_image_head=False), FROZEN, tmp_path / "model")
    assert all(torch.equal(value.cpu(), before[name]) for name, value in towers.image.state_dict().items())
    assert not all(torch.equal(value.cpu(), texts[name]) for name, value in towers.text.state_dict().items())
    assert all(parameter.requires_grad for parameter in towers.image.parameters())


class Killed(BaseException):
    """Stands for a kill."""


def finetune_until_killed(shop: Shop, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises Killed after 25 steps, some of which a checkpoint has."""
    calls: list[int] = []

    def until(*arguments: Any) -> Tensor:
        calls.append(1)
        if len(calls) > 25:
            raise Killed
        return interaction_loss(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("wares.training.finetuning.interaction_loss", until)
        finetune(*shop, clicked(), SHORT, FROZEN, out)


def test_a_killed_run_resumes_to_the_same_weights(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {name: value.clone() for name, value in shop[2].state_dict().items()}
    finetune(*shop, clicked(), SHORT, FROZEN, tmp_path / "whole")
    whole = {name: value.clone() for name, value in shop[2].state_dict().items()}
    shop[2].load_state_dict(state)
    with pytest.raises(Killed):
        finetune_until_killed(shop, tmp_path / "killed", monkeypatch)
    shop[2].load_state_dict(state)
    finetune(*shop, clicked(), SHORT, FROZEN, tmp_path / "killed", resume=True)
    assert all(torch.equal(value, whole[name]) for name, value in shop[2].state_dict().items())
    with pytest.raises(ModelError, match="no checkpoint"):
        finetune(*shop, clicked(), SHORT, FROZEN, tmp_path / "none", resume=True)


def test_a_run_is_not_resumed_with_other_photos(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {name: value.clone() for name, value in shop[2].state_dict().items()}
    with pytest.raises(Killed):
        finetune_until_killed(shop, tmp_path / "killed", monkeypatch)
    shop[2].load_state_dict(state)
    catalogue, features = shop[0], shop[1]
    photo, other = (catalogue.photo_path(features.photo_views.items[place]) for place in (0, -1))
    before = photo.read_bytes()
    photo.write_bytes(other.read_bytes())
    try:
        with pytest.raises(ModelError, match="other photos and texts"):
            finetune(*shop, clicked(), SHORT, FROZEN, tmp_path / "killed", resume=True)
    finally:
        photo.write_bytes(before)


@pytest.mark.parametrize(
    "bad",
    [
        {"batch_size": 1},
        {"epochs": 0},
        {"hard_negatives": -1},
        {"learning_rate": 0.0},
        {"temperature": 0.0},
        {"hard_negative_ranks": (5, 5)},
        {"hard_negative_ranks": (-1, 5)},
    ],
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        FinetuneSettings(**bad)


def test_one_interaction_is_too_few(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="too few"):
        finetune(*shop, Interactions(clicked().rows[:1]), SHORT, FROZEN, tmp_path)
