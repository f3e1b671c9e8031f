"""python -m companion.batch: what it accepts, what it says, and its exit status."""

import json
import shutil
import signal

import pytest
from sweeping import RECORD, notebook

from companion.batch import plan, run, store
from companion.batch.__main__ import main
from companion.batch.commands import duration
from companion.batch.store import Progress


@pytest.fixture
def call(tmp_path, capsys):
    """Call the command line in this process: exit status, output, complaints."""
    previous = signal.getsignal(signal.SIGTERM)

    def call(*arguments):
        capsys.readouterr()
        status = main(list(map(str, arguments)))
        return status, *capsys.readouterr()

    yield call
    signal.signal(signal.SIGTERM, previous)


SERIAL = ("--engine", "serial", "--no-progress")


def test_a_sweep_from_plan_to_table(call, tmp_path):
    source, out = notebook(tmp_path / "a.ipynb", RECORD + "\nassert seed != 1"), tmp_path / "out"
    line = ("run", source, "-p", "x", "2", "-g", "seed", "0:2", "-g", "scales", "0.1,1", "-o", out, *SERIAL)
    status, shown, error = call(*line, "--dry-run")
    assert status == 0 and "4 runs, 0 done, 4 to do, 2 at a time, time unknown" in error and not out.exists()
    assert [text.split(" ", 1)[1] for text in shown.splitlines()] == [
        f"seed {seed}, scales [{s}]" for seed in (0, 1) for s in (0.1, 1.0)
    ]
    status, shown, error = call(*line)
    assert status == 1 and shown == f"{out / 'results.csv'}\n"
    assert "2 done, 2 failed in" in error
    assert "  seed 1, scales [0.1]: code cell 3: AssertionError: ; see " in error
    assert "2 done, 2 to do" in call(*line, "-n")[2] and "about" in call(*line, "-n")[2]

    status, shown, _ = call("status", out)
    assert status == 1 and "4 runs, 2 ok, 2 error" in shown
    assert json.loads(call("status", out, "--json")[1])["error"] == 2
    (out / "results.csv").unlink()
    assert call("gather", out)[0] == 0 and len((out / "results.csv").read_text().splitlines()) == 5
    assert call("clean", out, "--failed", "--dry-run")[2] == "2 would be deleted\n"
    assert call("clean", out, "--failed")[2] == "2 deleted\n"
    assert json.loads(call("status", out, "--json")[1])["waiting"] == 2


def test_one_run_from_a_file(call, tmp_path):
    source, out = notebook(tmp_path / "a.ipynb", RECORD + "\nassert seed != 1"), tmp_path / "out"
    status, shown, _ = call("run", source, "-g", "seed", "0:2", "-o", out, "--prepare")
    assert status == 0 and "2 files, each for `python -m companion.batch exec`" in shown
    assert sorted(p.name for p in (out / "specs").iterdir()) == ["1.json", "2.json"] and not store.keys(out)
    status, shown, _ = call("exec", out / "specs" / "1.json")
    assert status == 0 and shown.strip() == str(out / "runs" / store.keys(out)[0])
    assert call("exec", out / "specs" / "1.json")[0] == 0  # is done
    status, _, error = call("exec", out / "specs" / "2.json")
    assert status == 1 and "seed 1: code cell 3: AssertionError" in error
    assert call("gather", out)[0] == 0 and len((out / "results.csv").read_text().splitlines()) == 3
    shutil.copy(source, out / "specs" / "3.json")
    assert call("exec", out / "specs" / "3.json")[0] == 2
    (spec,) = plan(source, {"seed": 7}, out=out).runs
    store.write_json(out / "specs" / "4.json", {**vars(spec), "lib": "0" * 16})
    status, _, error = call("exec", out / "specs" / "4.json")
    assert status == 3 and "not the one that the sweep was planned with" in error


def test_parameters_are_listed(call, tmp_path):
    status, shown, _ = call("params", notebook(tmp_path / "a.ipynb"))
    assert status == 0 and shown.splitlines()[1] == "x       float        1.0    a number"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-g", "sed", "0:2"], "unknown parameter 'sed'; did you mean seed?"),
        (["-g", "seed", "0:0"], "grid of seed: there is no value in '0:0'"),
        (["-g", "seed", "0:2", "-g", "seed", "3"], "grid of seed is given twice"),
        (["-p", "seed", "1", "-g", "seed", "0:2"], "seed is given both one value and a grid"),
        (["-p", "seed", "1", "-p", "seed", "2"], "parameter seed is given twice"),
        (["-g", "seed", "0:2", "-o", "x.ipynb"], "a sweep needs a folder, not the notebook x.ipynb"),
        (["--only", "F3A"], "--only chooses from a sweep file"),
        (["--dry-run"], "are for sweeps; give a grid with -g or a folder with -o"),
        (["-g", "seed", "0:2", "-w", "0"], "workers must be at least 1, got 0"),
        (["-g", "seed", "0:2", "--engine", "serial", "--scheduler", "x"], "needs the engine dask"),
    ],
)
def test_wrong_use_starts_nothing(call, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    source = notebook(tmp_path / "a.ipynb")
    more = [] if "-o" in arguments or "--only" in arguments or arguments == ["--dry-run"] else ["-o", tmp_path / "out"]
    status, shown, error = call("run", source, *arguments, *more)
    assert status == 2 and message in error and shown == ""
    assert list(tmp_path.iterdir()) == [source]


def test_what_is_not_there_is_said(call, tmp_path):
    assert call("run", tmp_path / "no.ipynb", "-g", "seed", "0:2")[2].startswith(
        "companion.batch: there is no notebook"
    )
    for command in ("status", "gather", "clean"):
        status, _, error = call(command, tmp_path / "no")
        assert status == 2 and f"there is no sweep in {tmp_path / 'no'}" in error
    status, _, error = call("run", notebook(tmp_path / "a.ipynb"), "-o", tmp_path / "out", "--scheduler", "nonsense")
    assert status == 3 and "no scheduler answers at nonsense" in error


def test_runs_in_progress_and_damaged_ones_are_seen(call, tmp_path):
    out = tmp_path / "out"
    planned = plan(notebook(tmp_path / "a.ipynb"), grid={"seed": range(3)}, out=out)
    done = run(planned, engine="serial", progress=False)
    (out / "runs" / done.done[0] / "run.json").write_text("")
    (out / "runs" / done.done[1]).rename(tmp_path / "away")
    progress = Progress(out, planned.runs[1].key, planned.runs[1].parameters, 2)
    status, shown, error = call("status", out)
    assert status == 1 and "3 runs, 1 ok, 1 running, 1 damaged" in shown and "seed 1: cell 1 of 2, on " in shown
    assert "run.json cannot be read" in error and "will be repeated" in error
    status, _, error = call("gather", out)
    assert status == 1 and "it is left out" in error
    assert call("clean", out)[2] == "1 deleted\n" and progress.folder.exists()
    progress.discard()


def test_stale_runs_are_deleted_when_wanted(call, tmp_path):
    source, out = notebook(tmp_path / "a.ipynb"), tmp_path / "out"
    run(plan(source, out=out), engine="serial", progress=False)
    run(plan(notebook(source, RECORD + "\n1"), out=out), engine="serial", progress=False)
    assert call("clean", out)[2] == "0 deleted\n" and call("clean", out, "--stale")[2] == "1 deleted\n"


def test_times_as_people_say_them():
    assert [duration(s) for s in (0.25, 8.4, 200, 9000)] == ["0.2 s", "8 s", "3 min", "2.5 h"]
