"""Leaves out the source maps of scripts and styles: 3 MB that only a developer of those would ask for."""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def _remove(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for path in Path(app.outdir, "_static").rglob("*.map"):
            path.unlink()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Remove them once all files are there."""
    app.connect("build-finished", _remove)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
