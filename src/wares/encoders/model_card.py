"""The model card: training data, settings, quality and use of a saved model.

It is the README.md in the folder of the model, in the format that model hubs read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wares.encoders.families import BUILT_IN_TOWERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wares.encoders.towers import Towers


_CARD = """---
{header}
---

# A model of listings, trained with wares {wares}

It embeds the photos, texts and queries of a catalogue in one space of {dimension} dimensions. A listing is the
weighted mean of all its photos and texts: photos have the weight γ = {gamma} against texts. Marginals are “{marginals}”
within each modality: the first photo weighs α = {alpha} and the title β = {beta} against one other view, so .5 gives
equal shares. The temperature is τ = {temperature}, at least {min_temperature}.

## How to use it

```python
from PIL import Image
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("PATH OR NAME", trust_remote_code=True)  # needs `pip install '{needs}'`
model.similarity(model.encode(["red leather boots"]), model.encode([Image.open("boots.jpg")]))
```

The class of the module is in wares, which must be installed; that is why `trust_remote_code` is needed. This folder
contains no code.{base} Build a shop from a catalogue, and search it with explanations:

```sh
wares index CATALOGUE --model PATH --out SHOP && wares search SHOP "red leather boots" --why
```

`SentenceTransformer(PATH, trust_remote_code=True).push_to_hub(NAME, local_model_path=PATH)` publishes this folder.

## Training data

{data}

## Training

{training}

## Quality

{quality}
"""


def model_card(
    towers: Towers,
    record: Mapping[str, Any],
    wares_version: str,
    quality: Mapping[str, Mapping[str, float]] | None = None,
    selections: Sequence[str] = (),
) -> str:
    """The model card as Markdown with a YAML header.

    record: training record, as saved with the model
    wares_version: version of wares that trained the model
    quality: system → measure → mean; None if the model was not measured
    selections: what was selected without labels, and by what, a sentence each
    """
    from huggingface_hub import ModelCardData

    marginals = towers.fusion.marginals
    base = [] if towers.name in BUILT_IN_TOWERS else towers.name.split("+")
    header = ModelCardData(
        library_name="sentence-transformers",
        tags=["wares", "sentence-transformers", "feature-extraction", "multimodal", "e-commerce"],
        pipeline_tag="sentence-similarity",
        base_model=base or None,
    )
    clicks = record["settings"].get("interactions")
    labels = f"- {clicks:,} interactions of shoppers" if clicks else "No labels and no clicks were used."
    counts = [f"- {record[name]:,} {name}" for name in ("listings", "photos", "texts")]
    settings = [f"- {name}: {value}" for name, value in _flatten(record["settings"])]
    losses = record["losses"]
    result = f"- {record['steps']:,} steps in {record['seconds']:.0f} s; loss {losses[0]:.3f} → {losses[-1]:.3f}"
    return _CARD.format(
        header=header.to_yaml(),
        wares=wares_version,
        dimension=towers.dimension,
        gamma=f"{towers.fusion.gamma:g}",
        marginals=marginals.kind,
        alpha=f"{marginals.alpha:g}",
        beta=f"{marginals.beta:g}",
        temperature=f"{1 / float(towers.scale.detach()):.2g}",
        min_temperature=f"{towers.min_temperature:g}",
        needs="wares[offline]" if towers.name == "offline" else "wares",
        base=f" Its frozen parts are in {', '.join(f'`{name}`' for name in base)}, which must be available."
        if base
        else "",
        data="\n".join(counts) + (f"\n{labels}\n\n" if clicks else f"\n\n{labels} ") + "No judgments were used.",
        training="\n".join([*settings, *(f"- {selection}" for selection in selections), result]),
        quality=_table(quality) if quality else "The model was not measured when it was saved; see `wares evaluate`.",
    )


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Settings and nested settings as (dotted name, value)."""
    rows: list[tuple[str, Any]] = []
    for name, value in settings.items():
        nested = isinstance(value, dict)
        rows += _flatten(value, f"{prefix}{name}.") if nested else [(f"{prefix}{name}", value)]
    return rows


def _table(quality: Mapping[str, Mapping[str, float]]) -> str:
    measures = list(next(iter(quality.values())))
    lines = ["| system | " + " | ".join(measures) + " |", "|---|" + "---|" * len(measures)]
    lines += [
        f"| {name} | " + " | ".join(f"{values[measure]:.3f}" for measure in measures) + " |"
        for name, values in quality.items()
    ]
    return "\n".join(lines)
