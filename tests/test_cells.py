"""The cells of Table 1 are those of the ledger."""

import re

import pytest

from companion.cells import CELLS, cell
from companion.ledger import load

NAMES = {1: "single", 2: "two", 3: "three", 5: "five"}


def test_each_cell_is_the_row_that_names_it():
    ledger = load()
    found = {cell(*kind, D) for kind, by_D in CELLS.items() for D in by_D}
    assert found == {id for id in ledger.rows if re.fullmatch("T1-[a-l]", id)}
    for (activation, loss), by_D in CELLS.items():
        for D, id in by_D.items():
            text = f"{ledger[id].where} {ledger[id].claim}".lower()
            assert {activation, f"d = {D}", f"{NAMES[D]}-channel", f"{loss} loss"} <= parts(text)


def parts(text):
    words = {"relu", "sigmoid", *re.findall(r"d = \d", text), *re.findall(r"\w+-channel", text)}
    return {word for word in words | {"batch loss", "proxy loss"} if word in text}


@pytest.mark.parametrize("kind", [("relu", "batch", 3), ("tanh", "batch", 1), ("sigmoid", "mean", 2)])
def test_networks_without_a_cell(kind):
    assert cell(*kind) is None
