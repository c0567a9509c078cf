"""The card of a model: a header that hubs read, and what is true of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from tiny_models import named

from wares.encoders.model_card import model_card
from wares.encoders.registry import build_towers

RECORD: dict[str, Any] = {
    "listings": 1200,
    "photos": 3000,
    "texts": 2400,
    "settings": {"method": "factorized", "fusion": {"gamma": 0.5}},
    "steps": 10,
    "seconds": 3.2,
    "losses": [2.0, 1.5],
}


def test_the_header_is_read_and_the_run_is_told() -> None:
    card = ModelCard(model_card(build_towers("small"), RECORD, "0.1.0"))
    header = card.data.to_dict()
    assert header["library_name"] == "sentence-transformers"
    assert "base_model" not in header
    for said in (
        "1,200 listings",
        "method: factorized",
        "fusion.gamma: 0.5",
        "2.000 → 1.500",
        "No labels",
        "wares index",
    ):
        assert said in card.text
    assert "was not measured" in card.text


def test_what_was_measured_and_what_is_needed_is_said(shelf: Path) -> None:
    name = named("pair", shelf)
    quality = {"before": {"nDCG@10": 0.25}, "after": {"nDCG@10": 0.5}}
    record = RECORD | {"settings": {"interactions": 5000}}
    card = ModelCard(model_card(build_towers(name), record, "0.1.0", quality))
    assert card.data.to_dict()["base_model"] == name.split("+")
    assert "| after | 0.500 |" in card.text
    assert "5,000 interactions" in card.text
    assert name.split("+")[0] in card.text
