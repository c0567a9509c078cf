"""Towers around published models: a joint model (CLIP, SigLIP), or a vision model and a text model.

    build("google/siglip2-base-patch16-224")
    build("facebook/dinov2-small+sentence-transformers/all-MiniLM-L6-v2")

The backbones are frozen. The heads of a joint model start as the identity, because its two sides share a space; the
head of a separate vision model starts at random. Any name may be a folder on disk.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from wares.core.errors import ModelError, one_line
from wares.encoders.base import ImageTower, Inputs, LinearHead, TextTower, stack_photos
from wares.encoders.sentence import SentenceTower, load_sentence_model
from wares.encoders.towers import MIN_JOINT_TEMPERATURE, Towers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.photos import Fit


LOAD_ERRORS = (OSError, ValueError, RuntimeError, SafetensorError)  # what loaders raise for missing or broken models


class VisionTower(ImageTower):
    """The vision side of a transformers model, frozen, and a linear head.

    Photos are prepared as the model's image processor does: fitted to its size, cropped if it crops, and normalised.
    """

    def __init__(self, name: str, model: Any, dimension: int | None = None) -> None:
        super().__init__()
        from transformers import AutoImageProcessor

        processor = load_pretrained(AutoImageProcessor, name)
        crops = bool(getattr(processor, "do_center_crop", False))
        self.fit: Fit = "crop" if crops else "stretch"
        self.size = _side(name, processor.size)
        crop = _side(name, processor.crop_size) if crops else self.size
        if crop > self.size:
            raise ModelError(f"{name}: its image processor crops {crop} px of {self.size}. Correct its settings.")
        if not math.isclose(processor.rescale_factor, 1 / 255):
            raise ModelError(
                f"{name}: its image processor scales pixels by {processor.rescale_factor:g}; only 1/255 is supported. "
                "Use another model."
            )
        margin = (self.size - crop) // 2
        self._window = slice(margin, margin + crop)
        normalisation = f"mean {list(processor.image_mean)}, std {list(processor.image_std)}"
        self.key = f"{name}@{_revision(model)}, {self.size} px, {self.fit} {crop}, {normalisation}"
        self._model = [model.eval().requires_grad_(False)]  # in a list, so that no weight is a parameter of the tower
        self._mean, self._std = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
        width = _vision_width(model)
        self.head = LinearHead(width, dimension)

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        """(n, size, size, 3) uint8 pixels."""
        return {"photos": stack_photos(items)}

    def encode(self, inputs: Inputs) -> Tensor:
        """(n, width) features, pooled and projected by the model."""
        mean, std = self._mean.to(self.device), self._std.to(self.device)
        photos = inputs["photos"][:, self._window, self._window]
        pixels = (photos.float() / 255.0 - mean) / std
        model = self._model[0].to(self.device)
        read = getattr(model, "get_image_features", model)
        pooled: Tensor = read(pixel_values=pixels.permute(0, 3, 1, 2).contiguous()).pooler_output
        return pooled

    def trainable_backbone(self) -> nn.Module:
        return _submodules(self._model[0], "vis")

    def forward(self, features: Tensor) -> Tensor:
        vectors: Tensor = self.head(features)
        return vectors


def _side(name: str, frame: Any) -> int:
    """The side of a square, in pixels, in an image processor's settings. Raises ModelError if it is none."""
    height, width = frame.get("height"), frame.get("width")
    if frame.get("longest_edge") or height != width:
        raise ModelError(f"{name}: its image processor makes pictures that are not square. Use another model.")
    return int(height or frame["shortest_edge"])


