"""The findings as a table, a JSON file and figures."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pglab.results.arm_names import short_names
from pglab.results.estimator_plots import bias_and_variance, gradient_cosine
from pglab.results.plots import save
from pglab.verify.estimator import Finding
from pglab.verify.point import Point

STYLES = {"unbiased": "green", "unbiased up to scale": "green", "biased as declared": "yellow", "wrong": "bold red"}
NO_SCALARS = ("exact_gradient", "exact_mean", "mean", "standard_error", "attribution", "fault")
CAPTION = """\
|∇J|: norm of the exact gradient. z: largest difference of the mean of the
estimates from it in any parameter, in standard errors. Relative bias: of the
mean along ∇J, with the interval that decides: those of an unbiased estimator all
hold 0 together, with 99.9 % probability. Cosine: of the mean with ∇J. Variance:
total variance of the estimate from n episodes, times n. n, SNR 1: episodes in a
batch whose signal |∇J| equals its noise."""
NARROW = 34  # columns of an estimator's name
OF_UPDATES = """\
Mean update: of the parameters' change Δθ over every batch there can be, with its probability, by the rule
and the optimizer that train. Its first step follows the mean above; cosine: with ∇J; relative bias: along ∇J,
beside as many steps along ∇J itself (of plain gradient ascent); clipped: steps beyond the clip range; natural:
cosine with F⁻¹∇J, of a step that follows a natural gradient."""


def show(findings: list[Finding], console: Console) -> None:
    """Prints a table for each estimator, with its verdict."""
    for finding in findings:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("problem\nand seed", no_wrap=True)
        for column in ("|∇J|", "z", "relative\nbias, %", "cosine", "var.\nexact", "var.\nfound", "n, SNR 1"):
            table.add_column(column, justify="right", no_wrap=True)
        for point in finding.points:
            table.add_row(*_cells(point))
        verdict = Text.assemble((finding.verdict, STYLES[finding.verdict]), f": {finding.because}")
        console.print(Group(Text(finding.estimator, style="bold"), table, verdict, Text()))
        if any(point.attribution for point in finding.points):
            console.print(_attributions(finding))
        if finding.updates:
            console.print(_mean_updates(finding))
    console.print(Text(CAPTION, style="dim"))
    if any(finding.updates for finding in findings):
        console.print(Text(OF_UPDATES, style="dim"))


def _attributions(finding: Finding) -> Group:
    """The bias of an estimator choice by choice, where it is known exactly, as a table."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("problem\nand seed", "with"):
        table.add_column(column, no_wrap=True)
    for column in ("adds\nalong", "adds\naside", "factor", "cosine"):
        table.add_column(column, justify="right", no_wrap=True)
    for point in finding.points:
        for number, share in enumerate(point.attribution):
            where = "" if number else f"{point.problem} {point.seed}"
            added = ("", "") if not number else (f"{share.along:+.4f}", f"{share.aside:.4f}")
            table.add_row(where, share.choice, *added, f"{share.factor:.6f}", f"{share.cosine:.6f}")
    return Group(Text("the exact mean, with one choice more in each line; what that adds, in units of ∇J"), table)


def _mean_updates(finding: Finding) -> Group:
    """The mean updates of an estimator as a table."""
    first = finding.updates[0]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("problem\nand seed", no_wrap=True)
    last = "clipped,\n%" if first.natural_cosine is None else "natural"
    for column in ("epochs", "steps", "cosine", "relative\nbias, %", "KL,\nnats", last):
        table.add_column(column, justify="right", no_wrap=True)
    for update in finding.updates:
        bias, clipped = (
            "-" if share is None else _digits(100 * share, sign)
            for share, sign in ((update.relative_bias, "+"), (update.clip_fraction, ""))
        )
        shown = clipped if update.natural_cosine is None else f"{update.natural_cosine:.4f}"
        numbers = (f"{update.epochs}", f"{update.steps}", f"{update.cosine:.4f}", bias, _digits(update.kl), shown)
        table.add_row(f"{update.problem} {update.seed}", *numbers)
    batches = f"mean update over all {first.batches:,} different batches of {first.episodes} episodes"
    last = finding.updates[-1]
    if last.clip_adds is None:
        return Group(Text(batches), table)
    changed = f"the clip changes the mean update after {last.epochs} epochs by"
    return Group(Text(batches), table, Text(f"{changed} {_digits(100 * last.clip_adds)} % of its length"))


