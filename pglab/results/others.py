"""Runs of other programs beside one's own: CSV files, frames, TensorBoard's event files and W&B projects as arms."""

import zlib
from collections.abc import Mapping
from glob import glob, has_magic
from pathlib import Path

import numpy as np
import pandas as pd

from pglab.errors import InputError
from pglab.results.by_problem import by_problem
from pglab.results.load import MEASURES
from pglab.results.others_files import ARM, SEED, csv_rows, event_rows, wandb_rows
from pglab.settings import FRAME_GROUPS, of_problem

WANDB = "wandb:"
# Columns of ours, and what common programs call them, the likeliest first.
KNOWN = {
    "return_mean": (
        "return_mean", "charts/episodic_return", "episodic_return", "rollout/ep_rew_mean", "ep_rew_mean", "eprewmean",
        "AverageEpRet", "charts/avg_episodic_return", "return",
    ),
    "env_steps": (
        "env_steps", "global_step", "time/total_timesteps", "total_timesteps", "TotalEnvInteracts", "timesteps", "step",
    ),
    "arm": ("arm", "exp_name", "algo", ARM),
    "seed": ("seed", SEED),
    "status": ("status",),
}  # fmt: skip
NEEDED = ("return_mean", "env_steps", "arm", "seed")


def read_runs(
    source: str | Path | pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    arm: str | None = None,
    beside: pd.DataFrame | None = None,
    problem: str | None = None,
) -> pd.DataFrame:
    """The runs of another program as arms, in the frame of `pglab.results.load`, for all that takes one.

    Args:
        source: a frame or a CSV file with a row for each (arm, seed, step); a pattern of files of one run each
            (`logs/*/progress.csv`), which are called by their folders; a folder with TensorBoard's event files below
            it, a run a folder; or `wandb:entity/project`.
        columns: what the source calls `return_mean`, `env_steps`, `arm`, `seed` and `status`, such as
            `{"return_mean": "eval/score"}`; of TensorBoard the tag with the returns. What is not given is looked for
            under the names that CleanRL, Stable-Baselines3 and Spinning Up use (`KNOWN`).
        arm: the name of all these runs, in place of that column; `cleanrl_ppo`.
        beside: the frame of `load`; its rows come first, and the others are on its problem.
        problem: the one that they are on, where `beside` is on several, or the choice of `env` without it.

    A run is finished unless `status` says otherwise. Its update is its n-th row; `return_mean` may be of an episode
    or of many, and `scores` takes one number a run of either.

    These runs never make pairs: equal seeds of two programs share no random number. So `seed` is a negative number of
    each run's own, and `their_seed` what the source says; verdicts say "not paired".

    Raises:
        InputError: the source cannot be read, or lacks a column; the message names those that there are.
        ModuleNotFoundError: of TensorBoard's files, without the extra `pglab[tensorboard]`.
    """
    rows = _renamed(_rows(source, columns or {}), dict(columns or {}), arm)
    rows = rows.dropna(subset=["return_mean", "env_steps"]).sort_values("env_steps", kind="stable")
    if rows.empty:
        raise InputError(f"{_called(source)} has no row with both a return and a number of steps")
    rows["arm"] = [name.replace(",", ";").replace("=", ":") for name in rows["arm"].astype(str)]
    study = _called(source)
    run = rows.groupby(["arm", "seed"], sort=False)
    frame = rows.assign(study=study, their_seed=rows["seed"], update=run.cumcount() + 1, episodes=np.nan)
    frame["seed"] = [
        -1 - zlib.crc32(repr((study, *one)).encode()) for one in zip(rows["arm"], rows["seed"], strict=True)
    ]
    frame["env_steps"] = frame["env_steps"].astype("int64")
    if "status" not in frame:
        frame["status"] = "finished"
    frame = frame.sort_values(["arm", "their_seed", "update"], key=_in_order, kind="stable", ignore_index=True)
    frame = frame.reindex(columns=["study", "arm", "seed", *MEASURES, "their_seed", "status", *FRAME_GROUPS])
    return _beside(frame, beside, problem)


def _in_order(column: pd.Series) -> pd.Series:
    """Seeds by number, where they are numbers; arms as they come."""
    if column.name == "arm":
        return column.map({name: place for place, name in enumerate(dict.fromkeys(column))})
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().all() else column


def _rows(source: str | Path | pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    name = str(source)
    if name.startswith(WANDB):
        return wandb_rows(name.removeprefix(WANDB))
    if has_magic(name) and (files := sorted(map(Path, glob(name)))):
        return pd.concat([csv_rows(file, alone=False) for file in files], ignore_index=True)
    if Path(name).is_dir():
        given = columns.get("return_mean")
        return event_rows(Path(name), [given] if given else KNOWN["return_mean"])
    if Path(name).is_file():
        return csv_rows(Path(name), alone=True)
    raise InputError(f"{name} is no file, no folder with TensorBoard's files and no {WANDB}entity/project")


def _renamed(rows: pd.DataFrame, given: dict[str, str], arm: str | None) -> pd.DataFrame:
    """The rows with our names for their columns, and no others."""
    there = [str(name) for name in rows.columns]
    for ours, theirs in given.items():
        if ours not in KNOWN:
            raise InputError(f"columns are given for {', '.join(KNOWN)}; got {ours}={theirs}")
        if theirs not in there:
            raise InputError(f"there is no column {theirs}; there are: {', '.join(there)}")
    found = {ours: next((name for name in names if name in there), None) for ours, names in KNOWN.items()}
    found |= given
    if arm is not None:
        rows, found["arm"] = rows.assign(arm=arm), "arm"
    for ours in NEEDED:
        if found[ours] is None:
            raise InputError(f"no column says {ours}; name it, such as {ours}=NAME: there are {', '.join(there)}")
    kept = {ours: rows[theirs] for ours, theirs in found.items() if theirs is not None}
    frame = pd.DataFrame(kept)
    for number in ("return_mean", "env_steps"):
        try:
            frame[number] = pd.to_numeric(frame[number])
        except ValueError as error:
            raise InputError(f"column {found[number]}, which is to be {number}, is not all numbers: {error}") from error
    return frame


def _called(source: str | Path | pd.DataFrame) -> str:
    if isinstance(source, pd.DataFrame):
        return "frame"
    name = str(source)
    return name.removeprefix(WANDB) if name.startswith(WANDB) else Path(name).resolve().stem or name


def _beside(frame: pd.DataFrame, own: pd.DataFrame | None, problem: str | None) -> pd.DataFrame:
    if own is None:
        return frame.assign(env=problem)
    parts = by_problem(own)
    if problem is None and len(parts) > 1:
        raise InputError(f"these runs are on one problem; name it by problem=…: {'; '.join(parts)}")
    if problem is not None and problem not in parts:
        raise InputError(f"problem={problem} is none of {'; '.join(parts)}")
    of_problem_rows = parts[problem] if problem is not None else own
    told = {key: of_problem_rows[key].iloc[0] for key in own.columns if of_problem(str(key))}
    taken = set(own["arm"]) & set(frame["arm"])
    if taken:
        raise InputError(f"{', '.join(sorted(taken))}: an arm of one's own has that name; give another one by arm=NAME")
    frame = frame.assign(**told)
    both = pd.concat([own, frame.dropna(axis="columns", how="all")], ignore_index=True)
    seeds = both.pop("their_seed")
    both.insert(both.columns.tolist().index("status"), "their_seed", seeds)  # what comes after it describes arms
    return both
