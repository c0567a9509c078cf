"""Every kind in kinds.toml can be drawn in every shape, and photographed in use."""

from __future__ import annotations

import pytest

from wares.samples.kinds import KINDS
from wares.samples.photography.scenes import SCENES
from wares.samples.shapes.registry import SHAPES


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_a_scene_and_shapes_that_differ(name: str) -> None:
    assert KINDS[name].scene in SCENES
    drawings = {shape: SHAPES[name](shape, lambda value: value) for shape in KINDS[name].shapes}
    outlines = {tuple(layer.points.tobytes() for layer in layers) for layers in drawings.values()}
    assert len(outlines) == len(drawings), "two shapes look the same"
