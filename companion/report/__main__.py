"""Command: `python -m companion.report weights.safetensors` writes a notebook and a page, and prints the verdict.

Exit status: 0 the report was written, whatever it says; 1 it could not be made; 2 the file or an option was refused and
nothing was written; 130 interrupted.
"""

import argparse
import signal
import sys
import warnings
from pathlib import Path

from companion.batch import ExecutionError
from companion.report import write_report
from lib.model.files import KINDS, LARGEST


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m companion.report", description="Is the network in a file an integrator?"
    )
    top.add_argument("weights", type=Path, help="safetensors: our own weights, or a torch.nn.RNN with its read-out")
    top.add_argument("-o", "--output", type=Path, default=Path(), metavar="FOLDER", help="default: the current folder")
    top.add_argument("--activation", choices=KINDS, help="needed if the file's metadata do not say")
    top.add_argument("--decays", type=float, nargs="+", metavar="GAMMA", help="expected, default: those that fit")
    top.add_argument("--scales", type=float, nargs="+", metavar="S", help="expected, with --decays")
    top.add_argument("--tolerance", type=float, default=0.1, help="largest relative error of an integrator")
    top.add_argument("--steps", type=int, default=200, help="length of the test sequences")
    top.add_argument("--sequences", type=int, default=32, help="how many test sequences")
    top.add_argument("--largest", type=int, default=LARGEST // 2**20, metavar="MB", help="the file may have")
    top.add_argument("--timeout", type=float, metavar="S", help="seconds a cell of the notebook may take")
    return top


def complain(message: str, status: int) -> int:
    """Print a message about an error; the exit status."""
    print(f"companion.report: {message}", file=sys.stderr)
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the kernel is ended on the way out
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few neurons; the verdict says what comes of it
            report = write_report(
                options.weights,
                options.output,
                activation=options.activation,
                decays=options.decays,
                scales=options.scales,
                tolerance=options.tolerance,
                steps=options.steps,
                sequences=options.sequences,
                largest=options.largest * 2**20,
                timeout=options.timeout,
            )
    except ValueError as error:
        return complain(str(error), 2)
    except ExecutionError as error:
        return complain(f"the notebook failed: {error}", 1)
    except OSError as error:
        return complain(f"{error.filename or ''}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    print(report.text)
    print(f"\n{report.notebook}\n{report.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
