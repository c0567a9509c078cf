"""A trained ranker of a supervision run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wares.ranking.rankers.base import Ranker


@dataclass(frozen=True)
class TrainedRanker:
    """A ranker that a run trained.

    name: its spec; round: whose weights these are, 0 for the untrained ranker
    folder: of the weights; seed, run_folder: of the run
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
        """Whether the run found no round better than the untrained ranker."""
        return self.round == 0

    @property
    def ranker(self) -> Ranker:
        """Its settings. Raises SettingsError if the name is not a ranker's."""
        from wares.ranking.rankers.registry import get_ranker

        return get_ranker(self.name)

    @property
    def replaces_query_tower(self) -> bool:
        """Whether it replaces a shop's query tower instead of reranking."""
        return self.ranker.replaces_query_tower
