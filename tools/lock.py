"""Writes requirements.lock: the exact versions that pip chooses for the project with all its extras.

    python tools/lock.py [torch-version]

Only names and versions are kept. A local build label such as `+cpu` is dropped, so that the same line installs a CPU
or a CUDA build, whichever the machine's package index offers.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = """\
# Versions with which this project is tested (Python {python}). Made by `make lock` from pyproject.toml.
"""


def canonical(name: str) -> str:
    """Spelling of a distribution's name that PEP 503 makes unique."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> dict[str, str]:
    """Versions by canonical name in the text of a lock file."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def resolve(torch: str) -> dict[str, str]:
    """Versions pip would put into an empty environment: the project with extras, what builds it, and this torch."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, builders = settings["project"], settings["build-system"]["requires"]
    extras = ",".join(name for name in project["optional-dependencies"] if name != "bench")  # a rival, not a part
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--report", str(report), f"torch=={torch}", f"{ROOT}[{extras}]", *builders]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise SystemExit("make lock: pip found no set of versions. " + " ".join(errors)[:500])
        found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    ours = canonical(project["name"])
    return {canonical(m["name"]): m["version"].split("+")[0] for m in found if canonical(m["name"]) != ours}


def main(arguments: list[str]) -> None:
    """Resolve and replace the lock file; torch keeps its locked version unless another one is given."""
    old = locked(LOCK.read_text()) if LOCK.exists() else {}
    versions = resolve(arguments[0] if arguments else old.get("torch", "2.13.0"))
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"{name}=={version}" for name, version in sorted(versions.items())]
    partial = LOCK.with_suffix(".lock.partial")
    partial.write_text(HEADER.format(python=python) + "\n".join(lines) + "\n")
    os.replace(partial, LOCK)
    changed = sorted(f"{n} {old.get(n, '-')} -> {v}" for n, v in versions.items() if old.get(n) != v)
    gone = sorted(f"{n} {v} -> -" for n, v in old.items() if n not in versions)
    print(f"{LOCK.name}: {len(versions)} packages, {len(changed) + len(gone)} changed")
    print("\n".join(f"  {line}" for line in changed + gone))


if __name__ == "__main__":
    main(sys.argv[1:])
