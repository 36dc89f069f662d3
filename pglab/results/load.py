"""From a study's folder to tidy frames."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pglab.results.incomplete import Arms, IncompleteStudy, incomplete
from pglab.results.stored import read_arm

GROUPS = ("env", "weighting", "baseline", "head", "network", "optimizer")
MEASURES = (
    "update",
    "env_steps",
    "episodes",
    "return_mean",
    "return_std",
    "length_mean",
    "loss",
    "entropy",
    "grad_norm",
)

Arm = tuple[str, Mapping[str, Any], pd.DataFrame]  # study, what arm.json says, rows


def load(path: str | Path, arms: Iterable[str] | None = None) -> pd.DataFrame:
    """Every run of a study, a row for each (arm, seed, update).

    Columns: `study arm seed`, then `update env_steps episodes return_mean return_std length_mean
    loss entropy grad_norm` (see `pglab.training.measures.Measures`; `env_steps` and `episodes` count
    from the start of the run); where some run was trained with `diagnostics=gradient` what that
    measured (see `pglab.training.diagnostics.DiagnosedMeasures`; NaN where it did not); `status`
    (the run's: finished, diverged, running, stopped or failed), the chosen `env weighting baseline head
    network optimizer`, and every other key that differs between arms under its dotted name.

    Arms come in the order in which they were first asked for, then seeds, then updates.

    Args:
        path: the folder of a study, or one that holds several studies.
        arms: only these, by name; default: all.

    Of a run that has not ended, because it trains now or was interrupted, there are the rows up to its
    last checkpoint.

    Warns:
        IncompleteStudy: seeds, updates or whole runs are missing, with everything that is; no row of
            what there is gets lost.

    Raises:
        FileNotFoundError: there is no study at `path`.
        DamagedError: a file is not what was written; the message says what to do.
    """
    return _load(path, arms, "updates.parquet", MEASURES)


def load_evaluation(path: str | Path, arms: Iterable[str] | None = None) -> pd.DataFrame:
    """The final evaluation, a row for each (arm, seed, episode): `return` and `length`.

    Each run's last policy plays these episodes on streams of their own; the other columns are
    those of `load`, and so is the warning.
    """
    return _load(path, arms, "evaluation.parquet", ("episode", "return", "length"))


def _load(path: str | Path, arms: Iterable[str] | None, file: str, columns: Iterable[str]) -> pd.DataFrame:
    names = None if arms is None else set(arms)
    found = [where for where in find_arms(Path(path).resolve()) if names is None or where.parent.name in names]
    if not found:
        raise FileNotFoundError(f"{path} holds none of the arms {', '.join(sorted(names or ()))}")
    read = [(where.parent.parent.name, *read_arm(where, file)) for where in sorted(found)]
    read.sort(key=lambda arm: (arm[0], in_order(arm[1].get("place"), arm[1]["arm"])))
    if said := incomplete(_by_study(read)):
        warnings.warn(said, IncompleteStudy, stacklevel=3)
    return tidy(read, columns)


def in_order(place: Sequence[Any] | None, arm: str) -> tuple[str, int, str]:
    """What arms of a study are sorted by: when each was first asked for, its place in that command, its name."""
    begun, number = place or ("", 0)
    return str(begun), int(number), arm


def tidy(arms: Sequence[Arm], columns: Iterable[str]) -> pd.DataFrame:
    """One frame of the rows of arms, in their order, with what describes each arm as further columns.

    Args:
        arms: of each its study, what `arm.json` says and its rows.
        columns: those of the rows that come first; others that there are follow.
    """
    extra = _differing_keys([about for _, about, _ in arms])
    frames = [rows.assign(status=rows["seed"].map(_status(about))) for _, about, rows in arms]
    kept = [number for number, frame in enumerate(frames) if len(frame)] or [0]
    rows = pd.concat([frames[number] for number in kept], ignore_index=True)
    measured = dict.fromkeys(["seed", *columns, *rows.columns.drop("status")])
    # One row for each arm, repeated: far quicker than giving every arm's rows columns of their own.
    described = pd.DataFrame([_description(*arms[number][:2], extra) for number in kept])
    described = described.take(np.repeat(range(len(kept)), [len(frames[number]) for number in kept]))
    frame = pd.concat([rows.reindex(columns=[*measured, "status"]), described.reset_index(drop=True)], axis=1)
    return frame[["study", "arm", *measured, "status", *GROUPS, *extra]]


def _status(about: Mapping[str, Any]) -> dict[int, str]:
    return {int(seed): run["status"] for seed, run in about["runs"].items()}


def _description(study: str, about: Mapping[str, Any], extra: list[str]) -> dict[str, Any]:
    """What is the same in all rows of an arm."""
    groups = {group: about["choices"].get(group) for group in GROUPS}
    keys = {key: _plain(about["given"].get(key)) for key in extra}
    return {"study": study, "arm": about["arm"]} | groups | keys


def _by_study(arms: Iterable[Arm]) -> Mapping[str, Arms]:
    studies: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for study, about, _ in arms:
        studies.setdefault(study, {})[about["arm"]] = {int(seed): run for seed, run in about["runs"].items()}
    return studies


def find_arms(path: Path) -> list[Path]:
    """The `arm.json` of every arm in a study's folder, in one that holds several, or in that of the arm itself."""
    found = [*path.glob("arm.json"), *path.glob("*/arm.json"), *path.glob("*/*/arm.json")]
    if not found:
        raise FileNotFoundError(f"{path} holds no study: there is no arm.json in it or up to two folders below")
    return found


def _differing_keys(abouts: list[Mapping[str, Any]]) -> list[str]:
    """Dotted keys of the arms' configurations whose value is not the same in every arm.

    An arm is a configuration without its seed: where, how fast and with which seed first it was
    trained is no column. `_target_` only says again which option of a group was chosen, unless
    it was overridden.
    """
    differing = []
    for key in sorted({key for about in abouts for key in about["given"]}):
        if key.partition(".")[0] not in (*abouts[0]["identity"], "updates"):
            continue
        values = {json.dumps(about["given"].get(key)) for about in abouts}
        if key.partition(".")[0] in GROUPS and key.endswith(("._target_", "._partial_")):
            choice = [about["choices"].get(key.partition(".")[0]) for about in abouts]
            named = {(c, json.dumps(about["given"].get(key))) for c, about in zip(choice, abouts, strict=True)}
            if len(named) == len(set(choice)):
                continue
        if len(values) > 1:
            differing.append(key)
    return differing


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
