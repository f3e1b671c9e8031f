"""A report about one network from a file: a notebook that was executed, and a page that needs nothing but itself.

The notebook beside this file is run by `companion.batch.execute` like any other; with `python -m companion.batch run`
and a grid of
files it makes a table of many networks.
"""

import html
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from companion.batch import execute
from lib.analysis.diagnosis import check_sizes
from lib.model.atomic import write_atomically
from lib.model.files import LARGEST, read_network
from lib.model.task import Task

TEMPLATE = Path(__file__).with_name("template.ipynb")
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
caption {{ text-align: left; font-weight: 600; white-space: nowrap }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-top: 1px solid #ccc }}
th {{ font-weight: 600 }}
img {{ max-width: 100%; height: auto }}
pre {{ overflow-x: auto }}
.record {{ margin: .3rem 0 }}
.source {{ color: #595959 }}
</style>
</head>
<body>
<main>
<p class="source">{title}</p>
{body}
</main>
</body>
</html>
"""


class Report(NamedTuple):
    """What was written, and what it says."""

    notebook: Path
    page: Path  # HTML
    text: str  # the verdict as a table in plain text


def write_report(
    weights: str | Path,
    folder: str | Path = ".",
    *,
    activation: str | None = None,
    decays: list[float] | None = None,
    scales: list[float] | None = None,
    tolerance: float = 0.1,
    steps: int = 200,
    sequences: int = 32,
    largest: int = LARGEST,
    timeout: float | None = None,
) -> Report:
    """Read a network, run the notebook on it, and write `NAME-report.ipynb` and `NAME-report.html`.

    Args:
        weights: A safetensors file, see `lib.model.files.read_network`.
        folder: Where both files go; made if it is missing.
        activation: As in `read_network`, as `largest`.
        decays: Decays to compare with; None: those that fit.
        scales: Scales to compare with, one for each decay or one for all; only with decays.
        tolerance: As in `lib.analysis.diagnosis.diagnose`, as `steps` and `sequences`.
        timeout: Seconds a cell may take.

    Raises:
        FileError: the file is refused; nothing was started, nothing is written.
        ValueError: options that do not fit the network; nothing is written.
        ExecutionError: the notebook failed; it is left, up to the error, in the place of the report.
        OSError: the folder cannot be written.
    """
    weights, folder = Path(weights).absolute(), Path(folder)
    check_sizes(steps, sequences, tolerance)
    network = read_network(weights, activation=activation, largest=largest).network  # refused here, not in a kernel
    if scales and not decays:
        raise ValueError("scales are compared with only together with decays")
    values = {"activation": activation or "", "steps": steps, "sequences": sequences, "tolerance": tolerance}
    values |= {"weights": str(weights), "largest": largest}
    if decays:
        if Task(decays, scales or [1.0]).D != network.D:
            raise ValueError(f"expected {network.D} decays, one for each channel of the network, got {len(decays)}")
        values |= {"expected_decays": decays, "expected_scales": scales or [1.0]}
    del network
    folder.mkdir(parents=True, exist_ok=True)
    notebook = folder / f"{weights.stem}-report.ipynb"
    executed = execute(TEMPLATE, notebook, values, timeout=timeout)
    page = notebook.with_suffix(".html")
    write_atomically(page, as_page(executed, f"{weights.name}, {time.strftime('%Y-%m-%d')}").encode())
    shutil.copymode(notebook, page)
    return Report(notebook, page, _verdict(executed))


def as_page(notebook: NotebookNode, title: str) -> str:
    """An executed notebook as HTML without its code, scripts, or anything from elsewhere; pictures are inside."""
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(nbformat.from_dict(notebook))
    return PAGE.format(title=html.escape(title), body=body)


def _verdict(executed: NotebookNode) -> str:
    """Plain text that the cell tagged `verdict` shows."""
    (cell,) = (cell for cell in executed.cells if "verdict" in cell.metadata.get("tags", []))
    return "\n".join(output.data["text/plain"] for output in cell.outputs if "data" in output)
