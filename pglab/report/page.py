"""The report as one HTML page that needs nothing else."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jinja2
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from pglab.report.content import Content
from pglab.report.figures import Drawn, figures, together
from pglab.report.methods import methods
from pglab.report.over_problems import OverProblems
from pglab.results import tables
from pglab.results.across import METHOD
from pglab.results.arm_names import arm_labels
from pglab.results.normalised import NORMALISED
from pglab.results.plots.saving import drawn
from pglab.results.tuning import tuned_arms

MOST_DRAWN = 500  # runs; of more, lines weigh more than dots
DOTS, COLOURS = 160, 128  # an inch; and of a picture
MOST_TOLD = 8  # sentences, before the rest is folded away
INCH = 96  # CSS pixels

OF_ARMS = (
    *("n", "mean", "low", "high", "sd", "median", "iqm", "min", "max", "tolerance_low", "tolerance_high"),
    *("finished", "diverged", "stopped", "failed", "unfinished", "not_finite", "missing", "capped", "horizon"),
)
OF_COMPARISONS = (
    *("difference", "low", "high", "p", "p_bonferroni", "p_holm", "p_better", "effect", "effect_name", "correlation"),
    *("n", "n_control", "left_out", "unscored", "diverged", "capped", "horizon", "p_logrank", "test"),
)


@dataclass(frozen=True)
class Table:
    """Cells as text, and the same table to take along.

    Attributes:
        numeric: which columns are numbers.
        note: what a reader has to know of the numbers.
        csv: every column with every digit, as a data URI.
    """

    name: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    note: str
    csv: str


@dataclass(frozen=True)
class Picture:
    """A figure as a data URI, with its width in CSS pixels."""

    section: str
    name: str
    title: str
    caption: str
    source: str
    width: int


def environment() -> jinja2.Environment:
    """The templates of all pages."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("pglab.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(content: Content, refresh: int | None = None) -> str:
    """The page's HTML.

    Args:
        refresh: seconds after which a browser is to read the page anew; None: never.
    """
    scored = not content.runs.empty
    return (
        environment()
        .get_template("page.html")
        .render(
            content=content,
            origin=content.origin,
            pictures=[_picture(one, len(content.runs)) for one in figures(content)] if scored else [],
            arms=_arms(content) if scored else None,
            comparisons=_comparisons(content) if len(content.comparisons) else None,
            problems=_problems(content.over) if content.over else None,
            tuning=_tuning(content) if scored and content.tuned else None,
            methods=methods(content) if scored else [],
            refresh=refresh,
            most=MOST_TOLD,
        )
    )


def _picture(one: Drawn, runs: int) -> Picture:
    content, kind = (drawn(one.figure, ".svg"), "svg+xml") if runs <= MOST_DRAWN else (_dots(one.figure), "png")
    width = round(one.figure.get_figwidth() * INCH)
    return Picture(one.section, one.name, one.title, one.caption, _data(content, f"image/{kind}"), width)


def _dots(figure: Figure) -> bytes:
    """A figure as PNG of few colours, which takes a third of the bytes."""
    content = io.BytesIO()
    Image.open(io.BytesIO(drawn(figure, ".png", DOTS))).convert("RGB").quantize(COLOURS).save(content, "png")
    return content.getvalue()


def _arms(content: Content) -> Table:
    labels = list(arm_labels(content.runs).values())
    kept = content.arms[[name for name in OF_ARMS if not _unknown(content.arms[name])]]
    return _table("arms", content.arms, kept, {"arm": labels}, "95 % interval", "")


def _comparisons(content: Content) -> Table:
    found = content.comparisons
    alike = [f" ({text})" if text else "" for text in found["alike"]]
    arms = [label + among for label, among in zip(found["label"], alike, strict=True)]
    kept = found[[name for name in OF_COMPARISONS if not _unknown(found[name])]]
    names = {"problem": list(found["problem"])} if content.over else {}
    names |= {"arm": arms, "control": list(found["control_label"])}
    interval = "simultaneous 95 % interval" if found["comparisons"].max() > 1 else "95 % interval"
    return _table("comparisons", found, kept, names, interval, together(content))


def _tuning(content: Content) -> Table:
    """The best setting of each arm, and how much depends on finding it."""
    found = tuned_arms(content.runs, content.tuned)
    words = [name for name in ("problem", "arm", *content.tuned) if name in found]
    kept = found.drop(columns=words)
    note = (
        f"{content.score[:1].upper()}{content.score[1:]}, mean over the seeds of a setting. typical and worst: median "
        "and lowest of all settings that were tried; sensitivity: best less typical; near: the share of settings "
        "within a tenth of the way from best to worst. The best of many has been lucky, too: fresh seeds judge it "
        "(`python -m pglab.confirm`)."
    )
    return _table("tuning", found, kept, {name: list(found[name].astype(str)) for name in words}, "", note)


def _problems(over: OverProblems) -> Table:
    """The normalised score of each arm over all problems and on each, under what is 0 and 1 there."""
    note = ". ".join(
        [f"Over problems: {METHOD}", *(f"{NORMALISED.capitalize()} on {line}" for line in over.references)]
    )
    kept = over.arms.drop(columns=["arm", "interval"], errors="ignore")
    arms = {"arm": list(over.arms["arm"])} if len(over.arms) else {"arm": []}
    table = _table("problems", over.arms, kept, arms, "95 % interval", f"{note}.")
    return replace(table, headings=["arm", *kept.columns[:2], "95 % interval", *kept.columns[4:]])


def _table(
    name: str, whole: pd.DataFrame, kept: pd.DataFrame, names: dict[str, list[str]], interval: str, note: str
) -> Table:
    """The kept columns as text beside names of arms; in the file all columns of the whole."""
    shown = tables.readable(kept, interval)
    rows = [
        [*of_arm, *cells] for of_arm, cells in zip(zip(*names.values(), strict=True), shown.to_numpy(), strict=True)
    ]
    numeric = [False] * len(names) + tables.numbers(kept, shown)
    return Table(name, [*names, *shown.columns], rows, numeric, note, _data(tables.to_csv(whole).encode(), "text/csv"))


def _unknown(column: pd.Series) -> bool:
    """True where a column has nothing to tell in this study."""
    return bool(column.isna().all())


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
