"""The pages: HTML that needs nothing else, from the numbers of each axis."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from analysis.atlas.libraries import DEFAULTS, LIBRARIES
from analysis.atlas.measured import Measured
from analysis.atlas.sentences import interacting, quoted
from pglab.report.page import environment
from pglab.results.digits import fixed, plain, with_interval
from pglab.results.plots import effects as draw_effects
from pglab.results.plots.saving import drawn

STRONGEST = 45  # per cent of colour, of effects from as many hundredths on: text stays readable


def write_site(measured: Sequence[Measured], place: Path, quick: bool = False) -> Path:
    """Writes a page for each axis and the index; returns the index.

    Args:
        quick: the pages say that little was trained for them.
    """
    place.mkdir(parents=True, exist_ok=True)
    templates = _templates()
    pages = [(one.axis.name, one.axis.title) for one in measured]
    for one in measured:
        text = templates.get_template("axis.html").render(pages=pages, quick=quick, **page_of(one))
        (place / f"{one.axis.name}.html").write_text(text, encoding="utf-8")
    file = place / "index.html"
    entries = [
        {"name": one.axis.name, "title": one.axis.title, "question": one.axis.question, "quote": quoted(one),
         "words": " ".join([one.axis.key, *one.axis.values, *(said for said, _ in DEFAULTS[one.axis.name])])}
        for one in measured
    ]  # fmt: skip
    file.write_text(templates.get_template("index.html").render(entries=entries, heat=heat(measured)), encoding="utf-8")
    return file


def page_of(one: Measured) -> dict[str, Any]:
    """The contents of an axis's template."""
    axis = one.axis
    effects = [
        {"name": problem, "kind": rows["kind"].iloc[0], "rows": [_effect(row) for row in rows.to_dict("records")]}
        for problem, rows in one.effects.groupby("problem", sort=False)
    ]
    estimates = [
        {"level": e.level, "verdict": e.verdict, "bias": f"{fixed(100 * e.bias, 2)} %", "cosine": fixed(e.cosine, 4),
         "variance": plain(float(f"{e.variance:.3g}")), "exact": e.exact}
        for e in one.estimates
    ]  # fmt: skip
    fewest, most = one.effects["n"].min(), one.effects["n"].max()
    return {
        "axis": axis, "formulas": [(level, typeset(formula)) for level, formula in axis.formulas.items()],
        "quote": quoted(one), "effects": effects, "picture": _picture(one.effects), "scales": one.scales,
        "estimates": estimates,
        "seeds": fewest if fewest == most else f"{fewest} to {most}", "interaction": interacting(one),
        "libraries": [(library, *default) for library, default in zip(LIBRARIES, DEFAULTS[axis.name], strict=True)],
        "commands": one.commands,
    }  # fmt: skip


def _effect(row: dict[str, Any]) -> dict[str, str]:
    effect, interval = with_interval(row["effect"], row["low"], row["high"])
    return {"level": row["level"], "effect": effect, "interval": interval}


def typeset(formula: str) -> Markup:
    """A formula in HTML: `x_t`, `x_{k≥t}`, `γ^{k-t}` with what follows `_` and `^` lowered and raised."""
    raised = {"_": "sub", "^": "sup"}

    def placed(found: re.Match[str]) -> str:
        tag = raised[found[1]]
        return f"<{tag}>{found[2] or found[3]}</{tag}>"

    return Markup(re.sub(r"([_^])(?:\{([^}]*)\}|(\w+))", placed, str(escape(formula))))


def breakable(name: str) -> Markup:
    """A name in HTML that may go on in another line after each `_`."""
    return Markup(escape(name).replace("_", Markup("_<wbr>")))


def heat(measured: Sequence[Measured]) -> dict[str, Any]:
    """Axis by problem: the largest effect of any level, which one it is, and whether its interval leaves out 0."""
    problems = list(dict.fromkeys(name for one in measured for name in one.effects["problem"]))
    rows = [
        {"name": one.axis.name, "title": one.axis.title, "cells": [_cell(one.effects, problem) for problem in problems]}
        for one in measured
    ]
    return {"problems": problems, "rows": rows}


def _cell(effects: pd.DataFrame, problem: str) -> dict[str, Any] | None:
    here = effects[effects["problem"] == problem]
    if here.empty:
        return None
    top = here.loc[here["effect"].abs().idxmax()]
    seen = top["low"] > 0 or top["high"] < 0
    return {
        "effect": fixed(top["effect"], 2),
        "level": top["level"],
        "part": min(STRONGEST, round(100 * abs(top["effect"]))),
        "classes": ("gain" if top["effect"] > 0 else "loss") + (" seen" if seen else ""),
    }


def _picture(table: pd.DataFrame) -> str:
    """Effects under their problems, as SVG within the page; a column wide, so that it can be read on a phone."""
    rows = table.assign(factor=table["problem"]).drop(columns="control_level")
    score = f"normalised return, against {table['control_level'].iloc[0]}"
    svg = drawn(draw_effects(rows, score, "95 % intervals, simultaneous on each problem"), ".svg").decode()
    return svg[svg.index("<svg") :]


def _templates() -> jinja2.Environment:
    """The templates of the atlas, with the style of the reports."""
    templates = environment()
    templates.loader = jinja2.ChoiceLoader(
        [jinja2.FileSystemLoader(Path(__file__).parent), jinja2.PackageLoader("pglab.report", ".")]
    )
    templates.filters["breakable"] = breakable
    return templates
