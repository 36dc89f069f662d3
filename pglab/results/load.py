"""From a study's folder to tidy frames."""

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pglab.results.incomplete import Arms, IncompleteStudy, incomplete

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


def load(path: str | Path) -> pd.DataFrame:
    """Every run of a study, a row for each (arm, seed, update).

    Columns: `study arm seed`, then `update env_steps episodes return_mean return_std length_mean
    loss entropy grad_norm` (see `pglab.training.arm.Measures`; `env_steps` and `episodes` count
    from the start of the run); where some run was trained with `diagnostics=gradient` what that
    measured (see `pglab.training.diagnostics.DiagnosedMeasures`; NaN where it did not); `status`
    (the run's: finished, diverged, stopped or failed), the chosen `env weighting baseline head
    network optimizer`, and every other key that differs between arms under its dotted name.

    Args:
        path: the folder of a study, or one that holds several studies.

    Warns:
        IncompleteStudy: seeds, updates or whole runs are missing, with everything that is; no row of
            what there is gets lost.

    Raises:
        FileNotFoundError: there is no study at `path`.
    """
    return _load(path, "updates.parquet", MEASURES)


def load_evaluation(path: str | Path) -> pd.DataFrame:
    """The final evaluation, a row for each (arm, seed, episode): `return` and `length`.

    Each run's last policy plays these episodes on streams of their own; the other columns are
    those of `load`, and so is the warning.
    """
    return _load(path, "evaluation.parquet", ("episode", "return", "length"))


def _load(path: str | Path, file: str, columns: Iterable[str]) -> pd.DataFrame:
    abouts = [(about, json.loads(about.read_text())) for about in sorted(_find(Path(path).resolve()))]
    if said := incomplete(_by_study(abouts)):
        warnings.warn(said, IncompleteStudy, stacklevel=3)
    extra = _differing_keys([about for _, about in abouts])
    frames = [_rows(where.parent / file, about["runs"]) for where, about in abouts]
    kept = [number for number, frame in enumerate(frames) if len(frame)] or [0]
    rows = pd.concat([frames[number] for number in kept], ignore_index=True)
    measured = dict.fromkeys(["seed", *columns, *rows.columns.drop("status")])
    # One row for each arm, repeated: far quicker than giving every arm's rows columns of their own.
    described = pd.DataFrame([_description(*abouts[number], extra) for number in kept])
    described = described.take(np.repeat(range(len(kept)), [len(frames[number]) for number in kept]))
    frame = pd.concat([rows.reindex(columns=[*measured, "status"]), described.reset_index(drop=True)], axis=1)
    return frame[["study", "arm", *measured, "status", *GROUPS, *extra]]


def _rows(file: Path, runs: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The rows of an arm's runs, with the status of each."""
    status = {int(seed): run["status"] for seed, run in runs.items()}
    stored = pd.read_parquet(file)
    stored = stored[stored["seed"].isin(list(status))]
    return stored.assign(status=stored["seed"].map(status))


def _description(where: Path, about: dict[str, Any], extra: list[str]) -> dict[str, Any]:
    """What is the same in all rows of an arm."""
    groups = {group: about["choices"].get(group) for group in GROUPS}
    keys = {key: _plain(about["given"].get(key)) for key in extra}
    return {"study": where.parent.parent.name, "arm": about["arm"]} | groups | keys


def _by_study(abouts: list[tuple[Path, dict[str, Any]]]) -> Mapping[str, Arms]:
    studies: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for where, about in abouts:
        runs = {int(seed): run for seed, run in about["runs"].items()}
        studies.setdefault(where.parent.parent.name, {})[about["arm"]] = runs
    return studies


def _find(path: Path) -> list[Path]:
    found = [*path.glob("arm.json"), *path.glob("*/arm.json"), *path.glob("*/*/arm.json")]
    if not found:
        raise FileNotFoundError(f"{path} holds no study: there is no arm.json in it or up to two folders below")
    return found


def _differing_keys(abouts: list[dict[str, Any]]) -> list[str]:
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
