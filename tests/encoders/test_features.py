"""Encoding: what is computed once, what survives a kill, bad photos, and views against their listings."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import environment

from wares.core.cache import FeatureCache, default_cache
from wares.core.errors import PhotoError
from wares.data.catalogue import read_catalogue
from wares.data.listings import Catalogue, Listing
from wares.data.photos import load_photo
from wares.encoders.base import Features
from wares.encoders.features import CatalogueFeatures, catalogue_features, embed, embed_photo_files, embed_texts
from wares.encoders.registry import build_towers
from wares.encoders.small import DIMENSION, ConvolutionalTower, HashedTextTower
from wares.encoders.towers import Towers

LISTINGS = (
    Listing("boots", "Leather boots", "Sturdy", ("wool",), images=("a.png", "b.png", "c.png")),
    Listing("mug", "Coffee mug"),
    Listing("lamp", "Desk lamp", "Sturdy", images=("d.png",)),
    Listing("scarf", "Wool scarf", images=("e.png", "f.png")),
)


class CountedPhotos(ConvolutionalTower):
    """A tower that remembers how many photos it was given at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def features(self, items: Sequence[Any]) -> Features:
        self.seen.append(len(items))
        return super().features(items)


class CountedTexts(HashedTextTower):
    """A tower that remembers which texts it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def features(self, items: Sequence[Any]) -> Features:
        self.seen.extend(items)
        return super().features(items)


class Counted:
    """Small towers that count what they encode."""

    def __init__(self) -> None:
        self.image, self.text = CountedPhotos(), CountedTexts()
        self.towers = Towers("small", self.image, self.text, DIMENSION)

    def encode(self, catalogue: Catalogue, cache: Path, **options: Any) -> CatalogueFeatures:
        """Encode, counting from zero."""
        self.image.seen, self.text.seen = [], []
        return catalogue_features(catalogue, self.towers, cache, **options)

    @property
    def photos(self) -> int:
        return sum(self.image.seen)


def draw(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((40, 30)).save(path)
    return path


def shelf(folder: Path, listings: Sequence[Listing] = LISTINGS) -> Catalogue:
    """A catalogue in which every photo is another one."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(sorted({name for listing in listings for name in listing.images})):
        draw(folder / name, seed)
    return Catalogue(folder, tuple(listings), lines=tuple(range(1, len(listings) + 1)))


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return shelf(tmp_path / "goods")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def same(one: CatalogueFeatures, other: CatalogueFeatures) -> None:
    np.testing.assert_array_equal(one.photos, other.photos)
    np.testing.assert_array_equal(one.texts, other.texts)
    for a, b in ((one.photo_views, other.photo_views), (one.text_views, other.text_views)):
        assert (a.names, a.items, a.offsets.tolist()) == (b.names, b.items, b.offsets.tolist())
    np.testing.assert_array_equal(one.duplicate_labels.numpy(), other.duplicate_labels.numpy())


# What a row is ---------------------------------------------------------------------------------------------------


def test_every_row_is_its_own_view(catalogue: Catalogue, cache: Path) -> None:
    towers = build_towers("small")
    features = catalogue_features(catalogue, towers, cache)
    assert features.photo_views.items == ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]
    assert features.photo_views.counts.tolist() == [3, 0, 1, 2]
    assert features.text_views.names == ["title", "description", "tags", "title", "title", "description", "title"]
    for name, row in zip(features.photo_views.items, features.photos, strict=True):
        photo = load_photo(catalogue.photo_path(name), towers.image.size, towers.image.fit)
        np.testing.assert_array_equal(row, towers.image.features([photo])[0])
    for text, row in zip(features.text_views.items, features.texts, strict=True):
        np.testing.assert_array_equal(row, towers.text.features([text])[0])


def test_queries_are_embedded_as_the_catalogue_is(catalogue: Catalogue, cache: Path) -> None:
    towers = build_towers("small")
    embeddings = embed(catalogue, towers, cache)
    assert embeddings.photos.shape == (6, DIMENSION)
    assert np.linalg.norm(embeddings.photos[0] - embeddings.photos[1]) > 1e-3
    paths = [catalogue.photo_path(name) for name in embeddings.photo_views.items]
    np.testing.assert_allclose(embed_photo_files(paths, towers), embeddings.photos, atol=1e-6)
    np.testing.assert_allclose(embed_texts(embeddings.text_views.items, towers), embeddings.texts, atol=1e-6)
    assert embed_photo_files([], towers).shape == embed_texts([], towers).shape == (0, DIMENSION)


