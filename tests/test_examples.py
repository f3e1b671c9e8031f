"""The examples of the README run as they stand there, and say what they claim."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def run():
    def execute(source):
        names = {}
        exec(compile(source, "README.md", "exec"), names)
        return names

    return execute


def test_a_trained_network(run):
    found = run(EXAMPLES[0])
    assert found["network"].n == 1000
    assert found["history"].losses[-20:].log().mean().exp() < 1e-4 * found["history"].losses[0]


def test_three_channels_of_other_neurons_lie_on_a_sheet(run, capsys):
    assert len(EXAMPLES) == 2 and EXAMPLES[1].count("\n") == 14
    found = run(EXAMPLES[1])
    assert found["error"] < 0.2
    assert found["outside"] < 0.03 and found["parts"][2] > 0.02 * found["parts"].sum()
    assert "relative error" in capsys.readouterr().out
