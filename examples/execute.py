"""Run the notebooks of this folder and save their outputs, without progress bars.

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
WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"
CELL_TIMEOUT = 1800  # seconds


def execute(path: Path, folder: Path) -> NotebookNode:
    """Return a notebook after running all cells in `folder`. Raises CellExecutionError if a cell fails."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT, record_timing=False, resources={"metadata": {"path": folder}}
    )
    client.execute()
    return notebook


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Remove progress bars and standard error from the outputs, because they change with every run."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                output
                for output in cell.outputs
                if WIDGET_TYPE not in output.get("data", {}) and output.get("name") != "stderr"
            ]
    notebook.metadata.pop("widgets", None)
    return notebook


if __name__ == "__main__":
    for path in [Path(name) for name in sys.argv[1:]] or sorted(EXAMPLES.glob("*.ipynb")):
        with TemporaryDirectory() as work:
            nbformat.write(tidy(execute(path, Path(work))), path)
        print(path)
