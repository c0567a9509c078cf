"""Settings of training a ranker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from wares.core.errors import SettingsError

RankingLossName = Literal["listwise-kl", "ranknet", "margin-mse", "lambda"]
RANKING_LOSS_NAMES: tuple[RankingLossName, ...] = get_args(RankingLossName)


@dataclass(frozen=True)
class RankerTrainingSettings:
    """How a ranker is trained, whatever its architecture."""

    loss: RankingLossName = "listwise-kl"
    """Ranking loss between a ranker's scores and the soft labels of its teachers."""

    epochs: int = 3
    """Passes over the queries, 1 or more."""

    def __post_init__(self) -> None:
        check_ranking_loss(self.loss)
        if self.epochs < 1:
            raise SettingsError(f"epochs must be 1 or more, not {self.epochs}.")


def check_ranking_loss(name: str) -> None:
    """Raise SettingsError if there is no ranking loss of this name."""
    if name not in RANKING_LOSS_NAMES:
        raise SettingsError(f"no ranking loss {name!r}; there are {', '.join(RANKING_LOSS_NAMES)}.")
