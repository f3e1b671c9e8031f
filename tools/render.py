"""Renders the site to _build/html, from the committed outputs or from those of the last `companion.batch build`.

    python tools/render.py [--executed]

The pages are copied to _build/source, with executed chapters in place of committed ones, and rendered there from
nothing: no page can be left over from an earlier state, and the site appears only if there was no warning. If nothing
has changed since the site was rendered, it is left as it is.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
SITE = BUILD / "html"
SOURCE = BUILD / "source"
LOG = BUILD / "render.log"
COPIED = (
    "_config.yml",
    "_toc.yml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CITATION.cff",
    "LICENSE",
    "book",
    "results",
)
IGNORED = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__", ".*.partial*")


def stage(executed: bool) -> None:
    """Put everything that is rendered into an empty _build/source.

    Raises:
        ValueError: an executed chapter is wanted but missing or out of date.
    """
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for name in COPIED:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, SOURCE / name, ignore=IGNORED)
        elif path.exists():
            shutil.copy2(path, SOURCE / name)
    if executed:
        from companion.batch.chapters import chapters, merged
        from companion.batch.execute import write
        from companion.ledger import page

        for chapter in chapters(ROOT):
            write(merged(chapter, ROOT), SOURCE / chapter.source.relative_to(ROOT))
        page.write(book=SOURCE / "book")


def fingerprint() -> str:
    """Fingerprint of everything the site is rendered from."""
    digest = hashlib.sha256()
    paths = [p for p in SOURCE.rglob("*") if p.is_file()]
    paths += [
        ROOT / "requirements.lock",
        Path(__file__),
        *(p for name in ("lib", "companion") for p in (ROOT / name).rglob("*.py")),
    ]
    for path in sorted(p for p in paths if p.exists()):
        digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def render() -> int:
    """Run jupyter-book on _build/source with warnings as errors, and put the site in place; its exit status."""
    output = BUILD / "render"
    shutil.rmtree(output, ignore_errors=True)  # doctrees too: they would hide the warnings of an unchanged page
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "."]
    command += ["--path-output", str(output), "-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, encoding="utf-8", errors="replace")
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr).replace(f"{SOURCE}{os.sep}", "")
    LOG.write_text(log, encoding="utf-8")
    if done.returncode:
        notable = [line for line in log.splitlines() if any(w in line for w in ("WARNING:", "ERROR:", "Error"))]
        print("\n".join(notable or log.splitlines()[-20:]), file=sys.stderr)
        print(f"The site was not rendered; everything jupyter-book said is in {LOG.relative_to(ROOT)}", file=sys.stderr)
        return 1
    os.replace(output / "_build" / "html", SITE)
    shutil.rmtree(output, ignore_errors=True)
    return 0


def main() -> int:
    """Render if something changed; the exit status."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--executed", action="store_true", help="show the outputs of the last build")
    try:
        stage(options.parse_args().executed)
    except ValueError as error:
        print(f"render: {error}; `make book` executes what has changed", file=sys.stderr)
        return 1
    stamp = SITE / ".rendered-from"
    current = fingerprint()
    if stamp.exists() and stamp.read_text() == current:
        return 0
    shutil.rmtree(SITE, ignore_errors=True)
    status = render()
    if status == 0:
        stamp.write_text(current)
    return status


if __name__ == "__main__":
    sys.exit(main())
