"""Every benchmark at toy size: contenders agree, tables are whole. No test looks at a time."""

import json
import math
import os

import pytest
import torch

from benchmarks import (
    batch,
    channels,
    clock,
    gradient,
    growth,
    memory,
    proxy,
    reduced,
    share,
    sigmoid,
    spectra,
    step,
    time_to_loss,
    together,
    words,
)
from benchmarks.__main__ import BENCHMARKS, main, parse
from benchmarks.compiled import Jitted, has_jax
from benchmarks.contenders import CONTENDERS, Contender, Disagreement, agreement, contenders, network, task
from benchmarks.report import Options, Report, Table, Wish
from lib.model import gemm


@pytest.mark.parametrize("D", [1, 2, 3])
@pytest.mark.parametrize("T", [1, 2, 3, 5])
def test_contenders_compute_the_same_loss_and_gradient(D, T):
    made = contenders(12, D, T, 9, dtype=torch.float64)
    assert list(made) == list(CONTENDERS)
    assert agreement(made, 1e-12) < 1e-12
    made["ours"].gradient()
    assert made["ours"].true_gradient().any()


def test_disagreement_is_refused():
    made = contenders(8, 1, 3, 5, dtype=torch.float64)
    right = made["authors"]
    made["wrong"] = Contender(right.weights, lambda: 1.001 * right.loss(), right.true_gradient)
    with pytest.raises(Disagreement, match="differ by 1.0e-03"):
        agreement(made, 1e-6)


def test_a_step_changes_the_weights_against_the_gradient():
    made = contenders(8, 2, 3, 5, dtype=torch.float64)["authors"]
    before = made.weights.detach().clone()
    made.optimiser.param_groups[0]["lr"] = 0.1
    made.step()
    torch.testing.assert_close(made.weights.detach(), before - 0.1 * made.true_gradient())


def test_interleaved_rounds_take_turns():
    calls = []
    times = clock.interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 4  # one round to warm up
    assert [len(seconds) for seconds in times.values()] == [3, 3]


def test_ratios_are_taken_within_rounds():
    times = clock.Times(a=[2.0, 40.0, 6.0], b=[1.0, 10.0, 2.0])
    assert times.seconds("a") == 6.0
    assert times.ratio("a", "b") == 3.0


def test_the_machine_is_described():
    found = clock.machine(quick=True)
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert float(found["products, Gflop/s"]) >= 0


def test_step():
    report = step.run(Options(quick=True))
    table, summary = report.tables
    assert [row[:3] for row in table.rows] == [(D, T, name) for D, T in step.POINTS for name in CONTENDERS]
    assert [row[:2] for row in summary.rows] == step.POINTS and {row[2] for row in summary.rows} <= set(CONTENDERS)
    assert len(report.wishes) == 10
    assert "same loss and gradient" in report.notes[0]


def test_together():
    report = together.run(Options(quick=True))
    assert [row[:2] for row in report.tables[0].rows] == [(1, 32), (1, 128), (2, 32), (2, 128)]
    assert all(ratio > 0 for *_, ratio in report.tables[0].rows) and len(report.wishes) == 4


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not bind processes to cores")
def test_one_core_is_for_one_thread(monkeypatch):
    before = os.sched_getaffinity(0)
    for threads, cores in ((1, 1), (2, len(before))):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        with clock.one_core():
            assert len(os.sched_getaffinity(0)) == cores
        assert os.sched_getaffinity(0) == before


def test_share():
    (table,) = share.run(Options(quick=True)).tables
    assert [row[:3] for row in table.rows] == [(1, 3, 3), (1, 10, 24), (2, 3, 6), (2, 10, 27)]
    for _, _, needed, done, *_ in table.rows:
        assert needed < done < 2 * needed  # at this small batch nothing is saved; products with vectors come on top