def test_more_views_than_a_batch_keep_their_order(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wares.encoders.features.PHOTO_BATCH_SIZE", 2)
    monkeypatch.setattr("wares.core.cache.FEATURES_PER_WRITE", 2)
    catalogue = shelf(tmp_path / "goods")
    batched = Counted()
    features = batched.encode(catalogue, cache)
    assert batched.image.seen == [2, 2, 2]
    monkeypatch.undo()
    same(features, Counted().encode(catalogue, tmp_path / "other"))


def test_listings_are_selected_with_their_views(catalogue: Catalogue, cache: Path) -> None:
    towers = build_towers("small")
    features = catalogue_features(catalogue, towers, cache)
    for listings in ([2, 0], [1], [3, 3, 1, 0], [], [0, 1, 2, 3]):
        part = features.select(np.asarray(listings, dtype=np.int64))
        expected = catalogue_features(catalogue.subset(listings), towers, cache)
        assert part.photos.shape[0] == expected.photos.shape[0]
        assert part.photo_views.items == expected.photo_views.items
        assert part.photo_views.counts.tolist() == expected.photo_views.counts.tolist()
        assert part.text_views.items == expected.text_views.items
        if listings:
            np.testing.assert_array_equal(part.texts, expected.texts)
            np.testing.assert_array_equal(part.duplicate_labels.numpy(), features.duplicate_labels.numpy()[listings])
        if len(part.photos):
            np.testing.assert_array_equal(part.photos, expected.photos)


def test_a_catalogue_without_photos_is_embedded_by_its_texts(tmp_path: Path, cache: Path) -> None:
    counted = Counted()
    catalogue = shelf(tmp_path / "goods", [Listing("a", "Mug"), Listing("b", "Lamp", "For a desk")])
    features = counted.encode(catalogue, cache)
    assert len(features.photos) == counted.photos == 0
    assert features.photo_views.offsets.tolist() == [0, 0, 0]
    embeddings = embed(catalogue, counted.towers, cache)
    assert embeddings.photos.shape == (0, DIMENSION)
    assert embeddings.texts.shape == (3, DIMENSION)


def test_texts_that_are_cut_are_counted(tmp_path: Path, cache: Path) -> None:
    """A text that many listings share counts once."""
    long = "word " * 600
    catalogue = shelf(tmp_path, [Listing("a", "Mug", long), Listing("b", "Lamp", long), Listing("c", f"{long} end")])
    assert Counted().encode(catalogue, cache).truncated_texts == 2


# Once ------------------------------------------------------------------------------------------------------------


def test_a_second_run_encodes_nothing(catalogue: Catalogue, cache: Path) -> None:
    first = Counted()
    features = first.encode(catalogue, cache)
    assert first.photos == 6
    assert sorted(first.text.seen) == ["Coffee mug", "Desk lamp", "Leather boots", "Sturdy", "Wool scarf", "wool"]
    second = Counted()
    same(second.encode(catalogue, cache), features)
    assert second.photos == 0
    assert second.text.seen == []


def test_only_what_is_new_is_encoded(catalogue: Catalogue, cache: Path) -> None:
    counted = Counted()
    before = counted.encode(catalogue, cache)
    draw(catalogue.photo_path("b.png"), 99)  # the same name, another photo
    draw(catalogue.photo_path("new.png"), 100)
    listings = (*catalogue.listings, Listing("cap", "Wool scarf", "Warm", images=("new.png", "a.png")))
    after = counted.encode(Catalogue(catalogue.folder, listings), cache)
    assert counted.photos == 2
    assert counted.text.seen == ["Warm"]
    assert not np.array_equal(after.photos[1], before.photos[1])
    np.testing.assert_array_equal(after.photos[[0, 2, 3, 4, 5, 7]], before.photos[[0, 2, 3, 4, 5, 0]])


def test_the_same_photo_is_encoded_once_whatever_it_is_called(tmp_path: Path, cache: Path) -> None:
    listings = [Listing("a", "Mug", images=("1.png", "2.png")), Listing("b", "Mug", images=("2.png", "3.png"))]
    catalogue = shelf(tmp_path / "goods", listings)
    (catalogue.folder / "3.png").write_bytes((catalogue.folder / "1.png").read_bytes())
    counted = Counted()
    features = counted.encode(catalogue, cache)
    assert counted.photos == 2
    assert counted.text.seen == ["Mug"]
    np.testing.assert_array_equal(features.photos[0], features.photos[3])
    np.testing.assert_array_equal(features.photos[1], features.photos[2])
    assert not np.array_equal(features.photos[0], features.photos[1])


def test_each_tower_has_a_cache_of_its_own(catalogue: Catalogue, cache: Path) -> None:
    one, other = Counted(), Counted()
    other.image.key += ", other"
    one.encode(catalogue, cache)
    other.encode(catalogue, cache)
    assert other.photos == 6
    assert other.text.seen == []
    one.encode(catalogue, cache)
    other.encode(catalogue, cache)
    assert one.photos == other.photos == 0


def test_the_cache_is_where_the_environment_says(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WARES_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == tmp_path / "xdg" / "wares"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / ".cache" / "wares"
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "mine"))
    catalogue_features(catalogue, build_towers("small"))
    assert len(list((tmp_path / "mine").glob("*.sqlite"))) == 3, "features of photos and of texts, and digests"


