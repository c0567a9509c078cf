"""Settings of a run: values out of range, and names of folders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wares.core.errors import SettingsError
from wares.supervision.settings import SuperviseSettings, folder_name


def test_long_folder_names_are_cut_and_stay_distinct() -> None:
    long = [f"run(file='{'a' * 300}{end}')" for end in "12"]
    names = {folder_name(name) for name in long}
    assert len(names) == 2
    assert all(len(name.encode()) < 100 for name in names)
    assert folder_name("dense(backbone='last-2')") == "dense_backbone=_last-2"


def test_repeated_names_and_equal_folder_names_are_refused(settings: SuperviseSettings) -> None:
    for twice in (("bm25", "bm25()"), ("bm25", "rm3", "bm25(k1=1.2)")):
        with pytest.raises(SettingsError, match="name the same part twice"):
            replace(settings, labelers=twice)
    with pytest.raises(SettingsError, match="need the same folder name"):
        replace(settings, labelers=("run(file='m/a')", "run(file='m_a')"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strategy": "boost"}, "no strategy 'boost'; there are weak, self, cross, joint, greedy"),
        ({"strategy": "cross", "rankers": ("static",)}, "needs two rankers"),
        ({"labelers": ()}, "needs labelers and rankers"),
        ({"rankers": ("static", "static")}, "name the same part twice"),
        ({"rankers": ("tree",)}, "no ranker 'tree'"),
        ({"rounds": 0}, "rounds must be at least 1, not 0"),
        ({"temperature": 0.0}, "temperature of labels must be above 0"),
        ({"query_predictor": "luck"}, "luck"),
        ({"query_weighting": "luck"}, "luck"),
        ({"start": "hot"}, "must be fresh or warm"),
        ({"stop_overlap": 98.0}, r"in \[0, 1\], not 98.0"),
    ],
)
def test_settings_out_of_range_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SuperviseSettings(**changed)
