"""companion.batch.sweep, work and table: runs without a cluster, one after the other or in processes."""

import json
import math

import nbformat
import pytest
from sweeping import PARAMETERS, RECORD, check_folder, notebook

from companion.batch import gather, plan, read_table, run, sweep, work
from companion.batch.kernels import THREAD_VARIABLES
from companion.batch.store import finished, keys
from companion.batch.table import table, write_table
from companion.batch.work import Unfit, flat, run_one
from companion.record import encode

VALUES = """
from companion.record import record
record('nan', float('nan'))
record('infinity', {'a': float('-inf'), 'b': 1})
record('text', 'it\\'s {odd}, "quoted"')
record('none', 'NaN?')
record('truth', True)
record('small', 1e-300)
record('large', 2**60)
"""
STARTS = "print('before')\n" + RECORD
BAD = "if seed == 1: raise RuntimeError('too\\nbad')\nif seed == 2: raise SystemExit(3)\n"


@pytest.fixture
def counted(monkeypatch):
    """Notebooks that were started."""
    started = []
    execute = work.execute

    def count(*arguments, **options):
        started.append(arguments[2]["seed"])
        return execute(*arguments, **options)

    monkeypatch.setattr(work, "execute", count)
    return started


def serial(source, out, grid, **options):
    fixed = options.pop("fixed", None)
    return run(plan(source, fixed, grid, out=out), engine="serial", progress=False, **options)


def test_failures_are_told_kept_and_tried_again(tmp_path, counted):
    source, out = notebook(tmp_path / "a.ipynb", STARTS, BAD + "print('after')"), tmp_path / "out"
    done = serial(source, out, {"seed": range(4)})
    assert (len(done.done), len(done.failed), done.lost, done.ok) == (2, 2, [], False)
    errors = {record["seed"]: record for record in done.failed}
    assert (errors[1]["ename"], errors[1]["evalue"], errors[1]["cell"]) == ("RuntimeError", "too\nbad", 4)
    assert errors[1]["message"] == "code cell 4: RuntimeError: too bad"
    assert "raise RuntimeError" in errors[1]["traceback"] and "\x1b" not in errors[1]["traceback"]
    assert errors[2]["ename"] == "SystemExit"
    text = (out / "runs" / errors[1]["key"] / "notebook.ipynb").read_text()
    assert "before" in text and "Traceback" in text and "after\\n" not in text
    assert sorted(check_folder(out).values()) == ["error", "error", "ok", "ok"]
    frame = read_table(out / "results.csv")
    assert list(frame.run_status) == ["ok", "error", "error", "ok"]
    assert list(frame.double) == [2.0, 3.0, 4.0, 5.0]  # recorded before the error
    assert frame.run_message[1] == "code cell 4: RuntimeError: too bad"

    counted.clear()
    again = serial(source, out, {"seed": range(4)}, skip_failed=True)
    assert counted == [] and len(again.kept) == 2 and len(again.failed) == 2
    again = serial(source, out, {"seed": range(4)})
    assert counted == [1, 2] and len(again.kept) == 2
    counted.clear()
    assert len(serial(source, out, {"seed": [0, 3, 5]}).kept) == 2 and counted == [5]
    counted.clear()
    assert len(serial(source, out, {"seed": [0]}, force=True).done) == 1 and counted == [0]


def test_a_record_tells_how_a_value_came_about(tmp_path):
    size = "memory = bytearray(200_000_000)"
    source, out = notebook(tmp_path / "a.ipynb", RECORD, size), tmp_path / "out"
    (key,) = serial(source, out, None).done
    record = finished(out, key)
    assert record is not None
    assert record["records"][0]["value"] == 2.0 and record["values"] == {"double": {"value": 2.0}}
    assert {"python", "torch", "numpy", "papermill"} <= record["versions"].keys()
    assert record["peak_rss_mb"] is None or record["peak_rss_mb"] > 200
    assert record["wall_s"] > record["kernel_start_s"] > 0
    wanted = {"seed", "notebook", "notebook_hash", "lib", "code", "git_commit", "host", "platform", "threads", "engine"}
    assert wanted <= record.keys() and record["threads"] >= 1