def show_summary(findings: list[Finding], console: Console) -> None:
    """Prints a line for each estimator, and below them why one is wrong."""
    names = short_names([finding.estimator for finding in findings])
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("estimator", max_width=NARROW)
    table.add_column("verdict", no_wrap=True)
    for column in ("largest relative\nbias, %", "variance\nto rtg's"):
        table.add_column(column, justify="right", no_wrap=True)
    for finding in findings:
        known = [point for point in finding.points if math.isfinite(point.relative_bias)]
        worst = max(known, key=lambda point: abs(point.relative_bias), default=None)
        table.add_row(
            Text(names[finding.estimator]),
            Text(finding.verdict, STYLES[finding.verdict]),
            _bias(worst) if worst else "-",
            "-" if finding.variance_to_rtg is None else f"×{_digits(finding.variance_to_rtg)}",
        )
    console.print(table)
    console.print(Text("largest of all points, with the interval that decides; variance: mean ratio over points"))
    for finding in findings:
        if finding.verdict == "wrong":
            console.print(Text(f"{names[finding.estimator]}: {finding.because}"))


def write(findings: list[Finding], about: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `verify.json` and the figures; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "verify.json"]
    content = {**about, "estimators": [_plain(dataclasses.asdict(finding)) for finding in findings]}
    files[0].write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    points, cosines = frames(findings)
    drawn = {"bias_and_variance": bias_and_variance(points)}
    if len(cosines):
        drawn["gradient_cosine"] = gradient_cosine(cosines)
    for name, figure in drawn.items():
        for ending in ("pdf", "png"):
            files.append(save(figure, folder / f"{name}.{ending}"))
    return files


def frames(findings: list[Finding]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows for each point and for each cosine, with the estimator's name."""
    points = [{"estimator": finding.estimator, **_scalars(point)} for finding in findings for point in finding.points]
    cosines = [{"estimator": finding.estimator, **row} for finding in findings for row in finding.cosines]
    return pd.DataFrame(points).astype({"exact_variance": float}), pd.DataFrame(cosines)


def _scalars(point: Point) -> dict[str, Any]:
    """The numbers and words of a point."""
    return {name: value for name, value in vars(point).items() if name not in NO_SCALARS}


def _cells(point: Point) -> list[Text]:
    norm = float(np.linalg.norm(point.exact_gradient))
    bias = _bias(point) if norm else "-"
    variance = "-" if point.exact_variance is None else _digits(point.exact_variance)
    cells = [_digits(norm), _digits(point.z), bias, f"{point.cosine:.3f}", variance]
    cells += [_digits(point.variance), f"{point.episodes_for_snr_1:,.0f}"]
    style = STYLES["wrong"] if point.verdict == "wrong" else ""
    return [Text(cell, style) for cell in (f"{point.problem} {point.seed}", *cells)]


def _bias(point: Point) -> str:
    return f"{_digits(100 * point.relative_bias, '+')} ±{_digits(50 * (point.high - point.low))}"


def _digits(x: float, sign: str = "") -> str:
    """Three significant digits, and never an exponent for what is large."""
    if abs(x) >= 100:
        return f"{x:{sign},.0f}"
    return f"{x:{sign}.3g}" if abs(x) >= 10 else f"{x:{sign}.2f}" if abs(x) >= 0.1 else f"{x:{sign}.2g}"


def _plain(value: Any) -> Any:
    """Turns a value into what JSON can hold; null for a number that is none."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
