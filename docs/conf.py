"""Settings of the documentation site. `make docs` builds it into site/.

The source folder is the root of the repository, so that a link in a document means the same here and in an editor.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent / "src")]

import wares  # noqa: E402

project = "wares"
release = version = wares.__version__
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "examples/*.ipynb",
]
exclude_patterns = [".*", "build", "demo", "dist", "site", "src", "tests", "docs/_ext", "docs/_templates"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_design",
    "sphinx_copybutton",
    "api_names",
    "api_pages",
    "command_pages",
    "mathml",
]

html_theme = "furo"
html_title = "wares"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["wares.css"]
html_theme_options = {  # the colours of the search page
    "light_css_variables": {"color-brand-primary": "#2f5d50", "color-brand-content": "#2f5d50"},
    "dark_css_variables": {"color-brand-primary": "#8fd0bb", "color-brand-content": "#8fd0bb"},
}
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]
html_copy_source = False
html_show_sphinx = html_show_copyright = False

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"

nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!wares\.).*"),  # other libraries' names: a build asks no network for their pages
    ("py:.*", r"wares(\.\w+)*\.([A-Z]|_\w+)"),  # type variables and private names have no entry
]
autodoc_default_options = {"members": True, "member-order": "bysource"}
add_module_names = False
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True


def add_title(app: Sphinx, document: str, source: list[str]) -> None:
    """Give a table that a benchmark writes its file's name as a title: pages need one."""
    if document.startswith("benchmarks/results/") and not source[0].startswith("#"):
        source[0] = f"# {document.rpartition('/')[2]}\n\n{source[0]}"


def move_notebook_output(app: Sphinx) -> None:
    """Keep the pictures of notebooks inside the output folder: MyST-NB writes them beside it."""
    environment: Any = app.env
    config = environment.mystnb_config
    environment.mystnb_config = config.copy(output_folder=str(app.doctreedir / "notebooks"))


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_title)
    app.connect("builder-inited", move_notebook_output, priority=600)  # after MyST-NB, which comes at 500