# Bad photos ------------------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(catalogue: Catalogue) -> Catalogue:
    """b.png is missing, d.png (of the third listing) is text, and e.png is cut short."""
    catalogue.photo_path("b.png").unlink()
    catalogue.photo_path("d.png").write_text("not a photo")
    whole = catalogue.photo_path("e.png").read_bytes()
    catalogue.photo_path("e.png").write_bytes(whole[: len(whole) // 2])
    return catalogue


def test_a_bad_photo_stops_with_one_line(damaged: Catalogue, cache: Path) -> None:
    with pytest.raises(PhotoError) as caught:
        Counted().encode(damaged, cache)
    message = str(caught.value)
    assert message.startswith("listings.jsonl, line 1: b.png does not exist.")
    assert message.endswith("--on-error skip.")
    assert "\n" not in message


def test_bad_photos_are_left_out_and_listed(damaged: Catalogue, cache: Path) -> None:
    counted = Counted()
    features = counted.encode(damaged, cache, on_error="skip")
    assert [(problem.line, problem.message.split()[0]) for problem in features.problems] == [
        (1, "b.png"),
        (3, "d.png"),
        (4, "e.png"),
    ]
    assert features.photo_views.items == ["a.png", "c.png", "f.png"]
    assert features.photo_views.counts.tolist() == [2, 0, 0, 1]
    for name, row in zip(features.photo_views.items, features.photos, strict=True):
        np.testing.assert_array_equal(row, load_photo(damaged.photo_path(name), 64, "pad"))
    assert len(features.texts) == 7
    again = counted.encode(damaged, cache, on_error="skip")
    assert counted.photos == 0
    assert again.problems == features.problems


def test_a_bad_photo_that_two_listings_share_is_listed_twice(tmp_path: Path, cache: Path) -> None:
    listings = [Listing("a", "Mug", images=("1.png",)), Listing("b", "Cup", images=("2.png", "1.png"))]
    catalogue = shelf(tmp_path / "goods", listings)
    catalogue.photo_path("1.png").write_text("not a photo")
    features = Counted().encode(catalogue, cache, on_error="skip")
    assert [problem.line for problem in features.problems] == [1, 2]
    assert features.photo_views.counts.tolist() == [0, 1]


def test_a_restored_photo_is_encoded(damaged: Catalogue, cache: Path) -> None:
    counted = Counted()
    counted.encode(damaged, cache, on_error="skip")
    draw(damaged.photo_path("d.png"), 3)
    assert counted.encode(damaged, cache, on_error="skip").photo_views.counts.tolist() == [2, 0, 1, 1]
    assert counted.photos == 1


def test_a_photo_to_search_with_must_be_one(damaged: Catalogue) -> None:
    with pytest.raises(PhotoError, match=r"d\.png is not a photo"):
        embed_photo_files([damaged.photo_path(name) for name in ("a.png", "d.png")], build_towers("small"))


# Killed, and shared ----------------------------------------------------------------------------------------------

WORKER = """
import sys, time
from pathlib import Path
from wares.core import cache as cache_module; from wares.encoders import features as encode
from wares.data.catalogue import read_catalogue
from wares.encoders.registry import build_towers

goods, cache, stop_after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
cache_module.FEATURES_PER_WRITE = encode.PHOTO_BATCH_SIZE = 4
towers = build_towers("small")
small = type(towers.image)

class Slow(small):
    batches = 0

    def features(self, items):
        if self.batches == stop_after:
            (cache / "stopped").touch()
            time.sleep(600)
        self.batches += 1
        time.sleep(0.02)
        return super().features(items)

towers.image.__class__ = Slow
features = encode.catalogue_features(read_catalogue(goods), towers, cache)
print(int(features.photos.astype("int64").sum()), towers.image.batches)
"""


def worker(goods: Path, cache: Path, stop_after: int = -1) -> subprocess.Popen[str]:
    """Another process that encodes four photos at a time, and stops for good after so many batches."""
    command = [sys.executable, "-c", WORKER, str(goods), str(cache), str(stop_after)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


@pytest.fixture
def many(tmp_path: Path) -> Catalogue:
    """Ten listings of two photos, in a file."""
    names = [[f"{i}-a.png", f"{i}-b.png"] for i in range(10)]
    shelf(tmp_path / "goods", [Listing(f"{i}", f"Mug {i}", images=tuple(pair)) for i, pair in enumerate(names)])
    rows = [f'{{"id": {i}, "title": "Mug {i}", "images": {pair}}}'.replace("'", '"') for i, pair in enumerate(names)]
    (tmp_path / "goods" / "listings.jsonl").write_text("\n".join(rows))
    return read_catalogue(tmp_path / "goods")


def test_a_kill_loses_no_batch_that_was_done(many: Catalogue, tmp_path: Path, cache: Path) -> None:
    with worker(many.folder, cache, stop_after=2) as process:
        deadline = time.monotonic() + 60
        while not (cache / "stopped").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    counted = Counted()
    features = counted.encode(many, cache)
    assert counted.photos == 20 - 2 * 4
    assert counted.text.seen == []
    same(features, Counted().encode(many, tmp_path / "fresh"))


def test_two_processes_share_a_cache(many: Catalogue, cache: Path) -> None:
    workers = [worker(many.folder, cache) for _ in range(2)]
    outputs = [process.communicate(timeout=100)[0].split() for process in workers]
    assert [process.returncode for process in workers] == [0, 0]
    counted = Counted()
    expected = int(counted.encode(many, cache).photos.astype(np.int64).sum())
    assert [int(total) for total, _ in outputs] == [expected, expected]
    assert counted.photos == 0


def test_a_slow_tower_does_not_keep_others_from_writing(cache: Path) -> None:
    """No transaction is open while a tower computes, however long it takes."""
    row = np.ones(3, dtype=np.float16)
    with closing(FeatureCache(cache, "tower")) as store, closing(sqlite3.connect(file_of(cache), timeout=0.1)) as other:

        def compute(places: list[int]) -> Iterator[Features]:
            for place in places:
                other.execute("INSERT OR REPLACE INTO features VALUES (?, 'x', '1', '')", (f"other {place}",))
                other.commit()
                yield row

        features, bad = store.get_or_compute([str(i) for i in range(150)], compute)
    assert features.shape == (150, 3)
    assert bad == {}


def file_of(cache: Path) -> Path:
    (path,) = cache.glob("*.sqlite")
    return path


def test_a_tower_that_returns_too_few_rows_is_found_out(cache: Path) -> None:
    with closing(FeatureCache(cache, "tower")) as store, pytest.raises(ValueError, match="shorter"):
        store.get_or_compute(["a", "b"], lambda places: [np.zeros(2, dtype=np.float16)])