def test_values_survive_on_their_way_to_the_table(tmp_path):
    out = tmp_path / "out"
    done = serial(notebook(tmp_path / "a.ipynb", VALUES), out, {"name": ["it's", 'a "b", {c}\n']})
    assert done.ok, done.failed
    for frame in (done.table, read_table(out / "results.csv")):
        row = frame.iloc[1]
        assert math.isnan(row["nan"]) and row["infinity.a"] == -math.inf and row["infinity.b"] == 1
        assert row["text"] == 'it\'s {odd}, "quoted"' and row["none"] == "NaN?" and row["truth"]
        assert row["small"] == 1e-300 and row["large"] == 2**60
        assert list(frame["name"]) == ["it's", 'a "b", {c}\n']
        assert frame["x"].dtype == frame["infinity.a"].dtype == float and frame["seed"].dtype == int


def test_lists_are_numbers_where_they_have_one_element():
    found = [
        {"parameters": {"a": [1.0], "b": [1.0]}, "values": {}},
        {"parameters": {"a": [2.0], "b": [1, 2]}, "values": {}},
    ]
    frame = table(found)
    assert list(frame.a) == [1.0, 2.0] and list(frame.b) == ["[1.0]", "[1, 2]"]


def test_parquet_without_its_package_is_explained(tmp_path):
    try:
        import pyarrow  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        with pytest.raises(ValueError, match="pip install pyarrow"):
            write_table(tmp_path, table([]), parquet=True)
        assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


@pytest.mark.parametrize(
    ("names", "message"), [(["x", "y"], "'x': a parameter's name"), (["y", "y"], "'y': recorded twice")]
)
def test_columns_have_one_meaning(names, message):
    records = [{"name": name, **encode(1.0)} for name in names]
    with pytest.raises(ValueError, match=message):
        flat(records, {"x": 1})


def test_a_record_with_a_parameters_name_is_an_error_of_the_run(tmp_path):
    source = notebook(tmp_path / "a.ipynb", "from companion.record import record\nrecord('x', 1)")
    (record,) = serial(source, tmp_path / "out", None).failed
    assert "a parameter's name" in record["message"]


def test_a_damaged_record_is_said_and_repeated(tmp_path, counted):
    source, out = notebook(tmp_path / "a.ipynb"), tmp_path / "out"
    (key,) = serial(source, out, None).done
    (out / "runs" / key / "run.json").write_text("{")
    assert len(gather(out)) == 0
    assert serial(source, out, None).done == [key]
    assert len(counted) == 2 and len(gather(out)) == 1


def test_old_code_does_not_mix_with_new(tmp_path):
    source, out = notebook(tmp_path / "a.ipynb"), tmp_path / "out"
    serial(source, out, {"seed": [0]})
    notebook(source, RECORD.replace("2 *", "3 *"))
    done = serial(source, out, {"seed": [0]})
    assert list(done.table.double) == [3.0] and len(gather(out, every=True)) == 2
    assert len(list(out.glob("source-*.ipynb"))) == 2


def test_a_folder_belongs_to_one_notebook(tmp_path):
    serial(notebook(tmp_path / "a.ipynb"), tmp_path / "out", None)
    with pytest.raises(ValueError, match="holds a sweep of .*a.ipynb; choose another"):
        serial(notebook(tmp_path / "b.ipynb"), tmp_path / "out", None)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="not the folder of a sweep"):
        serial(notebook(tmp_path / "b.ipynb"), tmp_path / "other", None)
    with pytest.raises(ValueError, match="there is no sweep in"):
        gather(tmp_path / "other")
    (tmp_path / "out" / "sweep.json").write_text("{}")
    with pytest.raises(ValueError, match="sweep.json cannot be read"):
        gather(tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "magic"}, "engine must be one of dask, processes, serial, got 'magic'"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"engine": "serial", "scheduler": "tcp://x"}, "needs the engine dask"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(plan(notebook(tmp_path / "a.ipynb"), out=tmp_path / "out"), **options)
    assert not (tmp_path / "out").exists()


def test_processes_share_the_processors_and_a_time_limit_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "cpu_count", lambda: 4)
    code = "import os, json\nfrom companion.record import record\nwhile seed == 1: pass\n"
    code += f"record('threads', ' '.join(os.environ[v] for v in {THREAD_VARIABLES}))"
    source, out = notebook(tmp_path / "a.ipynb", code), tmp_path / "out"
    planned = plan(source, grid={"seed": range(2)}, out=out)
    done = run(planned, engine="processes", workers=2, timeout=5, progress=False)
    assert list(done.table.threads)[0] == " ".join("2" * len(THREAD_VARIABLES))
    (record,) = done.failed
    assert record["ename"] == "CellTimeoutError" and record["seed"] == 1


