"""Leaves out files of the theme that no page asks for: 4 MB.

Source maps are for a developer of its scripts, `locales` for building pages in other languages, and fonts in the older
form are for browsers that cannot read the newer one beside them, which have been gone for ten years.
"""

import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def _remove(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    for path in static.rglob("*.map"):
        path.unlink()
    for path in static.rglob("*.ttf"):
        if path.with_suffix(".woff2").exists():
            path.unlink()
    shutil.rmtree(static / "locales", ignore_errors=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Remove them once all files are there."""
    app.connect("build-finished", _remove)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
