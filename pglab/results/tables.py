"""Frames as tables to read: CSV with every digit, Markdown and LaTeX with those that are known."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype

from pglab.results.arm_names import names_in, shared_settings, short_names
from pglab.results.digits import MINUS, NOTHING, fixed, measured, p_value, plain, with_interval
from pglab.shown import shown

ARMS = ("arm", "control", "other")  # columns that hold names of arms
MEASURED = ("mean", "sd", "median", "iqm", "min", "max", "p_better", "effect", "correlation")  # three digits
P_VALUES = ("p", "p_value", "p_bonferroni", "p_holm", "p_logrank")
HEADINGS = {
    "p_value": "p",
    "p_bonferroni": "p (Bonferroni)",
    "p_holm": "p (Holm)",
    "p_logrank": "p (log-rank)",
    "capped": "censored",
}
LATEX = {
    "[": "{[}", "]": "{]}",  # at the start of a row they would be its distance
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", MINUS: "$-$", NOTHING: "--",
    "×": r"$\times$", "≥": r"$\ge$", "≤": r"$\le$", "∞": r"$\infty$", "|": r"$|$", "τ": r"$\tau$", "θ": r"$\theta$",
    "λ": r"$\lambda$", "γ": r"$\gamma$", "∇": r"$\nabla$",
}  # fmt: skip


def readable(frame: pd.DataFrame, interval: str = "95 % interval") -> pd.DataFrame:
    """The same table as text.

    - The column before `low` and `high` is a value with its interval: both are rounded to the second
      significant digit of the interval's half-width, and the two ends become one column. So are
      `NAME_low` and `NAME_high` the interval of `NAME`.
    - P values have two significant digits, but at most four decimals: `.0004`, `< .0001`.
    - Statistics without an interval have three digits.
    - Other numbers stay as they are up to five digits; longer ones keep three, or are whole.
    - Arms are called what tells them apart (`pglab.results.arm_names`), the same in all columns.

    Args:
        interval: what `low` and `high` are; the heading of that column.
    """
    names = _names(frame)
    of_value = _intervals(frame)
    ends = {end for pair in of_value.values() for end in pair}
    columns: dict[str, list[str]] = {}
    for place, name in enumerate(frame.columns):
        values = frame.iloc[:, place]
        if name in of_value:
            low, high = (frame[end] for end in of_value[name])
            pairs = [with_interval(*row) for row in zip(values, low, high, strict=True)]
            columns[_heading(name)] = [value for value, _ in pairs]
            several = len(of_value) > 1
            columns[f"{interval} of {_heading(name)}" if several else interval] = [text for _, text in pairs]
        elif name not in ends:
            columns[_heading(name)] = _texts(name, values.map(names) if name in ARMS else values)
    return pd.DataFrame(columns)


def to_csv(frame: pd.DataFrame) -> str:
    """Every column, every digit and every name in full: for programs."""
    return frame.to_csv(index=False, lineterminator="\n")


def to_markdown(frame: pd.DataFrame, interval: str = "95 % interval") -> str:
    """A pipe table of `readable`; below it what all arms have in common."""
    table = readable(frame, interval)
    cells = [[_markdown(text) for text in row] for row in (table.columns, *table.itertuples(index=False))]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    pads = [str.rjust if right else str.ljust for right in numbers(frame, table)]
    lines = [
        "| " + " | ".join(pad(text, width) for pad, text, width in zip(pads, row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = [
        "-" * (width + 1) + (":" if pad is str.rjust else "-") for pad, width in zip(pads, widths, strict=True)
    ]  # fmt: skip
    lines.insert(1, "|" + "|".join(rule) + "|")
    shared = shared_settings(_arms(frame))
    return "\n".join(lines) + "\n" + (f"\nAll arms: {_markdown(shared)}\n" if shared else "")


def to_latex(frame: pd.DataFrame, interval: str = "95 % interval") -> str:
    r"""A `tabular` of `readable` for `\usepackage{booktabs}`; what all arms have in common is a comment above it."""
    table = readable(frame, interval)
    header, *rows = [
        " & ".join(_latex(text) for text in row) + r" \\" for row in (table.columns, *table.itertuples(index=False))
    ]
    alignment = "".join("r" if right else "l" for right in numbers(frame, table))
    shared = shared_settings(_arms(frame))
    lines = [f"% all arms: {shared}"] if shared else []
    lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", header, r"\midrule", *rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def write_table(frame: pd.DataFrame, path: str | Path, interval: str = "95 % interval") -> Path:
    """Writes a table as .csv, .md or .tex, by the ending of `path`; returns the path.

    Raises:
        ValueError: `path` has another ending; nothing is written.
    """
    path = Path(path)
    writers: dict[str, Callable[[], str]] = {
        ".csv": lambda: to_csv(frame),
        ".md": lambda: to_markdown(frame, interval),
        ".tex": lambda: to_latex(frame, interval),
    }
    if path.suffix not in writers:
        raise ValueError(f"a table is written as {', '.join(writers)}: {path.name!r} does not end in one of them")
    path.write_text(writers[path.suffix](), encoding="utf-8", newline="\n")
    return path


def _intervals(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """The names of both ends, by the name of the value between them."""
    columns = list(frame.columns)
    found = {name: (f"{name}_low", f"{name}_high") for name in columns}
    found = {name: ends for name, ends in found.items() if set(ends) <= set(columns)}
    if {"low", "high"} <= set(columns) and columns.index("low"):
        found[columns[columns.index("low") - 1]] = ("low", "high")
    return found


def _names(frame: pd.DataFrame) -> dict[str, str]:
    """A name for each arm: among those of a column `arm` that are described beside it, or by its name in full."""
    arms = _arms(frame)
    described = names_in(frame) if "arm" in frame else {}
    return described if set(arms) <= described.keys() else short_names(arms)


def _arms(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(arm for name in ARMS if name in frame for arm in frame[name].dropna()))


def _heading(name: str) -> str:
    return HEADINGS.get(name, name.replace("_", " "))


def _texts(name: str, values: pd.Series) -> list[str]:
    if name in P_VALUES:
        write: Callable[[Any], str] = p_value
    elif name in MEASURED:
        write = measured
    elif is_bool_dtype(values):
        write = {True: "yes", False: "no"}.__getitem__
    elif is_integer_dtype(values):
        write = partial(fixed, decimals=0)
    elif is_float_dtype(values):
        write = plain
    else:
        write = str
    return [NOTHING if pd.isna(value) else shown(re.sub(r"\s+", " ", write(value))) for value in values]


def numbers(frame: pd.DataFrame, table: pd.DataFrame) -> list[bool]:
    """True for each column of the readable table that is numbers of the frame: at the right, with words at the left."""
    words = {_heading(name) for name in map(str, frame) if frame[name].dtype.kind not in "iuf"}
    return [heading not in words for heading in table.columns]


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<>~])", r"\\\1", text)


def _latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)
