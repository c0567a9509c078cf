"""Tiny published models with random weights: CLIP, SigLIP, a DINOv2 beside a BERT sentence encoder, a cross-encoder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

WORDS = ["red", "leather", "boots", "blue", "wool", "scarf", "mug", "for", "winter"]
TRANSFORMER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
LIMIT = 12  # tokens that the tiny text models read


def tokenizer(masked: bool = True) -> Any:
    """A word is a token, between a start and an end."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate(["<pad>", "<unk>", "<s>", *WORDS, "</s>"])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    plain.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(word, vocabulary[word]) for word in ("<s>", "</s>")]
    )
    names = ["input_ids", "attention_mask"] if masked else ["input_ids"]
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        model_max_length=LIMIT,
        model_input_names=names,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
    )


VOCABULARY: dict[str, Any] = {
    "vocab_size": len(WORDS) + 4,
    "bos_token_id": 2,
    "eos_token_id": len(WORDS) + 3,
    "pad_token_id": 0,
}


def save_model(model: Any, folder: Path) -> None:
    """With weights large enough that photos and texts differ in more than the last digits."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)


def save_clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    text = {**TRANSFORMER, **VOCABULARY, "max_position_embeddings": LIMIT}
    vision = {**TRANSFORMER, "image_size": 32, "patch_size": 8}
    save_model(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)), folder)
    tokenizer().save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)


def save_siglip(folder: Path) -> None:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    text = {**TRANSFORMER, **VOCABULARY, "max_position_embeddings": LIMIT}
    vision = {**TRANSFORMER, "image_size": 32, "patch_size": 8}
    save_model(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)), folder)
    tokenizer(masked=False).save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def save_vision(folder: Path) -> None:
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    save_model(Dinov2Model(Dinov2Config(**sizes, image_size=28, patch_size=14)), folder)
    # Like DINOv2's own, it crops less than it fits.
    BitImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 28, "width": 28}).save_pretrained(folder)


def save_sentences(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    bert = folder.with_name(f"{folder.name}-bert")
    save_model(BertModel(BertConfig(**TRANSFORMER, **VOCABULARY, max_position_embeddings=20)), bert)
    tokenizer().save_pretrained(bert)
    words = Transformer(str(bert), max_seq_length=LIMIT)
    SentenceTransformer(modules=[words, Pooling(TRANSFORMER["hidden_size"])]).save(str(folder))
    shutil.rmtree(bert)


def save_cross_encoder(folder: Path, outputs: int = 1) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(**TRANSFORMER, **VOCABULARY, max_position_embeddings=20)
    config.num_labels = outputs
    save_model(BertForSequenceClassification(config), folder)
    tokenizer().save_pretrained(folder)


SAVERS: dict[str, Callable[[Path], None]] = {
    "clip": save_clip,
    "siglip": save_siglip,
    "vision": save_vision,
    "text": save_sentences,
    "cross-encoder": save_cross_encoder,
}


def save_all(folder: Path) -> None:
    """Every tiny model, each in a folder of its name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, save in SAVERS.items():
            save(folder / name)


def named(family: str, shelf: Path) -> str:
    """What `build_towers` is told for a family."""
    names = {"clip": f"{shelf}/clip", "siglip": f"{shelf}/siglip", "pair": f"{shelf}/vision+{shelf}/text"}
    return names.get(family, family)
