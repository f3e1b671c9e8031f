"""MathJax 3 beside the pages, so that formulas are typeset without a network.

The files come from the installed Python package django-static-mathjax and are copied into the site when it is built;
``mathjax_path`` in ``_config.yml`` must be ``mathjax/tex-mml-chtml.js``.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.typing import ExtensionMetadata

PARTS = ("tex-mml-chtml.js", "input/tex/extensions", "output/chtml/fonts")
"""What a page can ask for: the program, the TeX extensions it loads on demand, and the fonts."""


def mathjax_folder() -> Path:
    """Return MathJax's ``es5`` folder inside the installed package.

    Raises:
        ExtensionError: if the package is missing or laid out differently.
    """
    spec = find_spec("mathjax")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place, "static", "mathjax", "es5")
        if all((folder / part).exists() for part in PARTS):
            return folder
    raise ExtensionError("MathJax 3 was not found; install it with: pip install 'django-static-mathjax>=3.2,<4'")


def _copy(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir, "_static", "mathjax")
    files = [
        file
        for part in PARTS
        for file in ([source / part] if (source / part).is_file() else (source / part).rglob("*"))
    ]
    for file in (*files, source.parent / "LICENSE"):
        copy = target / ("LICENSE" if file.name == "LICENSE" else file.relative_to(source))
        if file.is_file() and not (copy.exists() and copy.stat().st_size == file.stat().st_size):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Copy before the first page is written, so that Sphinx can add the file's checksum to its address."""
    app.connect("builder-inited", _copy)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
