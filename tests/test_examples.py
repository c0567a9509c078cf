"""The notebooks: all of their cells run, one after another, in an empty folder, and show something where they did."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from execute import EXAMPLES, execute, tidy
from wares.core.progress import DISABLE_BARS_VARIABLE

NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(notebook: Path, tmp_path: Path) -> None:
    found = [tidy(each).cells for each in (execute(notebook, tmp_path), nbformat.read(notebook, as_version=4))]
    ran, kept = ([bool(cell.get("outputs")) for cell in cells] for cells in found)
    assert ran == kept and any(kept)


def test_jobs_draw_bars_in_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DISABLE_BARS_VARIABLE, raising=False)
    said = "print(progress(range(3), 'counting').container.layout.width)"
    cell = new_code_cell(f"from wares.core.progress import progress\n{said}")
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "bar.ipynb")
    [ran] = execute(tmp_path / "bar.ipynb", tmp_path).cells
    assert ran.outputs[0].text == "100%\n"
