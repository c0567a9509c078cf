"""The card of a saved model: what it learned from, how, what came out, and how to use it.

It is the README.md of the model's folder, in the form that model hubs read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wares.encoders.towers import Towers


BUILT_IN_TOWERS = ("offline", "small")  # towers that are not the names of published models
_CARD = """---
{header}
---

# A model of listings, made with wares {wares}

It puts photos, texts and queries of a catalogue into one space of {dimension} dimensions. A listing is the
weighted mean of all its photos and texts: γ = {gamma} on photos against texts, marginals “{marginals}” within each.

## How to use it

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("PATH OR NAME", trust_remote_code=True)  # needs `pip install '{needs}'`
model.similarity(model.encode(["red leather boots"]), model.encode(["boots.jpg"]))
```

`trust_remote_code` is asked for because the module's class comes from wares, which must be installed; no code is
in this folder.{base} A shop of a catalogue, with search that says why:

```sh
wares index CATALOGUE --model PATH --out SHOP && wares search SHOP "red leather boots" --why
```

`SentenceTransformer(PATH, trust_remote_code=True).push_to_hub(NAME, local_model_path=PATH)` publishes this folder.

## What it learned from

{data}

## How it was trained

{training}

## What is known of its quality

{quality}
"""


def model_card(
    towers: Towers,
    record: Mapping[str, Any],
    wares_version: str,
    quality: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """The card as Markdown with a YAML header.

    record: of the run, as written beside the model; wares_version: the version
    quality: system → measure → mean, where somebody measured it; None says that nobody did
    """
    from huggingface_hub import ModelCardData

    base = [] if towers.name in BUILT_IN_TOWERS else towers.name.split("+")
    header = ModelCardData(
        library_name="sentence-transformers",
        tags=["wares", "sentence-transformers", "feature-extraction", "multimodal", "e-commerce"],
        pipeline_tag="sentence-similarity",
        base_model=base or None,
    )
    clicks = record["settings"].get("interactions")
    used = f"And {clicks:,} interactions of shoppers." if clicks else "No labels and no clicks."
    counts = [f"- {record[name]:,} {name}" for name in ("listings", "photos", "texts")]
    run = [f"- {name}: {value}" for name, value in _flat(record["settings"])]
    losses = record["losses"]
    done = f"- {record['steps']:,} steps in {record['seconds']:.0f} s; loss {losses[0]:.3f} → {losses[-1]:.3f}"
    return _CARD.format(
        header=header.to_yaml(),
        wares=wares_version,
        dimension=towers.dimension,
        gamma=f"{towers.fusion.gamma:g}",
        marginals=towers.fusion.marginals.kind,
        needs="wares[offline]" if towers.name == "offline" else "wares",
        base=f" The frozen parts are those of {', '.join(f'`{name}`' for name in base)}, which must be at hand."
        if base
        else "",
        data="\n".join(counts) + f"\n\n{used} No judgments were used.",
        training="\n".join([*run, done]),
        quality=_table(quality) if quality else "Nothing was measured when it was saved; see `wares evaluate`.",
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Settings and the settings within them, as (dotted name, value)."""
    rows: list[tuple[str, Any]] = []
    for name, value in settings.items():
        nested = isinstance(value, dict)
        rows += _flat(value, f"{prefix}{name}.") if nested else [(f"{prefix}{name}", value)]
    return rows


def _table(quality: Mapping[str, Mapping[str, float]]) -> str:
    measures = list(next(iter(quality.values())))
    lines = ["| system | " + " | ".join(measures) + " |", "|---|" + "---|" * len(measures)]
    lines += [
        f"| {name} | " + " | ".join(f"{values[measure]:.3f}" for measure in measures) + " |"
        for name, values in quality.items()
    ]
    return "\n".join(lines)
