"""Writes book/static/line.png, the picture of the README, from the committed outputs of the front page.

python tools/picture.py
"""

import base64
from pathlib import Path

import nbformat

from lib.model.atomic import write_atomically

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "book" / "static" / "line.png"


def picture() -> bytes:
    """The first figure of book/index.ipynb as PNG.

    Raises:
        ValueError: the notebook has none.
    """
    notebook = nbformat.read(ROOT / "book" / "index.ipynb", as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                return base64.b64decode(output["data"]["image/png"])
    raise ValueError("book/index.ipynb must have a figure in its outputs, got none; type: make run CHAPTERS=index")


if __name__ == "__main__":
    write_atomically(PICTURE, picture())
