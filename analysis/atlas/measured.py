"""The numbers of an axis: from continued studies, and from exact problems."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import pglab
from analysis.atlas.axes import UPDATES, Axis
from pglab.errors import InputError
from pglab.results import (
    load,
    load_references,
    load_twins,
    main_effects,
    normalized,
    scores,
)
from pglab.results.arm_choices import same, text
from pglab.results.normalised import reference_lines
from pglab.studies.provenance import provenance

EFFORT = ("effort.batches=400", "effort.cosine_episodes=[]", "effort.epochs=[]", "seeds=1")
HOW = ("logger.mode=disabled", "evaluation.episodes=0")


@dataclass(frozen=True)
class Effort:
    """The amount of training.

    Attributes:
        seeds: of each arm.
        updates: of each run.
        problems: at most so many for each axis.
    """

    seeds: int = 24
    updates: int = UPDATES
    problems: int = 4


@dataclass(frozen=True)
class Estimate:
    """The exact knowledge of one choice.

    Attributes:
        level: of the axis.
        verdict: of `pglab.verify`.
        bias: c - 1, where c ∇J is the mean's part along ∇J; measured where `exact` is false.
        cosine: of the mean with ∇J.
        variance: total variance of the estimate from n episodes, times n.
        exact: false where any of these is measured.
    """

    level: str
    verdict: str
    bias: float
    cosine: float
    variance: float
    exact: bool


@dataclass(frozen=True)
class Measured:
    """Everything that a page says in numbers.

    Attributes:
        axis: that they are of.
        effects: of each level on each problem, with its interval: `problem kind level control_level effect low high n`.
        scales: of each problem, in words what 0 and 1 are there.
        interaction: the row whose interval is furthest from 0, in units of its width, with its `problem`.
        estimates: of each level.
        commands: that make the studies, and the estimates.
        seeds: of each arm.
    """

    axis: Axis
    effects: pd.DataFrame
    scales: dict[str, str]
    interaction: dict[str, Any]
    estimates: list[Estimate]
    commands: list[str]
    seeds: int


def commands_of(axis: Axis, effort: Effort, results: Path) -> list[list[str]]:
    """The overrides of each command that trains an axis: one for each problem, all in one study."""
    return [
        [*problem.overrides, f"updates={effort.updates}", *axis.always, axis.sweep, axis.crossed,
         f"seeds={effort.seeds}", f"study={axis.name}", f"results_dir={results}", *HOW]
        for problem in axis.problems[: effort.problems]
    ]  # fmt: skip


def is_trained(axis: Axis, effort: Effort, results: Path) -> bool:
    """True where everything that an axis needs was trained by these commands and this code."""
    kept = results / f"{axis.name}.json"
    return (
        (results / axis.name).exists()
        and kept.exists()
        and json.loads(kept.read_text()) == _stamp(commands_of(axis, effort, results))
    )


def measure(axis: Axis, effort: Effort, results: Path, on_mismatch: str) -> Measured:
    """Trains and verifies what is missing of an axis, and reads its numbers.

    Raises:
        InputError: a number that the page needs is not there.
    """
    trained, study = commands_of(axis, effort, results), results / axis.name
    if not is_trained(axis, effort, results):
        _train(axis, trained, results, on_mismatch)
    references, twins = load_references(study), _with_levels(load_twins(study), axis)
    known = _with_levels(normalized(scores(load(study), how="area"), references), axis)
    tables, scales = [], dict[str, str]()
    for problem in axis.problems[: effort.problems]:
        here = known[_chosen(known, [*problem.overrides, *axis.always])]
        if here.empty:
            raise InputError(f"the page {axis.name} lacks numbers of {problem.name}, and is not built")
        table = main_effects(here, [axis.key, axis.crossed_key], twins=twins)
        tables.append(table.assign(problem=problem.name, kind=problem.kind))
        scales[problem.name] = reference_lines(here, references)[0].partition(": ")[2]
    table = pd.concat(tables, ignore_index=True)
    effects = table[table["factor"] == axis.key].reset_index(drop=True)
    interactions = table[table["factor"].str.contains("×")].dropna(subset=["effect", "low"])
    verified = ["-m", axis.sweep, *axis.always, *axis.verified, *axis.small.overrides, *EFFORT]
    estimates = _estimates(axis, verified, results)
    _check(axis, effects, interactions, estimates)
    strength = interactions["effect"].abs() / (interactions["high"] - interactions["low"])
    shown = [f"python -m pglab -m {' '.join(overrides)}" for overrides in trained]
    shown.append(f"python -m pglab.verify {' '.join(verified)} results_dir={results}")
    strongest = interactions.loc[strength.idxmax()].to_dict()
    return Measured(axis, effects, scales, strongest, estimates, shown, effort.seeds)


def _stamp(commands: Sequence[Sequence[str]]) -> dict[str, Any]:
    return {"commands": [list(one) for one in commands], "code": provenance({})["pglab"]}


def _train(axis: Axis, commands: Sequence[Sequence[str]], results: Path, on_mismatch: str) -> None:
    """Trains what is missing, and notes that these commands have been."""
    results.mkdir(parents=True, exist_ok=True)
    with (results / f"{axis.name}.log").open("a") as log, contextlib.redirect_stdout(log):
        for overrides in [*commands, commands[0]]:  # once more: the first one did not know yet that there are others
            pglab.run([*overrides, f"on_mismatch={on_mismatch}"])
    (results / f"{axis.name}.json").write_text(json.dumps(_stamp(commands)))


def _chosen(frame: pd.DataFrame, overrides: Sequence[str]) -> pd.Series:
    """The rows of arms with these choices: a study may hold arms that were asked for before."""
    rows = pd.Series(True, frame.index)
    for key, _, wanted in (override.partition("=") for override in overrides):
        if key in frame:  # else all arms are alike in it
            rows &= frame[key].map(lambda value, wanted=wanted: same(text(value), wanted))
    return rows


def _with_levels(frame: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """A frame in which a level that leaves its key empty is called null."""
    return (
        frame.assign(**{axis.key: frame[axis.key].map(lambda x: "null" if pd.isna(x) else x)})
        if axis.key in frame
        else frame
    )


def _estimates(axis: Axis, command: Sequence[str], results: Path) -> list[Estimate]:
    """The exact side of each level, from `pglab.verify`; kept, and found again, with the command and code of it."""
    kept, code = results / "verified" / f"{axis.name}.json", provenance({})["pglab"]
    found = json.loads(kept.read_text()) if kept.exists() else {}
    if (found.get("command"), found.get("code")) != (list(command), code):
        place = results / "verified" / axis.name
        done = subprocess.run(
            [sys.executable, "-m", "pglab.verify", *command, f"results_dir={place}"],
            capture_output=True, text=True, env={**os.environ, "COLUMNS": "120"}, check=False,
        )  # fmt: skip
        files = sorted(place.glob("verify/*/verify.json"), key=lambda file: file.stat().st_mtime)
        if done.returncode not in (0, 1) or not files:
            raise InputError(
                f"{axis.name}: pglab.verify said {done.stderr.strip().splitlines()[-1:] or done.returncode}"
            )
        found = {"command": list(command), "code": code, "estimators": json.loads(files[-1].read_text())["estimators"]}
        kept.write_text(json.dumps(found))
    estimates = [_estimate(axis, one) for one in found["estimators"]]
    order = {level: place for place, level in enumerate(axis.values)}
    return sorted(estimates, key=lambda one: order.get(one.level, len(order)))


def _estimate(axis: Axis, found: dict[str, Any]) -> Estimate:
    (point,) = found["points"]
    named = dict(part.partition("=")[::2] for part in found["estimator"].split(","))
    exact = point["exact_factor"] is not None and point["exact_variance"] is not None
    factor = point["exact_factor"] if point["exact_factor"] is not None else 1 + point["relative_bias"] / 100
    cosine = point["exact_cosine"] if point["exact_cosine"] is not None else point["cosine"]
    variance = point["exact_variance"] if point["exact_variance"] is not None else point["variance"]
    level = {"True": "true", "False": "false", "None": "null"}.get(named.get(axis.key, ""), named.get(axis.key))
    return Estimate(level or axis.values[0], found["verdict"], factor - 1, cosine, variance, exact)


def _check(axis: Axis, effects: pd.DataFrame, interactions: pd.DataFrame, estimates: Sequence[Estimate]) -> None:
    """Raises InputError where a page would lack a number."""
    whole = np.isfinite(effects[["effect", "low", "high"]].astype(float)).all(axis=1)
    lacks = [f"{row['level']} on {row['problem']}" for row in effects[~whole].to_dict("records")]
    lacks += ["an interaction"] if interactions.empty else []
    known = {one.level for one in estimates if np.isfinite([one.bias, one.cosine, one.variance]).all()}
    lacks += [f"bias and variance of {level}" for level in axis.values if level not in known]
    if lacks:
        raise InputError(f"the page {axis.name} lacks numbers of {', '.join(lacks)}, and is not built")
