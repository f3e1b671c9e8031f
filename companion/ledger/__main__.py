"""The ledger on the command line: `python -m companion.ledger --json`, `--page` or `--score`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from companion.ledger import page, score


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 with one line on stderr if the ledger or a record breaks the rules."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.ledger", description="Rows of the paper and their verdicts."
    )
    parser.add_argument("--book", help="folder with ledger.yml and the chapters (default: the book of this project)")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--json", action="store_true", help="print every row and erratum with verdict and value")
    what.add_argument("--page", action="store_true", help="write ledger.md, errata.md and figures.md")
    what.add_argument("--score", action="store_true", help="print how many rows have which verdict")
    options = parser.parse_args(arguments)
    try:
        if options.page:
            changed = page.write(options.book)
            print("\n".join(f"{path}: written" for path in changed) or "the pages are up to date")
        else:
            result = score(options.book) if options.score else page.data(options.book)
            print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    except ValueError as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
