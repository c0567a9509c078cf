"""Trained backbones: what training reaches, adapters, and that a trained model comes back as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import named
from torch import Tensor

from wares.core.errors import ModelError, PhotoError, SettingsError
from wares.encoders.backbones import merge_adapters, unfreeze_backbone
from wares.encoders.base import Tower
from wares.encoders.features import embed_texts, project_features
from wares.encoders.registry import build_towers, load_towers
from wares.encoders.towers import Towers

HOWS = ("all", "last-1", "lora")
SIDES = ("image", "text")
TEXTS = ["red leather boots", "mug"]


def photos(size: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    return [np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8) for seed in range(2)]


def vectors(towers: Towers, side: str) -> Tensor:
    """Two items through the whole tower."""
    tower: Tower = getattr(towers, side)
    inputs = tower.preprocess(photos(towers.image.size) if side == "image" else TEXTS)
    encoded: Tensor = tower(tower.encode(inputs))
    return encoded


@pytest.fixture(params=["clip", "siglip", "pair", "offline"])
def towers(request: pytest.FixtureRequest, shelf: Path) -> Towers:
    return build_towers(named(request.param, shelf))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", ["all", "last-1"])
def test_every_weight_that_is_trained_has_a_gradient_and_a_step_changes_the_vectors(
    towers: Towers, side: str, how: str
) -> None:
    tower: Tower = getattr(towers, side)
    unfreeze_backbone(tower, how)
    before = vectors(towers, side)
    assert tower.trained_backbone is not None
    reached = [parameter for parameter in tower.trained_backbone.parameters() if parameter.requires_grad]
    assert reached
    before[0].dot(torch.randn(towers.dimension)).backward()
    assert all(parameter.grad is not None for parameter in reached)
    with torch.no_grad():
        for parameter in reached:
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert not torch.allclose(vectors(towers, side), before)


def test_the_last_block_is_fewer_weights_than_all_and_no_embedding_of_tokens(towers: Towers) -> None:
    for side in SIDES:
        tower: Tower = getattr(towers, side)
        unfreeze_backbone(tower, "all")
        everything = {name for name, parameter in tower.named_parameters() if parameter.requires_grad}
        unfreeze_backbone(tower, "last-1")
        last = {name for name, parameter in tower.named_parameters() if parameter.requires_grad}
        assert last < everything
        assert not [name for name in last if "embedding" in name]
        assert [name for name in last if name.startswith("head.")]


@pytest.mark.parametrize("family", ["clip", "siglip", "pair"])
@pytest.mark.parametrize("side", SIDES)
def test_adapters_start_as_nothing_and_merge_into_the_weights(family: str, side: str, shelf: Path) -> None:
    towers = build_towers(named(family, shelf))
    tower: Tower = getattr(towers, side)
    plain = vectors(towers, side).detach()
    names = set(tower.trainable_backbone().state_dict())  # type: ignore[union-attr]
    unfreeze_backbone(tower, "lora")
    torch.testing.assert_close(vectors(towers, side), plain)
    adapters = [p for name, p in tower.named_parameters() if "lora_" in name and p.requires_grad]
    assert len(adapters) >= 16
    assert not [n for n, p in tower.named_parameters() if p.requires_grad and "lora_" not in n and "head." not in n]
    with torch.no_grad():
        for parameter in adapters:
            parameter.add_(0.05 * torch.randn_like(parameter))
    changed = vectors(towers, side).detach()
    assert not torch.allclose(changed, plain, atol=1e-3)
    merge_adapters(tower)
    torch.testing.assert_close(vectors(towers, side), changed, atol=1e-5, rtol=1e-4)
    assert tower.trained_backbone is not None
    assert set(tower.trained_backbone.state_dict()) == names


@pytest.mark.parametrize("how", HOWS)
def test_a_trained_model_comes_back_as_it_was(how: str, shelf: Path, tmp_path: Path) -> None:
    towers = build_towers(named("clip", shelf))
    frozen = towers.image.cache_key
    for side in SIDES:
        unfreeze_backbone(getattr(towers, side), how)
    with torch.no_grad():
        for parameter in towers.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    for side in SIDES:
        merge_adapters(getattr(towers, side))
    towers.save(tmp_path)
    again = load_towers(tmp_path)
    assert again.identity == towers.identity
    assert again.image.cache_key == towers.image.cache_key != frozen
    for side in SIDES:
        torch.testing.assert_close(vectors(again, side), vectors(towers, side))
    pixels = photos(towers.image.size)
    np.testing.assert_allclose(
        project_features(again.image, again.image.features(pixels), again.dimension),
        vectors(towers, "image").detach().numpy(),
        atol=3e-3,
    )
    assert not [parameter for parameter in again.image.trained_backbone.parameters() if parameter.requires_grad]  # type: ignore[union-attr]


def test_one_side_can_be_trained_alone(shelf: Path, tmp_path: Path) -> None:
    towers = build_towers(named("siglip", shelf))
    unfreeze_backbone(towers.text, "all")
    assert towers.image.trained_backbone is None
    assert towers.image.cache_key == towers.image.key
    towers.save(tmp_path)
    assert load_towers(tmp_path).image.trained_backbone is None


def test_saved_towers_load_as_a_sentence_transformer(shelf: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    towers = build_towers(named("clip", shelf), seed=3)
    towers.save(tmp_path / "model")
    model = SentenceTransformer(str(tmp_path / "model"), trust_remote_code=True)
    np.testing.assert_allclose(model.encode(TEXTS), embed_texts(TEXTS, towers), atol=3e-3)
    array = photos(towers.image.size)[0]
    expected = project_features(towers.image, towers.image.features([array]), towers.dimension)
    Image.fromarray(array).save(tmp_path / "photo.png")
    photo = Image.fromarray(array)
    for variant in ([photo], [str(tmp_path / "photo.png")], [tmp_path / "photo.png"], [{"image": photo}]):
        np.testing.assert_allclose(model.encode(variant), expected, atol=3e-3)
    mixed = model.encode([TEXTS[0], photo, {"text": TEXTS[1]}, {"image": str(tmp_path / "photo.png")}])
    texts = embed_texts(TEXTS, towers)
    np.testing.assert_allclose(mixed, [texts[0], expected[0], texts[1], expected[0]], atol=3e-3)
    np.testing.assert_allclose(
        model.encode("see boots map.jpg"), embed_texts(["see boots map.jpg"], towers)[0], atol=3e-3
    )
    for other in (("boots", "mug"), {"text": "boots", "image": photo}, {"role": "user", "content": "boots"}, 3):
        with pytest.raises(ModelError, match="encodes texts and photos, not"):
            model.encode([other])
    with pytest.raises(PhotoError):
        model.encode([tmp_path / "none.png"])
    assert model.get_embedding_dimension() == towers.dimension
    model.save_pretrained(str(tmp_path / "again"))
    again = SentenceTransformer(str(tmp_path / "again"), trust_remote_code=True)
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))
    assert load_towers(tmp_path / "again").identity == towers.identity


@pytest.mark.parametrize("how", ["last-0", "some", "Lora", "last"])
def test_unknown_ways_are_refused(how: str, shelf: Path) -> None:
    with pytest.raises(SettingsError, match="last-N"):
        unfreeze_backbone(build_towers("small").image, how)


def test_what_cannot_be_trained_says_so(shelf: Path) -> None:
    with pytest.raises(SettingsError, match="always trained completely"):
        unfreeze_backbone(build_towers("small").text, "all")
    with pytest.raises(SettingsError, match="2 blocks"):
        unfreeze_backbone(build_towers(named("clip", shelf)).text, "last-3")
    with pytest.raises(SettingsError, match="no linear layers"):
        unfreeze_backbone(build_towers("offline").image, "lora")


def test_frozen_changes_nothing(shelf: Path) -> None:
    towers = build_towers(named("clip", shelf))
    unfreeze_backbone(towers.image, "frozen")
    assert towers.image.trained_backbone is None
