"""Commands: `python -m lib.batch build`, `refresh`, `run`.

Exit status: 0 all went well, 1 a notebook failed, 2 wrong use (nothing was started), 130 interrupted.
"""

import argparse
import ast
import signal
import sys
from pathlib import Path
from typing import Any

from lib.batch.build import Report, build, refresh
from lib.batch.chapters import ROOT, select
from lib.batch.execute import ExecutionError, execute
from lib.notebooks import parameters


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m lib.batch", description="Run notebooks of the book.")
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (
        ("build", "execute every chapter that changed, into _build/executed"),
        ("refresh", "execute chapters and rewrite their committed outputs"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("-j", "--jobs", type=int, metavar="N", help="chapters at a time (default: processors)")
    commands.choices["refresh"].add_argument("chapters", nargs="*", help="ids, for example nonlinear/representation")
    commands.choices["build"].add_argument("--timeout", type=float, metavar="S", help="seconds a cell may take")
    text = "execute one notebook with other parameters"
    run = commands.add_parser("run", help=text, description=text)
    run.add_argument("notebook", help="path of a notebook, or the id of a chapter")
    run.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    run.add_argument("-o", "--output", type=Path, help="executed notebook (default: _build/runs/NOTEBOOK)")
    run.add_argument("--threads", type=int, default=1, help="threads of the numerical libraries (default: 1)")
    run.add_argument("--timeout", type=float, metavar="S", help="seconds a cell may take")
    return top


def read_values(pairs: list[tuple[str, str]], notebook: Path) -> dict[str, Any]:
    """Values of `-p NAME VALUE`: Python literals, or the text itself where a text is declared.

    Raises:
        ValueError: a name is given twice, or the notebook's parameters cell cannot be read.
    """
    declared, values = parameters(notebook), {}
    for name, text in pairs:
        if name in values:
            raise ValueError(f"parameter {name} is given twice")
        if name in declared and declared[name].type == "str":
            values[name] = text
            continue
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text
    return values


def run(options: argparse.Namespace) -> int:
    """Execute one notebook as the command line says."""
    notebook = Path(options.notebook)
    if not notebook.exists():
        notebook = select([options.notebook])[0].source
    output = options.output or ROOT / "_build" / "runs" / notebook.name
    if output.resolve() == notebook.resolve():
        raise ValueError(f"the output {output} would replace the notebook itself; give another one with -o")
    values = read_values(options.parameter, notebook)
    try:
        execute(notebook, output, values, threads=options.threads, timeout=options.timeout)
    except ExecutionError as error:
        return complain(f"{notebook.name} failed in {error}\nUp to there it is in {output}", 1)
    print(output)
    return 0


def summarise(report: Report, failed_in: str) -> int:
    """Print what became of the chapters; the exit status."""
    counts = f"{len(report.done)} executed, {len(report.kept)} unchanged, {len(report.failed)} failed"
    print(f"Chapters: {counts}", file=sys.stderr)
    for name, error in report.failed.items():
        print(f"  {name}: {error}\n    up to there: {failed_in}/{name}.ipynb", file=sys.stderr)
    return 1 if report.failed else 0


def complain(message: str, status: int) -> int:
    """Print a message about an error; the exit status."""
    print(f"lib.batch: {message}", file=sys.stderr)
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that kernels are ended on the way out
    try:
        if getattr(options, "jobs", None) is not None and options.jobs < 1:
            raise ValueError(f"-j: expected at least 1, got {options.jobs}")
        if options.command == "run":
            return run(options)
        if options.command == "build":
            report = build(workers=options.jobs, timeout=options.timeout)
        else:
            report = refresh(options.chapters, workers=options.jobs)
        return summarise(report, "_build/executed/failed/book")
    except ValueError as error:
        return complain(str(error), 2)
    except OSError as error:
        return complain(f"{error.filename or ''}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return complain("interrupted; finished chapters are kept", 130)


if __name__ == "__main__":
    sys.exit(main())
