"""From a study's folder to tidy frames."""

import hashlib
import io
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pglab.results.incomplete import Arms, IncompleteStudy, incomplete
from pglab.sealed import DamagedError, unseal_text

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


def load(path: str | Path, arms: Iterable[str] | None = None) -> pd.DataFrame:
    """Every run of a study, a row for each (arm, seed, update).

    Columns: `study arm seed`, then `update env_steps episodes return_mean return_std length_mean
    loss entropy grad_norm` (see `pglab.training.arm.Measures`; `env_steps` and `episodes` count
    from the start of the run); where some run was trained with `diagnostics=gradient` what that
    measured (see `pglab.training.diagnostics.DiagnosedMeasures`; NaN where it did not); `status`
    (the run's: finished, diverged, stopped or failed), the chosen `env weighting baseline head
    network optimizer`, and every other key that differs between arms under its dotted name.

    Args:
        path: the folder of a study, or one that holds several studies.
        arms: only these; default: all.

    Warns:
        IncompleteStudy: seeds, updates or whole runs are missing, with everything that is; no row of
            what there is gets lost.

    Raises:
        FileNotFoundError: there is no study at `path`.
        pglab.sealed.DamagedError: a file is not as it was written.
    """
    return _load(path, arms, "updates.parquet", MEASURES)


def load_evaluation(path: str | Path, arms: Iterable[str] | None = None) -> pd.DataFrame:
    """The final evaluation, a row for each (arm, seed, episode): `return` and `length`.

    Each run's last policy plays these episodes on streams of their own; the other columns are
    those of `load`, and so is the warning.
    """
    return _load(path, arms, "evaluation.parquet", ("episode", "return", "length"))


def _load(path: str | Path, arms: Iterable[str] | None, file: str, columns: Iterable[str]) -> pd.DataFrame:
    found = _find(Path(path).resolve(), None if arms is None else set(arms))
    read = [(where, *_stored(where, file)) for where in sorted(found)]
    abouts = [(where, about) for where, about, _ in read]
    if said := incomplete(_by_study(abouts)):
        warnings.warn(said, IncompleteStudy, stacklevel=3)
    extra = _differing_keys([about for _, about in abouts])
    frames = [_rows(rows, about["runs"]) for _, about, rows in read]
    kept = [number for number, frame in enumerate(frames) if len(frame)] or [0]
    rows = pd.concat([frames[number] for number in kept], ignore_index=True)
    measured = dict.fromkeys(["seed", *columns, *rows.columns.drop("status")])
    # One row for each arm, repeated: far quicker than giving every arm's rows columns of their own.
    described = pd.DataFrame([_description(*abouts[number], extra) for number in kept])
    described = described.take(np.repeat(range(len(kept)), [len(frames[number]) for number in kept]))
    frame = pd.concat([rows.reindex(columns=[*measured, "status"]), described.reset_index(drop=True)], axis=1)
    return frame[["study", "arm", *measured, "status", *GROUPS, *extra]]


def _stored(where: Path, file: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """What `arm.json` says, and the rows in a file beside it, while another process may be writing both."""
    before = None
    while True:
        about = unseal_text(where)
        try:
            content = (where.parent / file).read_bytes()
        except FileNotFoundError:
            content = None
        checksum = None if content is None else hashlib.sha256(content).hexdigest()
        if checksum in about.get("files", {}).get(file, [checksum]):
            return about, pd.DataFrame({"seed": []}) if content is None else pd.read_parquet(io.BytesIO(content))
        if about == before:
            raise DamagedError(f"{where.parent / file} is {'gone' if content is None else 'damaged'}")
        before = about


def _rows(stored: pd.DataFrame, runs: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The rows of an arm's runs, with the status of each."""
    status = {int(seed): run["status"] for seed, run in runs.items()}
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


def _find(path: Path, arms: set[str] | None) -> list[Path]:
    found = [*path.glob("arm.json"), *path.glob("*/arm.json"), *path.glob("*/*/arm.json")]
    found = [about for about in found if arms is None or about.parent.name in arms]
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
