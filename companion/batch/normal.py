"""The normal form of a committed notebook: the same run twice gives the same file, byte for byte."""

import base64
import hashlib
import struct
from typing import Any

from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def normalised(notebook: NotebookNode) -> NotebookNode:
    """A copy without times, versions, machine names and papermill's notes, with counted cells and stable ids.

    A cell keeps its id; one without, or with one used before, gets an id from its place and source. The state of
    widgets stays only if some output shows a widget. Consecutive pieces of one text stream become one.
    """
    notebook = NotebookNode(notebook.copy())
    shows_widget = any(WIDGET in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", []))
    metadata: dict[str, Any] = {"kernelspec": KERNEL, "language_info": LANGUAGE}
    if shows_widget and "widgets" in notebook.metadata:
        metadata["widgets"] = notebook.metadata["widgets"]
    notebook.metadata = NotebookNode(metadata)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    cells, used, count = [], set(), 0
    for index, cell in enumerate(notebook.cells):
        cell = NotebookNode(cell.copy())
        name = cell.get("id")
        if not name or name in used:
            name = hashlib.sha256(f"{index}\n{cell.source}".encode()).hexdigest()[:8]
        used.add(name)
        cell.id = name
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k not in {"papermill", "execution"}})
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = [_output(output, count) for output in _joined(cell.outputs)]
        cells.append(cell)
    notebook.cells = cells
    return notebook


def _output(output: NotebookNode, count: int) -> NotebookNode:
    """An output with its cell's number and without notes; a PNG loses chunks that name the software that wrote it."""
    output = NotebookNode(output.copy())
    if "execution_count" in output:
        output.execution_count = count
    if "image/png" in output.get("data", {}):
        png = output.data["image/png"]
        output.data = NotebookNode(output.data | {"image/png": _plain_png(png)})
    return output


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs, with neighbouring pieces of one stream put together."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            joined[-1] = NotebookNode(last | {"text": last.text + output.text})
        else:
            joined.append(output)
    return joined


def _plain_png(encoded: str) -> str:
    """A base64 PNG without its text chunks."""
    raw = base64.b64decode(encoded)
    if not raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return encoded
    kept, at = [raw[:8]], 8
    while at < len(raw):
        (length,) = struct.unpack(">I", raw[at : at + 4])
        end = at + length + 12
        if raw[at + 4 : at + 8] not in {b"tEXt", b"zTXt", b"iTXt", b"tIME"}:
            kept.append(raw[at:end])
        at = end
    return base64.b64encode(b"".join(kept)).decode() + "\n" * encoded.endswith("\n")
