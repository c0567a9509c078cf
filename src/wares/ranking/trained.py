"""A trained ranker as a shop stores it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wares.ranking.rankers.base import Ranker


@dataclass(frozen=True)
class TrainedRanker:
    """A ranker of a run. folder: of its weights; round: 0 where the run keeps the ranker as it was before training

    seed: of the run; run_folder: its folder
    """

    name: str
    round: int
    folder: Path
    seed: int
    run_folder: Path

    def __str__(self) -> str:
        return f"{self.name}, round {self.round}"

    @property
    def untrained(self) -> bool:
        """Whether the run found no round better than what there was."""
        return self.round == 0

    @property
    def ranker(self) -> Ranker:
        """Its settings. Raises SettingsError where there is no such ranker."""
        from wares.ranking.rankers.registry import get_ranker

        return get_ranker(self.name)

    @property
    def replaces_query_tower(self) -> bool:
        """Whether it takes the place of the query tower, and does not rerank."""
        return self.ranker.replaces_query_tower
