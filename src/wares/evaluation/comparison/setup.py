"""What readers of a report need to reproduce a comparison: command, data, towers, machine and versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wares.evaluation.comparison.experiment import EncodedCatalogue, JudgedQueries
    from wares.training.settings import PretrainSettings

REPORTED_PACKAGES = (
    "wares",
    "torch",
    "numpy",
    "scipy",
    "transformers",
    "sentence-transformers",
    "lancedb",
    "ir_measures",
)


@dataclass(frozen=True)
class ExperimentSetup:
    """What readers of a report need to reproduce it.

    catalogue: its name; command: the command line; facts: name -> text, of data, towers and machine (`setup_facts`)
    methods: settings of each method
    """

    catalogue: str
    command: str
    facts: Mapping[str, str]
    methods: Sequence[PretrainSettings]


def setup_facts(corpus: EncodedCatalogue, judged: JudgedQueries | None, towers: str, seeds: int) -> dict[str, str]:
    """Return name -> text of the facts about data, towers and machine."""
    import torch

    features = corpus.features
    photos, texts = features.photo_views.counts, features.text_views.counts
    unreadable = len(corpus.catalogue.problems) + len(features.problems)
    facts = {
        "listings": f"{len(corpus.catalogue):,}",
        "photos": f"{photos.sum():,}; {photos.mean():.1f} per listing, maximum {photos.max()}",
        "texts": f"{texts.sum():,}; {texts.mean():.1f} per listing; {features.truncated_texts:,} truncated",
        "left out": f"{unreadable:,} unreadable rows and photos",
    }
    if judged is not None:
        facts["queries"] = f"{len(judged.queries):,} with {sum(map(len, judged.qrels.values())):,} judgments"
    return facts | {
        "towers": towers,
        "seeds": f"{seeds}: each draws its own split, weights, order and views",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads for training",
        "versions": ", ".join(
            [f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in REPORTED_PACKAGES)]
        ),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
