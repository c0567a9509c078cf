"""Build the site: the documents of this folder as pages, and the API reference beside them.

python docs/build.py site
"""

from __future__ import annotations

import pkgutil
import re
import shutil
import sys
from pathlib import Path

import markdown2
import pdoc

import wares

DOCS = Path(__file__).resolve().parent
PAGES = {
    "index": DOCS / "index.md",
    "method": DOCS / "method.md",
    "training": DOCS / "training.md",
    "supervision": DOCS / "supervision.md",
    "serving": DOCS / "serving.md",
    "scale": DOCS / "scale.md",
    "capacity": DOCS / "capacity.md",
    "cluster": DOCS / "cluster.md",
    "figures": DOCS / "figures.md",
    "formats": DOCS / "formats.md",
    "log": DOCS / "log.md",
    "changelog": DOCS.parent / "CHANGELOG.md",
    "contributing": DOCS.parent / "CONTRIBUTING.md",
}
EXTRAS = ["tables", "fenced-code-blocks", "header-ids", "latex", "strike"]

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wares: {name}</title>
<style>
body {{ font: 17px/1.6 Georgia, serif; color: #222; max-width: 46rem; margin: 2rem auto; padding: 0 1.2rem }}
nav, h1, h2, h3, th {{ font-family: system-ui, sans-serif; line-height: 1.25 }}
nav {{ font-size: 15px; border-bottom: 1px solid #ddd; padding-bottom: .6rem }}
nav a {{ margin-right: 1rem }} nav [aria-current] {{ color: inherit; text-decoration: none; font-weight: 600 }}
a {{ color: #0072b2 }} h2 {{ margin-top: 2.2rem }}
table {{ border-collapse: collapse; font-size: 15px }} td, th {{ padding: .35rem .7rem; border-bottom: 1px solid #ddd;
text-align: left; vertical-align: top }}
img {{ max-width: 100% }}
code, pre {{ font: 14px/1.5 ui-monospace, monospace; background: #f5f5f2 }} code {{ padding: .1rem .25rem }}
pre {{ padding: .8rem 1rem; overflow-x: auto }} pre code {{ padding: 0 }}
math[display=block] {{ margin: 1.1rem 0; overflow-x: auto }}
</style>
<nav>{links}<a href="api/wares.html">API</a></nav>
<main>
{body}
</main>
</html>
"""


def page(name: str, source: Path) -> str:
    """One document as a page; links between documents become links between pages."""
    text = source.read_text("utf-8").replace("](../examples/", "](examples/")
    text = re.sub(r"\]\((?:docs/)?(\w+)\.md\)", lambda link: f"]({link[1].lower()}.html)", text)
    current = {name: ' aria-current="page"'}
    links = "".join(f'<a href="{other}.html"{current.get(other, "")}>{other}</a>' for other in PAGES)
    return PAGE.format(name=name, links=links, body=markdown2.markdown(text, extras=EXTRAS))


def build(site: Path) -> None:
    """Write every page and the API reference into a folder, which is made if need be."""
    site.mkdir(parents=True, exist_ok=True)
    shutil.copytree(DOCS / "images", site / "images", dirs_exist_ok=True)
    shutil.copytree(DOCS.parent / "examples", site / "examples", dirs_exist_ok=True)
    for name, source in PAGES.items():
        (site / f"{name}.html").write_text(page(name, source), encoding="utf-8")
    pdoc.render.configure(docformat="markdown", footer_text="wares")
    rooms = [f"wares.{room.name}" for room in pkgutil.iter_modules(wares.__path__)]
    pdoc.pdoc("wares", *rooms, output_directory=site / "api")


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
