"""Values of a chapter: put into its outputs, where programs can read them back, and compared with the committed ones.

`record("loss", value)` shows a value and stores it in the notebook's outputs. The committed notebook is its own list of
expected values: at the same parameters and settings a value must come out the same within a tolerance, else
`RecordMismatch` is raised; within it the committed value is shown, so that the text of a page does not depend on the
machine. At other parameters nothing is compared. The environment variable `LIB_REFRESH=1` switches the comparison off,
for the run that writes new committed outputs.
"""

from __future__ import annotations

import html
import importlib
import math
import os
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from companion import notebooks

Number = int | float
Value = Number | str | bool | dict[str, Number]
"""What can be recorded: a number, a text, a truth value, or numbers by name ("measures")."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class RecordMismatch(AssertionError):
    """A value differs from the committed one by more than its tolerance."""


@dataclass
class Run:
    """What `begin` remembers about the notebook that runs in this kernel."""

    chapter: str
    parameters: dict[str, Any]
    book: Path  # the book folder
    committed: list[dict[str, Any]]  # contents of its records
    kept: list[dict[str, Any]] = field(default_factory=list)  # contents recorded so far in this run


_run: Run | None = None


def begin(chapter: str, namespace: MutableMapping[str, Any], *, book: str | os.PathLike[str] | None = None) -> None:
    """Announce which chapter runs, check its parameters, and load its committed values.

    Called as `begin("nonlinear/representation", globals())` right after the parameters cell. Values in `namespace` are
    replaced by the checked ones (an int given for a float becomes a float, a single value given for a list a list).
    Torch, if it is loaded, gets the number of threads in `OMP_NUM_THREADS`, if that is set. A run declares what its
    own source declares: `companion.batch` names that file in `LIB_SOURCE`, since the chapter may change meanwhile.

    Args:
        chapter: Path of the notebook under the book folder, without suffix.
        namespace: The notebook's global names.
        book: The book folder; see `companion.notebooks.book_folder`.

    Raises:
        NotebookError: the chapter's notebook cannot be read or has no proper parameters cell.
        ValueError: a parameter is missing, of the wrong type or out of range.
    """
    global _run
    path = notebooks.chapter_path(chapter, book)
    declared = notebooks.parameters(os.environ.get("LIB_SOURCE") or path)
    missing = [name for name in declared if name not in namespace]
    if missing:
        raise ValueError(f"run the parameters cell of {chapter} first: {', '.join(missing)} has no value")
    values = notebooks.validate({name: namespace[name] for name in declared}, declared)
    namespace.update(values)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal() and int(threads) and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(threads))
    _run = Run(chapter, values, notebooks.book_folder(book), [item[2] for item in notebooks.records(path)])


def current() -> Run | None:
    """The run announced by `begin` in this process, None in a script or a user's own notebook."""
    return _run


def record(name: str, value: Any, *, unit: str = "", rtol: float = 1e-6, atol: float = 0.0) -> None:
    """Show a value and put it into the notebook's outputs.

    Args:
        name: What the value is called, unique in the chapter.
        value: A number (also a numpy scalar or a torch tensor without dimensions), a text, a bool, or a flat dict of
            numbers by name.
        unit: Unit to show behind the value, such as "steps".
        rtol: Relative tolerance against the committed value.
        atol: Absolute tolerance against the committed value.

    Raises:
        RecordMismatch: at the committed parameters the value is not the committed one.
        ValueError: a value that cannot be recorded.
    """
    content = keep(name, value, unit=unit, rtol=rtol, atol=atol)
    show(_text(content), _html(content), content)


def keep(
    name: str, value: Any, *, unit: str = "", rtol: float = 1e-6, atol: float = 0.0, settings: Mapping | None = None
) -> dict[str, Any]:
    """Content of the record that `record` would store, after the comparison with the committed value; shows nothing.

    Args:
        settings: What the value depends on beyond the chapter's parameters, for example `{"seeds": 10}`.

    The other arguments and the errors are those of `record`.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"expected a name for the record, got {name!r}")
    new = plain(value, name)
    content: dict[str, Any] = {"name": name, **encode(new), "unit": unit, "chapter": "", "parameters": {}}
    content["settings"] = {key: _setting(f"setting {key} of {name}", v) for key, v in (settings or {}).items()}
    if _run is None:
        return content
    content |= {"chapter": _run.chapter, "parameters": _run.parameters}
    old = next((c for c in _run.committed if _same_run(c, content)), None)
    if old is not None and os.environ.get("LIB_REFRESH") != "1":
        faults = differences(decode(old), new, rtol=rtol, atol=atol)
        if faults:
            raise RecordMismatch(
                f"{name} is not the committed value of {_run.chapter} at these parameters: {'; '.join(faults)}. "
                f"Tolerance: rtol={rtol:g}, atol={atol:g}. If the change is meant, run with LIB_REFRESH=1."
            )
        committed = decode(old)
        if isinstance(committed, dict) and isinstance(new, dict):
            committed = {key: committed[key] for key in new}  # a notebook on disk has its keys sorted
        content = {**{key: v for key, v in content.items() if key != "nonfinite"}, **encode(committed)}
    _run.kept.append(content)
    return content


def html_table(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what is said of each, as an HTML table; both are escaped."""
    cells = (f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(text)}</td></tr>' for name, text in rows)
    return f'<table class="record-table">{"".join(cells)}</table>'


