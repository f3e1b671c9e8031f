"""Table 1 is made of the result files that are there, and of no others."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from companion import table_one
from companion.ledger import judge, load
from companion.results import ResultsError
from companion.table_one import AUTHORS, FAST, KINDS, RATIOS

ROOT = Path(__file__).resolve().parents[1]


def columns(id, values):
    """What a run records about its ratios."""
    return {f"{id}.{name}": value for name, value in zip(RATIOS, values, strict=True)}


@pytest.fixture
def book(tmp_path):
    """A book whose results are written by `write(name, runs)`."""
    (tmp_path / "book").mkdir()
    (tmp_path / "results").mkdir()
    return tmp_path / "book"


@pytest.fixture
def with_ledger(book):
    """Such a book with the ledger of this one."""
    (book / "ledger.yml").write_bytes((ROOT / "book" / "ledger.yml").read_bytes())
    return book


def write(book, name, runs):
    content = pd.DataFrame(runs).to_csv(index=False).encode()
    (book.parent / "results" / f"{name}.csv").write_bytes(content)
    files = {f"{name}.csv": hashlib.sha256(content).hexdigest()}
    (book.parent / "results" / f"{name}.json").write_text(json.dumps({"provenance": {"files": files}}))


def two_channels(seed, r_code, sampler="monte-carlo"):
    how = {"n": 1000, "seed": seed, "decays": "[0.995, 0.993]", "sampler": sampler, "n_steps": 5000}
    share = {"share of the current inside": 1 - (r_code / 100) ** 2}
    return how | columns("T1-b", [r_code, r_code + 0.1, 0.5, 0.25, 0.001]) | share


def test_every_experiment_is_planned_with_the_settings_of_its_cell():
    plan = yaml.safe_load((ROOT / "sweeps" / "paper.yml").read_text())["experiments"]
    rows = load().rows
    for id, name in (AUTHORS | FAST).items():
        activation, loss, D = KINDS[id]
        runs = plan[name]["parameters"] | plan[name]["grid"]
        sigmoid = runs.get("activation", "relu") == "sigmoid" or "sigmoid" in plan[name]["notebook"]
        assert (sigmoid, runs["loss"]) == (activation == "sigmoid", loss)
        decays = runs.get("decays", [0.8])
        decays = decays if isinstance(decays[0], list) else [decays]
        assert rows[id].settings["decays"] in decays and len(rows[id].settings["decays"]) == D
    for id, name in AUTHORS.items():
        assert id in plan[name]["rows"]
    assert {plan[name]["parameters"]["sampler"] for name in FAST.values()} == {"sobol", "strata"}
    assert KINDS.keys() - FAST.keys() == {"T1-c"}


def test_a_cell_of_its_networks(book):
    write(book, "channels-relu-batch", [two_channels(seed, r) for seed, r in enumerate((1.0, 1.5, 1.4))])
    cell = table_one.group("T1-b", "channels-relu-batch", book=book)
    assert cell is not None and cell.seeds == 3
    assert cell.means["r_code"] == pytest.approx(1.3) and cell.means["r_38"] == pytest.approx(1.4)
    assert cell.spread["r_code"] == pytest.approx((0.14 / 3) ** 0.5)
    assert cell.settings == {
        "seeds": 3,
        "n": 1000,
        "decays": [0.995, 0.993],
        "sampler": "monte-carlo",
        "n_steps": 5000,
        "experiment": "channels-relu-batch",
    }
    shares: list[float] = cell.runs["share"].tolist()
    assert shares[0] == pytest.approx(0.9999) and np.isnan(cell.runs["error_ratio"].to_numpy()).all()


def test_networks_on_other_points_stand_in_where_there_are_no_others(book):
    write(book, "channels-relu-batch-sobol", [two_channels(seed, 1.2, "sobol") for seed in range(4)])
    assert not table_one.groups(AUTHORS, book=book)
    (cell,) = table_one.best(3, book=book).values()
    assert cell.settings["sampler"] == "sobol"
    assert not table_one.best(5, book=book)
    write(book, "channels-relu-batch", [two_channels(0, 1.3)])
    assert table_one.best(book=book)["T1-b"].settings["sampler"] == "monte-carlo"


def test_runs_of_another_cell_in_the_same_table_are_left_out(book):
    other = {"seed": 0, "n": 1000, **columns("T1-f", [3.0, 3.0, 1.0, 0.5, 0.002])}
    write(book, "channels-relu-proxy-many-sobol", [{"seed": 0, **columns("T1-e", [2.0] * 5)}, other])
    cells = table_one.groups(FAST, book=book)
    assert list(cells) == ["T1-e", "T1-f"]
    assert [cell.seeds for cell in cells.values()] == [1, 1] and cells["T1-f"].means["r_code"] == 3.0
    assert table_one.column(cells, "r_PCA") == [None] * 4 + [(2.0, 0.0), (0.5, 0.0)] + [None] * 6


def test_verdicts(with_ledger):
    book = with_ledger
    write(book, "channels-relu-batch-sobol", [two_channels(seed, 1.3, "sobol") for seed in range(4)])
    assert table_one.best(book=book)["T1-b"].verdict(book) == "not reached"
    write(book, "channels-relu-batch", [two_channels(seed, r) for seed, r in enumerate((1.0, 1.5, 1.4))])
    cell = table_one.best(book=book)["T1-b"]
    assert cell.verdict(book) == judge(load().rows["T1-b"], cell.means, cell.settings) == "reproduced"


def test_what_is_shown(with_ledger, capsys):
    book = with_ledger
    write(book, "channels-relu-batch-sobol", [two_channels(seed, 1.2, "sobol") for seed in range(4)])
    table_one.show(book=book)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("T1-b"))
    assert "not reached" in line and "1.2 ±\u00a00" in line  # as the check of the row says
    write(book, "channels-relu-batch", [two_channels(seed, r) for seed, r in enumerate((1.0, 1.5, 1.4))])
    table_one.show(book=book)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "1.3 ±\u00a00.22" in lines["T1-b"] and "reproduced" in lines["T1-b"] and "1.3 ±\u00a00.1 " in lines["T1-b"]
    assert sum("not run" in line for line in lines.values()) == 11
    table_one.show_distances(book=book)
    shown = capsys.readouterr().out
    assert "0.5 ±\u00a00" in shown and "0.25 ±\u00a00" in shown and "T1-a" not in shown


def test_a_loss_in_closed_form_has_two_points():
    cell = table_one.Group("T1-c", pd.DataFrame([{"seed": 0, "sampler": "sobol", "batch": 32}]))
    assert cell.settings == {"seeds": 1, "sampler": "two points", "batch": 2}


def test_a_changed_table_is_refused_and_a_missing_one_is_not(book):
    assert table_one.experiment("relu-batch", book=book) is None
    write(book, "relu-batch", [{"seed": 0}])
    (book.parent / "results" / "relu-batch.csv").write_text("seed\n1\n")
    with pytest.raises(ResultsError, match="is not what its provenance describes"):
        table_one.groups(AUTHORS, book=book)


def test_titles_and_printed_values():
    assert table_one.title("T1-k") == "sigmoid, proxy, D\u00a0=\u00a03"
    assert table_one.printed("T1-h") == (33.4, 1.9)


def test_orders():
    paper = {id: table_one.printed(id).value for id in KINDS}
    found = table_one.orders(paper)
    assert found[:4] == (6, 6, 4, 4) and found.worst_cell_ratio == pytest.approx(33.4 / 11.3)
    few = table_one.orders({"T1-a": 1.0, "T1-g": 0.5, "T1-d": 2.0, "T1-e": 2.5, "T1-f": 1.0})
    assert few[:4] == (0, 1, 1, 2) and few.worst_cell_ratio != few.worst_cell_ratio
