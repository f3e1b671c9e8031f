"""All notebooks of the book in one archive, `_static/notebooks.zip`, for readers who have only the pages.

Its bytes follow from the notebooks alone: names are sorted, and every file has the same date and rights.
"""

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import ExtensionMetadata

ARCHIVE = "notebooks.zip"
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
README = """\
The notebooks of "Manifold integrators", with their outputs. Any Jupyter opens them. To run them, put them back into
the project's folder: they use its package `lib`, the ledger and the committed results. Text and figures are under
CC BY 4.0, code under BSD-3-Clause.
"""


def archive(files: dict[str, bytes], target: Path) -> None:
    """Write files, by name, into an archive that depends on nothing but them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(target, "w", ZIP_DEFLATED, compresslevel=9) as written:
        for name, content in sorted(files.items()):
            info = ZipInfo(name, DATE)
            info.create_system, info.external_attr, info.compress_type = 3, 0o644 << 16, ZIP_DEFLATED
            written.writestr(info, content, compresslevel=9)


def _write(app: Sphinx, env: BuildEnvironment) -> None:
    if app.builder.format != "html":
        return
    paths = (Path(env.doc2path(page)) for page in env.found_docs)
    notebooks = {
        path.relative_to(app.srcdir).as_posix(): path.read_bytes() for path in paths if path.suffix == ".ipynb"
    }
    archive(
        {f"notebooks/{name}": content for name, content in (notebooks | {"README.txt": README.encode()}).items()},
        Path(app.outdir, "_static", ARCHIVE),
    )


def setup(app: Sphinx) -> ExtensionMetadata:
    """Write the archive once all pages are known."""
    app.connect("env-check-consistency", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
