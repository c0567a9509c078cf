"""The families of towers by name, as `build_towers` builds them and `wares list towers` prints them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from wares.encoders.towers import Towers


@dataclass(frozen=True)
class OfflineTowers:
    """EfficientNet-Lite0 and MiniLM from Python packages, frozen, each with a linear head."""

    requires: ClassVar[str] = "the offline extra"
    source: ClassVar[str] = "arXiv 1905.11946, arXiv 2002.10957"

    def build(self) -> Towers:
        from wares.encoders import offline

        return offline.build()


@dataclass(frozen=True)
class SmallTowers:
    """A small convolutional network and hashed words, trained from scratch."""

    requires: ClassVar[str] = ""
    source: ClassVar[str] = ""

    def build(self) -> Towers:
        from wares.encoders import small

        return small.build()


@dataclass(frozen=True)
class HubTowers:
    """A joint model (CLIP, SigLIP), or VISION+TEXT for two models, frozen, each with a linear head."""

    requires: ClassVar[str] = "the model, on the hub or in a folder"
    source: ClassVar[str] = "arXiv 2103.00020, arXiv 2303.15343"

    name: str

    def build(self) -> Towers:
        from wares.encoders import hub

        return hub.build(self.name)


BUILT_IN_TOWERS: dict[str, type[OfflineTowers] | type[SmallTowers]] = {"offline": OfflineTowers, "small": SmallTowers}
TOWERS: dict[str, type] = {**BUILT_IN_TOWERS, "MODEL": HubTowers}  # any other name is the name of a model