def test_a_process_that_is_killed_costs_its_run(tmp_path):
    code = "import os\nif seed == 1: os.kill(os.getppid(), 9)\n" + RECORD
    planned = plan(notebook(tmp_path / "a.ipynb", code), grid={"seed": range(2)}, out=tmp_path / "out")
    done = run(planned, engine="processes", workers=2, progress=False)
    assert len(done.done) == 1 and len(done.lost) == 1
    assert done.lost[0]["message"] == "lost: its process was killed (signal 9) before it had finished"
    assert sorted(check_folder(tmp_path / "out").values()) == ["lost", "ok"]


def test_a_worker_that_does_not_fit_is_refused(tmp_path):
    planned = plan(notebook(tmp_path / "a.ipynb"), out=tmp_path / "out")
    with pytest.raises(Unfit, match="does not see .*a disk that all share"):
        run_one(planned.runs[0])
    sweep.prepare(planned)
    other = sweep.Spec(**{**vars(planned.runs[0]), "lib": "0" * 16})
    with pytest.raises(Unfit, match="is not the one that the sweep was planned with"):
        run_one(other)
    assert keys(tmp_path / "out") == []


def test_arrays_and_checkpoints_of_a_run(tmp_path):
    code = (
        "from companion.artifacts import checkpoint, keep_arrays, run_folder\nimport numpy as np\n"
        "seen = checkpoint().exists()\ncheckpoint().touch()\nkeep_arrays(a=np.arange(3.0))\n"
        "assert seen, 'first time'\nfrom companion.record import record\nrecord('seen', seen)"
    )
    source, out = notebook(tmp_path / "a.ipynb", code), tmp_path / "out"
    (record,) = serial(source, out, None).failed
    assert record["evalue"] == "first time"
    assert (out / "checkpoints" / record["key"] / "training.checkpoint").exists()
    assert serial(source, out, None).ok  # went on where it was
    assert not (out / "checkpoints" / record["key"]).exists()
    assert (out / "runs" / record["key"] / "arrays.npz").exists()


def test_what_a_kernel_says_about_itself_is_kept(tmp_path):
    source = notebook(tmp_path / "a.ipynb", "import os\nos.write(2, b'no memory\\n')\nos.kill(os.getpid(), 9)")
    (record,) = serial(source, tmp_path / "out", None).failed
    assert record["ename"] == "DeadKernelError" and "no memory" in record["message"]
    assert (tmp_path / "out" / "runs" / record["key"] / "kernel.log").read_text() == "no memory\n"


def test_the_time_is_estimated_from_what_is_done(tmp_path):
    planned = plan(notebook(tmp_path / "a.ipynb"), grid={"seed": range(5)}, out=tmp_path / "out")
    assert sweep.estimate(planned, planned.runs, 2) is None
    serial(planned.notebook, planned.out, {"seed": [0]})
    state = sweep.pending(planned)
    assert len(state.waiting) == 4
    per_run = json.loads((planned.out / "runs" / state.kept[0] / "run.json").read_text())["wall_s"]
    assert sweep.estimate(planned, state.waiting, 3) == pytest.approx(2 * per_run)


def test_the_executed_notebook_holds_the_parameters(tmp_path):
    (key,) = serial(notebook(tmp_path / "a.ipynb"), tmp_path / "out", None, fixed={"x": 3.5}).done
    cells = nbformat.read(tmp_path / "out" / "runs" / key / "notebook.ipynb", as_version=4).cells
    assert any("x = 3.5" in cell.source for cell in cells)
    assert PARAMETERS.splitlines()[0] in cells[1].source


def test_a_run_declares_what_it_was_planned_with(tmp_path, monkeypatch):
    """The chapter gains a parameter between the plan and the run, which goes on with its own source."""
    monkeypatch.setenv("LIB_BOOK", str(tmp_path / "book"))
    begins = "from companion.record import begin, record\nbegin('part/tiny', globals())\nrecord('twice', 2 * x)"
    source = notebook(tmp_path / "book" / "part" / "tiny.ipynb", begins)
    planned = plan(source, None, {"seed": [3]}, out=tmp_path / "out")
    planned.source.parent.mkdir(parents=True)
    planned.source.write_bytes(source.read_bytes())
    notebook(source, begins, parameters=PARAMETERS + "more: int = 7\n")
    done = run_one(planned.runs[0])
    assert done["status"] == "ok", done["message"]
    assert done["values"] == {"twice": {"value": 2.0}}
