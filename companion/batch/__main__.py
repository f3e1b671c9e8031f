"""Commands: `python -m companion.batch run`, `status`, `gather`, `exec`, `params`, `clean`; `build`, `refresh` for
the book.

Exit status: 0 all went well, 1 a notebook failed or a run was lost, 2 wrong use (nothing was started), 3 the cluster
cannot be reached or is gone (the same command goes on where it was), 130 interrupted.
"""

import argparse
import signal
import sys
from pathlib import Path

from companion.batch import commands
from companion.batch.build import Report, build, refresh
from companion.batch.cluster import EngineError
from companion.batch.plan import read_values
from companion.batch.sweep import ENGINES
from companion.batch.work import Unfit

__all__ = ["main", "read_values"]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m companion.batch", description="Run notebooks.")
    add = top.add_subparsers(dest="command", required=True).add_parser

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return add(name, help=text, description=text[0].upper() + text[1:] + ".")

    one = command("build", "execute every chapter that changed, into _build/executed")
    one.add_argument("-j", "--jobs", type=int, metavar="N", help="chapters at a time (default: processors)")
    one.add_argument("--timeout", type=float, metavar="S", help="seconds a cell may take")
    one = command("refresh", "execute chapters and rewrite their committed outputs")
    one.add_argument("-j", "--jobs", type=int, metavar="N", help="chapters at a time (default: processors)")
    one.add_argument("chapters", nargs="*", help="ids, for example nonlinear/representation")
    _run(command("run", "run a notebook with other parameters, once or many times, or all experiments of a file"))
    one = command("exec", "do one run from its file, for arrays of jobs")
    one.add_argument("spec", type=Path, help="a file that `run --prepare` has written")
    one.add_argument("--threads", type=int, help="threads of the numerical libraries (default: processors)")
    one.add_argument("--timeout", type=float, metavar="S", help="seconds a cell may take")
    one = command("params", "list the parameters of a notebook")
    one.add_argument("notebook", help="path of a notebook, or the id of a chapter")
    one = command("status", "tell how far a sweep is")
    one.add_argument("out", type=Path, help="folder of the sweep")
    one.add_argument("--json", action="store_true", help="as JSON")
    one = command("gather", "write the table of a sweep")
    one.add_argument("out", type=Path, help="folder of the sweep")
    one.add_argument("--parquet", action="store_true", help="also as Parquet")
    one.add_argument("--every", action="store_true", help="also runs of older versions of the code")
    one = command("clean", "delete what stopped runs have left in the folder of a sweep")
    one.add_argument("out", type=Path, help="folder of the sweep")
    one.add_argument("--failed", action="store_true", help="also failed and lost runs")
    one.add_argument("--stale", action="store_true", help="also runs of older versions of the code")
    one.add_argument("-n", "--dry-run", action="store_true", help="only tell what would be deleted")
    return top


def _run(run: argparse.ArgumentParser) -> None:
    run.add_argument("notebook", help="path of a notebook, id of a chapter, or a sweep file (.yml)")
    run.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    run.add_argument(
        "-g", "--grid", nargs=2, action="append", default=[], metavar=("NAME", "VALUES"), help="0:8, or 0.1,1,10"
    )
    text = "folder of the sweep; without -g a notebook (.ipynb) may be named, and the default is _build/runs/NOTEBOOK"
    run.add_argument("-o", "--output", type=Path, metavar="OUT", help=text)
    run.add_argument("--only", action="append", default=[], metavar="ROW", help="experiments or ledger rows of a file")
    run.add_argument("-w", "--workers", type=int, metavar="N", help="kernels at a time (default: processors)")
    run.add_argument("--threads", type=int, metavar="T", help="of the numerical libraries in each kernel")
    run.add_argument("--engine", choices=ENGINES, default="dask", help="who starts the runs (default: dask)")
    run.add_argument("--scheduler", metavar="ADDRESS|FILE", help="a Dask scheduler that is running")
    run.add_argument("--timeout", type=float, metavar="S", help="seconds a cell may take")
    text = "copy kernels from a process that has imported what the notebook imports (Linux, no GPU)"
    run.add_argument("--fork", action="store_true", help=text)
    run.add_argument("--skip-failed", action="store_true", help="do not repeat runs that failed")
    run.add_argument("--force", action="store_true", help="repeat also runs that ended well")
    run.add_argument("-n", "--dry-run", action="store_true", help="only tell what would be run")
    run.add_argument("--prepare", action="store_true", help="only write a file for each run, for `exec`")
    run.add_argument("--no-progress", action="store_true", help="no progress bar")


def summarise(report: Report, failed_in: str) -> int:
    """Print what became of the chapters; the exit status."""
    counts = f"{len(report.done)} executed, {len(report.kept)} unchanged, {len(report.failed)} failed"
    print(f"Chapters: {counts}", file=sys.stderr)
    for name, error in report.failed.items():
        print(f"  {name}: {error}\n    up to there: {failed_in}/{name}.ipynb", file=sys.stderr)
    return 1 if report.failed else 0


def complain(message: str, status: int) -> int:
    """Print a message about an error; the exit status."""
    print(f"companion.batch: {message}", file=sys.stderr)
    return status


def chapters(options: argparse.Namespace) -> int:
    """Build or refresh the book."""
    if options.jobs is not None and options.jobs < 1:
        raise ValueError(f"-j: expected at least 1, got {options.jobs}")
    if options.command == "build":
        report = build(workers=options.jobs, timeout=options.timeout)
    else:
        report = refresh(options.chapters, workers=options.jobs)
    return summarise(report, "_build/executed/failed/book")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that kernels are ended on the way out
    try:
        if options.command in ("build", "refresh"):
            return chapters(options)
        return commands.COMMANDS[options.command](options)
    except ValueError as error:
        return complain(str(error), 2)
    except (EngineError, Unfit) as error:
        return complain(f"{error}; what is finished is kept, and the same command goes on from there", 3)
    except OSError as error:
        return complain(f"{error.filename or ''}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return complain("interrupted; what is finished is kept, and the same command goes on from there", 130)


if __name__ == "__main__":
    sys.exit(main())
