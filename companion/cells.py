"""The cells of Table 1: which one a trained network belongs to."""

CELLS = {
    ("relu", "batch"): {1: "T1-a", 2: "T1-b"},
    ("relu", "proxy"): {1: "T1-c", 2: "T1-d", 3: "T1-e", 5: "T1-f"},
    ("sigmoid", "batch"): {1: "T1-g", 2: "T1-h"},
    ("sigmoid", "proxy"): {1: "T1-i", 2: "T1-j", 3: "T1-k", 5: "T1-l"},
}


def cell(activation: str, loss: str, D: int) -> str | None:
    """Row of the ledger for networks of this activation, loss and number of channels; None if the table has none."""
    return CELLS.get((activation, loss), {}).get(D)
