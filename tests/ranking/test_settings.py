"""Settings of ranker training."""

from __future__ import annotations

import pytest

from wares.core.errors import SettingsError
from wares.ranking.settings import RankerTrainingSettings


def test_settings_out_of_range() -> None:
    with pytest.raises(SettingsError, match="epochs must be 1 or more, not 0"):
        RankerTrainingSettings(epochs=0)
    with pytest.raises(SettingsError, match="no ranking loss 'hinge'"):
        RankerTrainingSettings(loss="hinge")  # type: ignore[arg-type]
