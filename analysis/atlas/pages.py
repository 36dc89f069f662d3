"""The pages: HTML that needs nothing else, from the numbers of each axis."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from analysis.atlas.libraries import DEFAULTS, LIBRARIES
from analysis.atlas.measured import Measured, quoted
from pglab.report.page import environment
from pglab.results.digits import fixed, plain, with_interval
from pglab.results.plots import effects as draw_effects
from pglab.results.plots.saving import drawn

UNIT = "normalised return (0: random play, 1: best known)"


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
        {"name": one.axis.name, "title": one.axis.title, "question": one.axis.question, "quote": quoted(one)}
        for one in measured
    ]
    file.write_text(templates.get_template("index.html").render(entries=entries, heat=heat(measured)), encoding="utf-8")
    return file


def page_of(one: Measured) -> dict[str, Any]:
    """The contents of an axis's template."""
    axis = one.axis
    effects = [
        {"problem": row["problem"], "kind": row["kind"], "level": row["level"], "control": row["control_level"],
         "effect": " (".join(with_interval(row["effect"], row["low"], row["high"])) + ")", "n": row["n"]}
        for row in one.effects.to_dict("records")
    ]  # fmt: skip
    inner = one.interaction
    size, interval = with_interval(inner["effect"], inner["low"], inner["high"])
    interaction = (
        f"{inner['factor']}: on {inner['problem']} the effect of {inner['level']} (against {inner['control_level']}) "
        f"is another by {size} ({interval})"
    )
    sure = inner["low"] > 0 or inner["high"] < 0
    libraries = list(zip(LIBRARIES, DEFAULTS[axis.name], strict=True))
    return {
        "axis": axis, "equations": [typeset(line) for line in axis.equation.split(" · ")], "quote": quoted(one),
        "effects": effects, "picture": _picture(one.effects), "unit": UNIT,
        "estimates": [
            {"level": e.level, "verdict": e.verdict, "bias": f"{fixed(100 * e.bias, 2)} %", "cosine": f"{e.cosine:.4f}",
             "variance": plain(float(f"{e.variance:.3g}")), "exact": e.exact}
            for e in one.estimates
        ],
        "interaction": interaction if sure else f"None is sure. The strongest: {interaction}", "libraries": libraries,
        "commands": one.commands,
    }  # fmt: skip


def typeset(formula: str) -> Markup:
    """A formula in HTML: `x_t`, `x_{k≥t}`, `γ^{k-t}` with what follows `_` and `^` lowered and raised."""
    raised = {"_": "sub", "^": "sup"}

    def placed(found: re.Match[str]) -> str:
        tag = raised[found[1]]
        return f"<{tag}>{found[2] or found[3]}</{tag}>"

    return Markup(re.sub(r"([_^])(?:\{([^}]*)\}|(\w+))", placed, str(escape(formula))))


def heat(measured: Sequence[Measured]) -> dict[str, Any]:
    """Axis by problem: the largest effect of any level, and whether its interval leaves out 0."""
    problems = list(dict.fromkeys(name for one in measured for name in one.effects["problem"]))
    rows = []
    for one in measured:
        cells = []
        for problem in problems:
            here = one.effects[one.effects["problem"] == problem]
            if here.empty:
                cells.append(None)
                continue
            top = here.loc[here["effect"].abs().idxmax()]
            strength = min(1.0, float(abs(top["effect"])))
            cells.append(
                {
                    "strength": round(strength, 2),
                    "sure": bool(top["low"] > 0 or top["high"] < 0),
                    "said": f"{top['level']} against {top['control_level']}",
                    "effect": fixed(top["effect"], 2),
                }
            )
        rows.append({"name": one.axis.name, "title": one.axis.title, "cells": cells})
    return {"problems": problems, "rows": rows}


def _picture(table: pd.DataFrame) -> str:
    """Effects under their problems, as SVG within the page."""
    rows = table.assign(factor=table["problem"])
    svg = drawn(
        draw_effects(rows, "normalised return", "95 % intervals, simultaneous on each problem"), ".svg"
    ).decode()
    return svg[svg.index("<svg") :]


def _templates() -> jinja2.Environment:
    """The templates of the atlas, with the style of the reports."""
    templates = environment()
    templates.loader = jinja2.ChoiceLoader(
        [jinja2.FileSystemLoader(Path(__file__).parent), jinja2.PackageLoader("pglab.report", ".")]
    )
    return templates