def test_operations_are_counted_in_all_products():
    a, b = torch.ones(2, 3), torch.ones(3, 4)
    out = torch.ones(2, 4)
    assert clock.operations(lambda: a @ b) == 2 * 2 * 3 * 4
    assert clock.operations(lambda: torch.mm(a, b, out=out)) == 48
    assert clock.operations(lambda: out.addmm_(a, b)) == 48
    assert clock.operations(lambda: torch.addmm(out, a, b)) == 48
    assert clock.operations(lambda: torch.bmm(torch.ones(5, 2, 3), torch.ones(5, 3, 4))) == 5 * 48
    assert clock.operations(lambda: a + a) == 0


def test_products_made_to_choose_a_library_are_not_counted(monkeypatch):
    monkeypatch.setenv("LIB_GEMM", "auto")
    monkeypatch.setattr(gemm, "SMALL", 0)
    monkeypatch.setattr(gemm, "_faster", {})
    a, b = torch.ones(5, 7), torch.ones(7, 3)
    assert clock.operations(lambda: gemm.mm(a, b)) == 2 * 5 * 7 * 3 and len(gemm.chosen()) == gemm.has_onednn()


def test_products_are_saved_in_large_batches():
    small, large = (
        clock.operations(contenders(300, 1, 3, batch)["ours"].step) / (2 * batch * 300**2) for batch in (64, 1024)
    )
    assert small > 3 > 1.5 > large


def test_no_products_are_counted_for_short_sequences():
    assert [share.triples(1, T) for T in (1, 2, 3)] == [0, 0, 1]
    assert [share.triples(2, T) for T in (1, 2, 3)] == [0, 1, 2]


def test_time_to_loss():
    report = time_to_loss.run(Options(quick=True))
    rows = report.tables[0].rows
    assert len(rows) == 4
    losses = [float(row[-1]) for row in rows]
    assert max(losses) < 1.05 * min(losses)  # all descend alike
    assert max(losses) < 0.2  # from about 0.6 at the null start
    second = report.tables[1].rows
    assert [row[0] for row in second][2:] == ["ours, Monte Carlo 32", "authors, Monte Carlo 32"]
    assert second[2][1] == second[3][1]  # counted, not run
    assert [wish.wanted for wish in report.wishes] == [15.0, 8.0]


def test_sigmoid():
    report = sigmoid.run(Options(quick=True))
    steps, times = report.tables
    assert [row[0] for row in steps.rows] == ["ours", "plain"]
    assert [row[1] for row in times.rows] == [4, 4, 4]  # the limit: four steps teach little
    assert "stand for 64" in report.notes[0]


def test_channels():
    report = channels.run(Options(quick=True))
    (table,) = report.tables
    assert [row[:3] for row in table.rows] == [(case.activation, case.D, case.loss) for case in channels.CASES]
    assert all(wish.got > 0 for wish in report.wishes)
    assert "differ by" in report.notes[0]


def test_a_contender_takes_its_turn_between_two_draws():
    calls = []
    turns = channels.Turns(lambda: calls.append("draw"), lambda: calls.append("other"))
    for _ in range(3):
        turns()
    assert calls == ["draw", "other", "draw", "other", "draw"]
    assert [len(seconds) for seconds in turns.times.values()] == [2, 2]


def test_growth(tmp_path):
    figure = tmp_path / "folder" / "growth.png"
    report = growth.run(Options(quick=True, figure=figure))
    assert [len(table.rows) for table in report.tables] == [2, 2, 2, 2, 4]
    assert figure.stat().st_size > 1000
    assert report.wishes[0].got > 0 or math.isnan(report.wishes[0].got)


def test_memory():
    report = memory.run(Options(quick=True))
    (table,) = report.tables
    assert [row[:2] for row in table.rows] == [(1, "float32"), (2, "float32"), (1, "float64")]
    assert memory.Simulation(1000, 128, 200, 1, "float32").kept == 128 * 200 * 1001 * 4
    assert len(report.wishes) == 1


def test_batch():
    report = batch.run(Options(quick=True))
    overhead, rest = report.tables
    assert [row[:2] for row in overhead.rows] == [("tiny", way) for way in batch.WAYS]
    assert len(rest.rows) == 4 and len(report.wishes) == 4
    assert all(wish.got > 0 for wish in report.wishes)


