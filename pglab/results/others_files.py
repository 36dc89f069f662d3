"""Rows from what other programs leave behind: CSV files, TensorBoard's event files, W&B's histories."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from pglab.errors import InputError

ARM, SEED = "name of the run", "seed of the run"  # columns that are made of a run's name
AT_ONCE = 8  # histories of W&B that are read side by side
NAMES = (  # of runs, by CleanRL, Spinning Up and Stable-Baselines3
    re.compile(r".+?__(?P<arm>.+)__(?P<seed>\d+)__\d+"),
    re.compile(r"(?P<arm>.+)_s(?P<seed>\d+)"),
    re.compile(r"(?P<arm>.+)_(?P<seed>\d+)"),
)


def csv_rows(file: Path, alone: bool) -> pd.DataFrame:
    """The rows of a CSV or TSV file, as pandas reads them.

    Args:
        alone: it has all runs; else it is one run, called as its folder.

    Raises:
        InputError: it is no table.
    """
    try:
        rows = pd.read_csv(file, sep="\t" if file.suffix in (".txt", ".tsv") else ",", comment="#")
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise InputError(f"{file} is no CSV file: {error}") from error
    return rows if alone else rows.assign(**_named(file.resolve().parent.name))


def event_rows(folder: Path, tags: Sequence[str]) -> pd.DataFrame:
    """The returns in TensorBoard's event files below a folder: `env_steps` is the step of each.

    Args:
        tags: that returns may have; the first one that a run has counts.

    Raises:
        InputError: there are no such files, or a run has none of these tags.
        ModuleNotFoundError: `tensorboard` is not installed.
    """
    files = sorted(folder.rglob("*tfevents*"))
    if not files:
        raise InputError(f"{folder} has no event files of TensorBoard in or below it")
    runs = sorted({file.parent for file in files})
    return pd.concat([_events(run, folder, tags) for run in runs], ignore_index=True)


def _events(run: Path, folder: Path, tags: Sequence[str]) -> pd.DataFrame:
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("TensorBoard's files need: pip install 'pglab[tensorboard]'") from error
    found = EventAccumulator(str(run), size_guidance={"scalars": 0})  # 0: every one of them
    found.Reload()
    there = found.Tags()["scalars"]
    tag = next((tag for tag in tags if tag in there), None)
    if tag is None:
        raise InputError(f"{run} has no returns under a known name; return_mean=TAG names them: {', '.join(there)}")
    values = [(event.step, event.value) for event in found.Scalars(tag)]
    name = str(run.relative_to(folder)) if run != folder else run.resolve().name
    return pd.DataFrame(values, columns=["env_steps", tag]).assign(**_named(name))


def wandb_rows(project: str) -> pd.DataFrame:
    """The histories of all runs of a W&B project, each with its configuration's `seed` and `exp_name`, as columns.

    Args:
        project: `entity/project`.

    Raises:
        InputError: there is no such project, or no run in it.
    """
    import wandb

    found = wandb.Api().runs(project, lazy=False)
    try:
        runs = list(found)
    except ValueError as missing:  # the project; nothing else that is wrong is one
        raise InputError(f"W&B has no project {project} for this account; give it as entity/project") from missing
    if not runs:
        raise InputError(f"W&B's project {project} holds no run")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return pd.concat(pool.map(_history, runs), ignore_index=True)


def _history(run: Any) -> pd.DataFrame:
    rows = pd.DataFrame(list(run.scan_history(use_cache=False)))
    states = {"crashed": "failed", "killed": "stopped", "preempted": "stopped"}
    said = {key: run.config[key] for key in ("seed", "exp_name") if key in run.config}
    return rows.assign(**{**_named(run.name), **said, "status": states.get(run.state, run.state)})


def _named(name: str) -> dict[str, str]:
    """Arm and seed in the name of a run; without a seed in it the run is an arm of its own."""
    for pattern in NAMES:
        if found := pattern.fullmatch(name):
            return {ARM: found["arm"], SEED: found["seed"]}
    return {ARM: name, SEED: "0"}