def show(text: str, markup: str, content: dict[str, Any] | None = None) -> None:
    """Display text and HTML in a notebook, with the record after `begin` or in a sweep; print the text elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(text)
        return
    data: dict[str, Any] = {"text/plain": text, "text/html": markup}
    if content is not None and (_run is not None or "LIB_RUN" in os.environ):
        data[notebooks.RECORD_MIME] = content
    importlib.import_module("IPython.display").display(data, raw=True)


def plain(value: Any, name: str = "value") -> Value:
    """Value as Python numbers: numpy scalars, arrays and tensors without dimensions are unpacked.

    Raises:
        ValueError: anything but a number, a text, a bool, or a non-empty flat dict of numbers by name.
    """
    if isinstance(value, Mapping):
        if not value or not all(isinstance(key, str) and key for key in value):
            raise ValueError(f"{name}: expected numbers by name, got {dict(value)!r}")
        measures = {key: plain(v, f"{name}, {key}") for key, v in value.items()}
        for key, v in measures.items():
            if isinstance(v, (str, bool, dict)):
                raise ValueError(f"{name}, {key}: expected a number, got {v!r}")
        return measures  # type: ignore[return-value]
    if (
        not isinstance(value, (bool, int, float, str))
        and getattr(value, "shape", None) == ()
        and hasattr(value, "item")
    ):
        value = value.item()
    if type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (int, float, str)):  # subclasses, such as numpy.float64
        return next(kind(value) for kind in (int, float, str) if isinstance(value, kind))
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    raise ValueError(f"{name}: expected a number, a text, a bool or a dict, got {type(value).__name__}{shape}")


def encode(value: Value) -> dict[str, Any]:
    """Value as a part of JSON: `{"value": ...}`, where floats that JSON lacks become texts, named under "nonfinite"."""
    if isinstance(value, dict):
        odd = [key for key, v in value.items() if not math.isfinite(v)]
        encoded = {key: _name_of(v) if key in odd else v for key, v in value.items()}
        return {"value": encoded} | ({"nonfinite": odd} if odd else {})
    if isinstance(value, float) and not math.isfinite(value):
        return {"value": _name_of(value), "nonfinite": True}
    return {"value": value}


def decode(content: Mapping[str, Any]) -> Value:
    """The value in the content of a record; the inverse of `encode`."""
    value, odd = content["value"], content.get("nonfinite", False)
    if isinstance(value, dict):
        return {key: float(v) if key in (odd or ()) else v for key, v in value.items()}
    return float(value) if odd else value


def differences(expected: Value, got: Value, *, rtol: float, atol: float) -> list[str]:
    """What differs by more than `atol + rtol * abs(expected)`, in words; texts and bools must be equal."""
    if isinstance(expected, dict) and isinstance(got, dict):
        if expected.keys() != got.keys():
            return [f"expected the measures {', '.join(expected)}, got {', '.join(got)}"]
        found = {key: differences(expected[key], got[key], rtol=rtol, atol=atol) for key in expected}
        return [f"{key}: {fault}" for key, faults in found.items() for fault in faults]
    same = type(expected) is type(got) and expected == got
    gap = ""
    if _is_number(expected) and _is_number(got):
        same = expected == got or (expected != expected and got != got)
        if math.isfinite(expected) and math.isfinite(got):
            same = abs(got - expected) <= atol + rtol * abs(expected)
            gap = f" (relative difference {abs(got - expected) / abs(expected):.2g})" if expected else ""
    return [] if same else [f"expected {expected!r}, got {got!r}{gap}"]


def format_number(value: Value | None, digits: int = 4) -> str:
    """Number as a reader wants it: `digits` significant digits, as in −4.7×10⁻⁵; None becomes "–"."""
    if value is None:
        return "–"
    if not _is_number(value):
        return str(value)
    if not math.isfinite(value):
        return "not a number" if value != value else "infinity" if value > 0 else "−infinity"
    mantissa, _, exponent = (f"{value:.{digits}g}" if isinstance(value, float) else str(value)).partition("e")
    power = f"×{power_of_ten(int(exponent))}" if exponent else ""
    return mantissa.replace("-", "−") + power


def power_of_ten(exponent: int) -> str:
    """A power of ten as a reader wants it, such as 10⁻³."""
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def _text(content: dict[str, Any]) -> str:
    value, unit = decode(content), f" {content['unit']}" if content["unit"] else ""
    if isinstance(value, dict):
        return "\n".join([f"{content['name']}:", *(f"  {k} = {format_number(v)}{unit}" for k, v in value.items())])
    return f"{content['name']} = {format_number(value)}{unit}"


def _html(content: dict[str, Any]) -> str:
    value, name, unit = decode(content), html.escape(content["name"]), html.escape(content["unit"])
    if isinstance(value, dict):
        cells = ((html.escape(k), f"{html.escape(format_number(v))} {unit}".strip()) for k, v in value.items())
        rows = "".join(f'<tr><th scope="row">{k}</th><td>{v}</td></tr>' for k, v in cells)
        inside = f'<table class="record-table"><caption class="record-name">{name}</caption>{rows}</table>'
    else:
        shown = html.escape(format_number(value))
        inside = f'<span class="record-name">{name}</span> <span class="record-value">{shown}</span>'
        inside += f' <span class="record-unit">{unit}</span>' if unit else ""
    return f'<div class="record">{inside}</div>'


def _is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _name_of(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _same_run(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return all(old.get(key) == new[key] for key in ("name", "parameters", "settings"))


def _setting(name: str, value: Any) -> Any:
    """A setting as JSON has it: a scalar or a list of scalars."""
    if isinstance(value, (list, tuple)):
        return [_setting(name, item) for item in value]
    result = plain(value, name)
    if isinstance(result, dict) or (isinstance(result, float) and not math.isfinite(result)):
        raise ValueError(f"{name}: expected a finite number, a text, a bool or a list of them, got {value!r}")
    return result
