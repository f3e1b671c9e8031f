"""companion.ledger.typed: a value that was typed in is told from one that was measured."""

import pytest

from companion.ledger import typed


def measured(cell, *others):
    """Whether `cell` measures F3A in a notebook of these code cells."""
    return typed.measured(cell, "F3A", typed.names([*others, cell]))


@pytest.mark.parametrize(
    "cell",
    [
        "check('F3A', 0.05)",
        "ledger.check('F3A', -0.05)",
        "check('F3A', value=1 / 20)",
        "check('F3A', {'a': 0.05})",
        "check('F3A', {'a': f(x), 'b': 0.05})",
        "check('F3A', dict(a=f(x), b=0.05))",
        "check('F3A', [0.05, 1])",
        "check('F3A', float('0.05'))",
        "check('F3A', np.float64(0.05))",
        "check('F3A', torch.tensor(0.05))",
        "check('F3A', 0.05 if True else 1)",
        "check('F3A', f'{0.05}')",
        "value = 0.05\ncheck('F3A', value)",
        "a = 0.05\nb = a\ncheck('F3A', {'x': b})",
        "table = {'F3A': 0.05}\ncheck('F3A', table['F3A'])",
        "check('F3A', value := 0.05)\ncheck('F3A', value)",
        "record('F3A', 0.05)",
        "check('F3A', f(x))\ncheck('F3A', 0.05)",
        "check('F3B', f(x))",
        "check(name, f(x))",
        "check('F3A')",
        "F3A = f(x)",
        "check('F3A', f(x)",
        "",
    ],
)
def test_typed_in_or_not_there(cell):
    assert not measured(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "check('F3A', f(x))",
        "check(id='F3A', value=f())",
        "%matplotlib inline\nlib.ledger.check('F3A', {'a': x.mean(), 'b': float(y)}, seeds=10)",
        "record('F3A', x[0])",
        "value = f()\ncheck('F3A', 2 * value)",
        "value = 0\nfor v in f(): value += v\ncheck('F3A', value)",
        "value, other = f()\ncheck('F3A', value)",
        "values = []\nvalues.append(f())\ncheck('F3A', max(values))",
        "values = {}\nvalues['a'] = f()\ncheck('F3A', values)",
        "best = 0\nbest = max(best, f())\ncheck('F3A', best)",
        "with f() as value: check('F3A', value)",
        "check('F3A', {**shares, 'b': f(x)})",
        "check('F3A', 1.0 if f(x) else 0.0)",
    ],
)
def test_measured(cell):
    assert measured(cell)


def test_names_are_followed_through_the_notebook():
    assert not measured("check('F3A', value)", "value: float = 0.05  # a parameter")
    assert not measured("check('F3A', value)", "value = 0.05", "value = 0.06")
    assert measured("check('F3A', value)", "value = 0.05", "value = f()")
    assert measured("check('F3A', value)", "from somewhere import value")
    assert measured("check('F3A', loop)", "loop = other", "other = loop")