def test_gradient():
    report = gradient.run(Options(quick=True))
    (table,) = report.tables
    assert [row[:3] for row in table.rows] == [
        (dtype, D, T) for dtype in ("float64", "float32") for D, T in ((1, 3), (1, 10), (3, 10))
    ]
    assert len(report.wishes) == 2 and all(wish.got > 0 for wish in report.wishes)


def test_a_wrong_gradient_is_not_timed(monkeypatch):
    monkeypatch.setattr(gradient, "gradient", lambda *arguments: 1.001 * gradient.by_autograd(*arguments))
    with pytest.raises(Disagreement, match="gradients differ by 1.0e-03"):
        gradient.run(Options(quick=True))


def test_words():
    (table,) = words.run(Options(quick=True)).tables
    assert [row[0] for row in table.rows] == ["words", "full space", "autograd"]
    assert all(float(row[-1]) < 1e-6 for row in table.rows)


def test_proxy():
    report = proxy.run(Options(quick=True))
    steps, scales = report.tables
    assert [row[0] for row in steps.rows] == ["closed form", "autograd"]
    assert [row[0] for row in scales.rows] == [f"{s:g}" for s in proxy.SCALES]
    assert len(report.wishes) == 2
    assert "same weights" in report.notes[0]


def test_exponents_are_slopes_of_logarithms():
    assert growth.exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2)


def test_buffers_of_a_point():
    point = growth.Point(n=10, T=4, batch=5, D=1)
    assert point.buffers == 4 * (2 * 4 * 5 * 10 + 2 * 100)


def test_reduced():
    report = reduced.run(Options(quick=True))
    ways, sizes = report.tables
    assert [row[1] for row in ways.rows] == [1, 1, 1, 64]
    assert [row[0] for row in sizes.rows] == [20, 100]
    assert len(report.wishes) == 3 and "same weights" in report.notes[0]


def test_spectra():
    report = spectra.run(Options(quick=True))
    (table,) = report.tables
    assert [row[0] for row in table.rows] == ["ours", *spectra.ONE_AT_A_TIME]
    assert table.rows[0][1] == 8 * 2 * 6**2
    assert "Eigenvalues agree" in report.notes[0]


def test_wishes_are_judged_in_both_directions():
    assert Wish("speed", 2.0, 2.5, " x").met
    assert not Wish("memory", 2.0, 2.5, at_most=True).met
    assert str(Wish("speed", 2.0, 1.5, " x")) == "speed: wanted at least 2 x, got 1.5 x: NOT met"


def test_tables_are_aligned():
    table = Table("Title", ("name", "value"), [("a", 1.23456), ("long name", math.nan), ("c", 1000.0)])
    assert str(table).splitlines() == [
        "Title",
        "     name  value",
        "---------  -----",
        "        a   1.23",
        "long name      -",
        "        c   1000",
    ]


def test_main_prints_and_writes(tmp_path, capsys):
    target = tmp_path / "out.json"
    (report,) = main(["share", "--quick", "--json", str(target)])
    assert isinstance(report, Report)
    shown = capsys.readouterr().out
    assert "processor:" in shown and "needed products in percent of the step, T=3: wanted at least 70 %" in shown
    content = json.loads(target.read_text())
    assert content["reports"][0]["name"] == "share"
    assert len(content["reports"][0]["tables"][0]["rows"]) == 4
    assert list(tmp_path.iterdir()) == [target]


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        parse(["stepp"])
    assert stop.value.code == 2
    assert f"unknown benchmark 'stepp', expected one of {', '.join(BENCHMARKS)}" in capsys.readouterr().err


@pytest.mark.skipif(not has_jax(), reason="jax is missing: pip install '.[bench]'")
def test_what_jax_compiles_computes_the_same():
    made = contenders(24, 2, 3, 8, dtype=torch.float64)
    net, goal = network(24, 2, dtype=torch.float64), task(2, 3)
    x = torch.randn(8, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for once in (False, True):
        assert agreement({"ours": made["ours"], "jax": Jitted(net, goal, x, once=once)}, 1e-9) < 1e-9