class JointTextTower(TextTower):
    """The text side of a joint model, frozen, and a linear head that starts as the identity."""

    def __init__(self, name: str, model: Any) -> None:
        super().__init__()
        from transformers import AutoTokenizer

        self.key = f"{name}@{_revision(model)}, text"
        self._model = [model]
        self._tokenizer = load_pretrained(AutoTokenizer, name)
        # A copy: counting without truncation changes a tokenizer, even for other threads.
        self._counting_tokenizer = deepcopy(self._tokenizer)
        self._limit = int(model.config.text_config.max_position_embeddings)
        self.head = LinearHead(_text_width(model))

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        """Token ids and masks, padded to the model's length, as SigLIP was trained."""
        tokens = self._tokenizer(
            [str(item) for item in items],
            padding="max_length",
            truncation=True,
            max_length=self._limit,
            return_tensors="pt",
        )
        return {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}

    def encode(self, inputs: Inputs) -> Tensor:
        """(n, width) features, pooled and projected by the model."""
        pooled: Tensor = self._model[0].to(self.device).get_text_features(**inputs).pooler_output
        return pooled

    def trainable_backbone(self) -> nn.Module:
        return _submodules(self._model[0], "text")

    def truncation_mask(self, texts: Sequence[str]) -> list[bool]:
        if not texts:
            return []
        lengths = self._counting_tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [len(tokens) > self._limit for tokens in lengths]

    def forward(self, features: Tensor) -> Tensor:
        vectors: Tensor = self.head(features)
        return vectors


def build(name: str) -> Towers:
    """Build towers around one joint model, or VISION+TEXT. Raises ModelError if a model does not load or fit."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    if "+" in name:
        vision_name, text_name = name.split("+", 1)
        text = _build_sentence_tower(text_name)
        dimension = text.head.out_features
        image = VisionTower(vision_name, load_pretrained(AutoModel, vision_name), dimension)
        return Towers(name, image, text, dimension)
    model = load_pretrained(AutoModel, name)
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise ModelError(f"{name} is not a joint model of photos and texts. Name two models as VISION+TEXT.")
    joint_text = JointTextTower(name, model)
    return Towers(name, VisionTower(name, model), joint_text, joint_text.head.out_features, _temperature(model))


def _temperature(model: Any) -> float:
    """Temperature that a joint model was published with, at least `MIN_JOINT_TEMPERATURE`."""
    return max(MIN_JOINT_TEMPERATURE, math.exp(-float(model.logit_scale)))


def _build_sentence_tower(name: str) -> SentenceTower:
    try:
        model = load_sentence_model(name)
    except LOAD_ERRORS as error:
        raise _load_error(name, error) from None
    if not model.supports("text"):
        raise ModelError(f"{name} is not a text model. Name two models as VISION+TEXT, the text model last.")
    dimension = int(model.get_embedding_dimension() or 0)
    return SentenceTower(lambda: model, f"{name}@{_revision(model[0].auto_model)}, sentences", dimension)


def load_pretrained(loader: Any, name: str) -> Any:
    """Load a model, processor or tokenizer with a transformers class. Raises ModelError if it does not load."""
    try:
        return loader.from_pretrained(name)
    except LOAD_ERRORS as error:
        raise _load_error(name, error) from None


def _load_error(name: str, error: Exception) -> ModelError:
    return ModelError(
        f"cannot load model {name!r} from the hub or from disk ({one_line(error)}). "
        "Check the name, or use offline or small."
    )


def _submodules(model: Any, prefix: str) -> nn.Module:
    """The modules of a joint model whose names start with the prefix; a single model itself.

    prefix: "vis" (vision_model, visual_projection) or "text"
    """
    if not hasattr(model, "get_image_features"):
        return model  # type: ignore[no-any-return]
    return nn.ModuleDict({name: child for name, child in model.named_children() if name.startswith(prefix)})


def _revision(model: Any) -> str:
    """Commit of a model on the hub, or a digest of the weights of a model on disk."""
    commit = getattr(model.config, "_commit_hash", None)
    if commit:
        return str(commit)
    from hashlib import sha256

    digest = sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _vision_width(model: Any) -> int:
    vision = getattr(model.config, "vision_config", None)
    if vision is None:
        return int(model.config.hidden_size)
    return int(getattr(model.config, "projection_dim", None) or vision.hidden_size)


def _text_width(model: Any) -> int:
    text = model.config.text_config
    return int(
        getattr(model.config, "projection_dim", None) or getattr(text, "projection_size", None) or text.hidden_size
    )
