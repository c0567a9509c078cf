"""Run the notebooks of this folder anew, and keep what they show in them, without the bars.

python examples/execute.py [NOTEBOOK...]
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

EXAMPLES = Path(__file__).resolve().parent
BAR = "application/vnd.jupyter.widget-view+json"
LONGEST = 1800  # seconds of a cell


def execute(notebook: Path, folder: Path) -> NotebookNode:
    """A notebook with all of its cells run in `folder`. Raises CellExecutionError where one fails."""
    found: NotebookNode = nbformat.read(notebook, as_version=4)
    NotebookClient(found, timeout=LONGEST, record_timing=False, resources={"metadata": {"path": folder}}).execute()
    return found


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Without bars and what libraries say on standard error, which are of the moment."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                each for each in cell.outputs if BAR not in each.get("data", {}) and each.get("name") != "stderr"
            ]
    notebook.metadata.pop("widgets", None)
    return notebook


if __name__ == "__main__":
    for path in [Path(name) for name in sys.argv[1:]] or sorted(EXAMPLES.glob("*.ipynb")):
        with TemporaryDirectory() as work:
            nbformat.write(tidy(execute(path, Path(work))), path)
        print(path)
