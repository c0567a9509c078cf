"""Towers as a module of sentence-transformers, for its trainer and for `SentenceTransformer(path)`.

One forward of one module encodes all views of a batch, and the module owns the temperature, so distributed training,
checkpoints and resuming work as for any other module.

    model = SentenceTransformer("model", trust_remote_code=True)  # with wares installed
    model.encode(["red leather boots", Image.open("boots.jpg")])  # a text and a photo, in one space
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from sentence_transformers.base.modules import InputModule
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from wares.core.errors import ModelError
from wares.data.photos import decode_photo, load_photo
from wares.encoders.base import Inputs, Tower
from wares.encoders.registry import load_towers
from wares.encoders.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Sequence


Batch = dict[str, Any]


class ListingEncoder(InputModule):
    """An image tower and a text tower with one forward.

    mini_batch_size: None keeps the activations of every view until the backward pass. A number encodes that many views
        at once and computes them again in the backward pass: the gradients are the same, and memory does not grow
        with the batch (gradient caching, arXiv 2101.06983)
    """

    def __init__(self, towers: Towers, mini_batch_size: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.towers = towers
        self.mini_batch_size = mini_batch_size

    @property
    def modalities(self) -> list[Any]:
        """Texts and photos; "message" is the name of a batch that has both."""
        return ["text", "image", "message"]

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_: Any) -> Batch:
        """Inputs of `forward` for texts and photos.

        inputs: texts; photos as PIL images, Path objects or paths of existing files; or {"text": ...}, {"image": ...}
        prompt: put before each text

        Raises ModelError for other inputs, PhotoError for a photo that cannot be read.
        """
        items = [_text_or_photo(item) for item in inputs]
        texts = [(prompt or "") + item for item in items if isinstance(item, str)]
        image = self.towers.image
        photos = [
            decode_photo(item, image.size, image.fit)
            if isinstance(item, Image.Image)
            else load_photo(item, image.size, image.fit)
            for item in items
            if not isinstance(item, str)
        ]
        batch: Batch = {"is_text": torch.tensor([isinstance(item, str) for item in items])}
        return (
            batch
            | ({"texts": self.towers.text.preprocess(texts)} if texts else {})
            | ({"photos": image.preprocess(photos)} if photos else {})
        )

    def forward(self, features: Batch, **_: Any) -> Batch:
        """Encode the photos, texts and queries of a batch.

        photos, texts, queries: inputs of the towers, or features of a frozen backbone as "features"
        photo_weights, text_weights: (..., V) marginals; photos and texts are the views of positive weight, row by row

        Returns the batch of `preprocess` with "sentence_embedding" (n, d), in the order of its inputs; any other batch
        with "photos" and "texts" as (..., V, d), "queries" as (Q, d), and the towers' "scale" and "photo_attention".
        """
        if "photo_weights" not in features:
            is_text = features["is_text"]
            vectors = torch.empty(len(is_text), self.towers.dimension, device=is_text.device)
            for side, rows in (("texts", is_text), ("photos", ~is_text)):
                if side in features:
                    # sentence-transformers moves only the tensors at the top of a batch.
                    inputs = {name: value.to(is_text.device) for name, value in features[side].items()}
                    vectors[rows] = self._encode(side, inputs)
            return features | {"sentence_embedding": vectors}
        encoded = {
            f"{side}s": self._encode_views(f"{side}s", features[f"{side}s"], features[f"{side}_weights"])
            for side in ("photo", "text")
        }
        if "queries" in features:
            encoded["queries"] = self._encode("queries", features["queries"])
        return features | encoded | {"scale": self.towers.scale, "photo_attention": self.towers.photo_attention}

    def _encode_views(self, side: str, inputs: Inputs, weights: Tensor) -> Tensor:
        """(..., V, d) vectors of the views, zeros without a view."""
        present = weights > 0
        vectors = torch.zeros(*present.shape, self.towers.dimension, device=weights.device)
        if present.any():
            vectors[present] = self._encode(side, inputs)
            return vectors
        # Distributed training needs every weight in every step, even in a batch without such views.
        zeros = [parameter.sum() for parameter in self._tower(side).parameters() if parameter.requires_grad]
        return vectors + 0.0 * sum(zeros, start=torch.zeros((), device=weights.device))

    def _encode(self, side: str, inputs: Inputs) -> Tensor:
        """(n, d) float32 unit vectors, whatever the precision of the tower."""
        tower = self._tower(side)
        count = len(next(iter(inputs.values())))
        if self.mini_batch_size is None or "features" in inputs or not torch.is_grad_enabled():
            return _run_tower(tower, inputs)
        starts = range(0, count, self.mini_batch_size)
        parts = [{name: value[i : i + self.mini_batch_size] for name, value in inputs.items()} for i in starts]
        return torch.cat([checkpoint(_run_tower, tower, part, use_reentrant=False) for part in parts])

    def _tower(self, side: str) -> Tower:
        return self.towers.image if side == "photos" else self.towers.text

    def get_embedding_dimension(self) -> int:
        return self.towers.dimension

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        self.towers.save(Path(output_path))

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **_: Any,
    ) -> ListingEncoder:
        """Load a model from a folder or by its hub name. Raises ModelError."""
        folder = cls.load_dir_path(model_name_or_path, subfolder, token, cache_folder, revision, local_files_only)
        if folder is None:
            raise ModelError(f"cannot find model {model_name_or_path!r} on the hub or on disk. Check the name.")
        return cls(load_towers(folder).eval())


def _text_or_photo(item: Any) -> str | Path | Image.Image:
    """A text as str; a photo, which a path of an existing image file is, too, as Path or image."""
    if isinstance(item, dict) and len(item) == 1:
        kind, value = next(iter(item.items()))
        if kind == "text" and isinstance(value, str):
            return value
        if kind == "image":
            return Path(value) if isinstance(value, str) else _text_or_photo(value)
    if isinstance(item, str):
        is_photo = Path(item).suffix.lower() in Image.registered_extensions() and os.path.isfile(item)
        return Path(item) if is_photo else item
    if isinstance(item, Path | Image.Image):
        return item
    raise ModelError(
        f"this model encodes texts and photos, not {type(item).__name__}. Pass a text, a PIL image or a photo's path."
    )


def _run_tower(tower: Tower, inputs: Inputs) -> Tensor:
    features = inputs["features"] if "features" in inputs else tower.encode(inputs)
    vectors: Tensor = tower(features)
    return vectors.float()
