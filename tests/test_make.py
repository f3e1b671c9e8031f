"""The two commands on machines that lack something: one line that says what is missing and what to type."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("sh", "dirname", "id", "sed", "grep", "df", "awk", "cat", "rm", "pwd", "tail", "mkdir", "cp", "chmod")
PYTHON = """#!/bin/sh
# A Python of version {version}; installing with it says: {pip_says}
case "$*" in
  *version_info\\ \\<*) exit {too_old} ;;
  *"import venv"*) exit {no_venv} ;;
  *hashlib*) echo fingerprint-{version} ;;
  *-m\\ venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && chmod +x .venv/bin/python ;;
  *-m\\ pip*) echo "$*" >> pip-was-called; echo "{pip_says}"; exit {pip_fails} ;;
  *--version*) echo "Python {version}" ;;
  *) echo "python{version}-venv" ;;
esac
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")


class Machine:
    """A folder with a copy of the set-up script, and a PATH on which only chosen programs exist."""

    def __init__(self, folder: Path):
        self.project, self.bin = folder / "project", folder / "bin"
        (self.project / "tools").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / "tools" / "setup.sh", self.project / "tools")
        (self.project / "requirements.lock").write_text("# pins\nnumpy==2.4.6\ntorch==2.13.0\n")
        (self.project / "pyproject.toml").write_text("")
        for name in TOOLS:
            if place := shutil.which(name):
                (self.bin / name).symlink_to(place)

    def program(self, name: str, text: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def python(self, name="python3.11", *, version="3.11", too_old=0, no_venv=0, pip_says="fine", pip_fails=0) -> None:
        values = {"version": version, "too_old": too_old, "no_venv": no_venv}
        self.program(name, PYTHON.format(**values, pip_says=pip_says, pip_fails=pip_fails))

    def setup(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", str(self.project / "tools" / "setup.sh"), *arguments]
        return subprocess.run(command, env={"PATH": str(self.bin), **environment}, capture_output=True, text=True)

    def refused(self, **environment: str) -> str:
        """The one line with which the set-up fails."""
        done = self.setup(**environment)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        return line

    def pip_calls(self) -> list[str]:
        log = self.project / "pip-was-called"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_torch_is_installed_first_then_the_lock_then_the_project(machine):
    machine.python()
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    torch, lock, project = machine.pip_calls()
    assert torch.endswith("torch==2.13.0") and lock.endswith("-r requirements.lock")
    assert project.endswith("--no-deps --no-build-isolation -e .")


def test_a_second_call_installs_nothing(machine):
    machine.python()
    machine.setup()
    assert machine.setup().stdout == ""
    assert len(machine.pip_calls()) == 3


def test_an_interrupted_installation_is_taken_up_again(machine):
    machine.python()
    machine.setup()
    (machine.project / ".venv" / "installed").unlink()
    machine.setup()
    assert len(machine.pip_calls()) == 6


def test_no_python(machine):
    assert "Python 3.11 or newer is missing; type: " in machine.refused()


def test_only_an_old_python(machine):
    machine.python("python3", version="3.9", too_old=1)
    machine.program("apt-get", "#!/bin/sh\n")
    line = machine.refused()
    assert "Python 3.11 or newer is missing" in line and "apt-get install python3 python3-venv" in line


def test_a_command_that_exists_but_does_not_run_is_passed_over(machine):
    machine.program("python3.11", "#!/bin/sh\nexit 127\n")
    machine.python("python3.12", version="3.12")
    assert "Python 3.12" in machine.setup().stdout


def test_a_named_python_that_does_not_exist(machine):
    machine.python()
    assert "PYTHON=python9 is not a Python 3.11 or newer" in machine.refused(PYTHON="python9")


def test_no_venv_module(machine):
    machine.python(no_venv=1)
    machine.program("apt-get", "#!/bin/sh\n")
    line = machine.refused()
    assert "Python 3.11 has no venv module" in line and "apt-get install python3.11-venv" in line


def test_no_space_before_anything_is_made(machine):
    machine.python()
    machine.program(
        "df", "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available'\necho 'disk 9000000 8950000 50000'\n"
    )
    assert "Not enough disk space: 50 MB are free and 3000 MB are needed" in machine.refused()
    assert not (machine.project / ".venv").exists()


@pytest.mark.parametrize(
    ("pip_says", "expected"),
    [
        ("NewConnectionError: Failed to establish a new connection", "No network"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0", "pip finds no torch==2.13.0 for Python 3.11"),
        ("ERROR: something else", "pip failed: ERROR: something else"),
    ],
)
def test_what_pip_says_becomes_one_line(machine, pip_says, expected):
    machine.python(pip_says=pip_says, pip_fails=1)
    assert machine.refused().startswith(expected)
    assert not (machine.project / ".venv" / "installed").exists()


def test_no_browser_is_said_and_does_not_fail(machine):
    machine.python()
    machine.program("id", "#!/bin/sh\necho 1000\n")
    done = machine.setup("--browser")
    assert done.returncode == 0
    assert "Chromium is missing, so browser tests will be skipped" in done.stdout


def test_root_gets_a_browser_from_apt(machine):
    machine.python()
    machine.program("id", "#!/bin/sh\necho 0\n")
    machine.program("apt-get", '#!/bin/sh\necho "$*" >> apt-was-called\n')
    assert machine.setup("--browser").returncode == 0
    update, install = (machine.project / "apt-was-called").read_text().splitlines()
    assert update == "update" and "install -y" in install and "chromium" in install


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_help_lists_the_commands():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"book", "test", "html", "lab", "run", "bench", "lock", "clean", "help"} <= {
        line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")
    }


def test_ci_calls_make_test():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert "set -eo pipefail" in lines and lines[-1] == "make test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
