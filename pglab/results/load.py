"""From a study's folder to tidy frames."""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pglab import settings
from pglab.results.arm_names import full_name, names_of
from pglab.results.incomplete import IncompleteStudy, incomplete
from pglab.settings import FRAME_GROUPS, Decides, decides
from pglab.store.folder import studies_in
from pglab.store.reader import EVALUATION, UPDATES, ArmFolder
from pglab.store.records import ArmRecord

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

Loaded = tuple[str, ArmRecord, pd.DataFrame]  # of an arm: study, record, rows


def load(path: str | Path, arms: Iterable[str] | None = None) -> pd.DataFrame:
    """Every run of a study, a row for each (arm, seed, update).

    Columns: `study arm seed`, then `update env_steps episodes return_mean return_std length_mean
    loss entropy grad_norm` (see `pglab.training.measures.Measures`; `env_steps` and `episodes` count
    from the start of the run); where some run was trained with `diagnostics=gradient` what that
    measured (see `pglab.training.diagnosed.DiagnosedMeasures`, and `UpdateMeasures` there for what
    `diagnostics.epochs=true` adds; NaN where it did not); where some arm has a `step` other than `first_order`,
    `step_kl step_length` (see `pglab.training.natural.Natural`) and `step_backtracks` (see
    `pglab.training.trust_region.TrustRegion`), NaN for the others; `status`
    (the run's: finished, diverged, running, stopped or failed), the chosen `env weighting baseline head
    network optimizer`, every other group of which arms have chosen different options (`init`, one of your
    own), and every other key that differs between arms under its dotted name.

    `arm` is the name in full: every setting that the arm was asked for with, also where its folder's name is cut.

    Arms come in the order in which they were first asked for, then seeds, then updates.

    Args:
        path: the folder of a study, or one that holds several studies.
        arms: only these, by their names in full or those of their folders; default: all.

    Of a run that has not ended, because it trains now or was interrupted, there are the rows up to its
    last checkpoint. One that failed before its first update has a single row, update 0, in which nothing was measured,
    so that whatever counts runs counts it.

    Warns:
        IncompleteStudy: seeds, updates or whole runs are missing, with everything that is, or a folder in
            the study looks like an arm and does not count; no row of what there is gets lost.

    Raises:
        FileNotFoundError: there is no study at `path`.
        DamagedError: a file is not what was written; the message says what to do.
    """
    return _load(path, arms, UPDATES, MEASURES, with_failed)


def load_evaluation(path: str | Path, arms: Iterable[str] | None = None) -> pd.DataFrame:
    """The final evaluation, a row for each (arm, seed, episode): `return` and `length`.

    Each run's last policy plays these episodes on streams of their own; the other columns are
    those of `load`, and so is the warning.
    """
    return _load(path, arms, EVALUATION, ("episode", "return", "length"))


def _load(
    path: str | Path,
    arms: Iterable[str] | None,
    file: str,
    columns: Iterable[str],
    complete: Callable[[ArmRecord, pd.DataFrame], pd.DataFrame] = lambda _, rows: rows,
) -> pd.DataFrame:
    names = None if arms is None else set(arms)
    studies = studies_in(Path(path))
    found = [arm for study in studies for arm in study.arms]
    if names is not None:
        in_full = names.difference(arm.path.name for arm in found)  # others are found without reading any record
        found = [arm for arm in found if arm.path.name in names or (in_full and _is_one_of(arm, in_full))]
    if not found:
        raise FileNotFoundError(f"{path} holds none of the arms {', '.join(sorted(names or ()))}")
    read = [(arm.study, *arm.seen(file)) for arm in found]
    read.sort(key=lambda arm: (arm[0], arm[1].order))
    strays = {} if names is not None else {study.name: study.strays for study in studies}
    if said := incomplete(_by_study(read), strays):
        warnings.warn(said, IncompleteStudy, stacklevel=3)
    return tidy([(study, record, complete(record, rows)) for study, record, rows in read], columns)


def with_failed(record: ArmRecord, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of an arm, and one of update 0 for each run that failed before its first update."""
    there = set(rows["seed"])
    lost = [seed for seed, run in record.runs.items() if run.status == "failed" and seed not in there]
    if not lost:
        return rows
    failed = pd.DataFrame({"seed": lost} | dict.fromkeys(["update", "env_steps", "episodes"], 0))
    both = pd.concat([rows, failed], ignore_index=True) if len(rows) else failed
    return both.sort_values("seed", kind="stable", ignore_index=True)


def tidy(arms: Sequence[Loaded], columns: Iterable[str]) -> pd.DataFrame:
    """One frame of the rows of arms, in their order, with what describes each arm as further columns.

    Args:
        arms: of each its study, its record and its rows.
        columns: those of the rows that come first; others that there are follow.
    """
    records = [record for _, record, _ in arms]
    groups = dict.fromkeys([*FRAME_GROUPS, *settings.differing_groups(record.choices for record in records)])
    keys = _differing_keys(records)
    statuses = [{seed: run.status for seed, run in record.runs.items()} for record in records]
    frames = [rows.assign(status=rows["seed"].map(of)) for (_, _, rows), of in zip(arms, statuses, strict=True)]
    kept = [number for number, frame in enumerate(frames) if len(frame)] or [0]
    rows = pd.concat([frames[number] for number in kept], ignore_index=True)
    measured = dict.fromkeys(["seed", *columns, *rows.columns.drop("status")])
    # One row for each arm, repeated: far quicker than giving every arm's rows columns of their own.
    described = pd.DataFrame([_description(*arms[number][:2], groups, keys) for number in kept])
    described = described.take(np.repeat(range(len(kept)), [len(frames[number]) for number in kept]))
    frame = pd.concat([rows.reindex(columns=[*measured, "status"]), described.reset_index(drop=True)], axis=1)
    return frame[["study", "arm", *measured, "status", *groups, *keys]]


def _description(study: str, record: ArmRecord, groups: Iterable[str], keys: Iterable[str]) -> dict[str, Any]:
    """The columns that are the same in all rows of an arm."""
    chosen = {group: record.choices.get(group) for group in groups}
    return {"study": study, "arm": full_name(record)} | chosen | {key: as_cell(record.given.get(key)) for key in keys}


def _is_one_of(arm: ArmFolder, names: set[str]) -> bool:
    """True for an arm that has one of these names in full."""
    record = arm.record()
    return record is not None and full_name(record) in names


def _by_study(arms: Iterable[Loaded]) -> dict[str, dict[str, Any]]:
    """The runs of each arm of each study, by the names that people know them by."""
    studies: dict[str, list[ArmRecord]] = {}
    for study, record, _ in arms:
        studies.setdefault(study, []).append(record)
    return {
        study: {name: record.runs for name, record in zip(names_of(records).values(), records, strict=True)}
        for study, records in studies.items()
    }


def _differing_keys(records: Sequence[ArmRecord]) -> list[str]:
    """Dotted keys of the arms' configurations whose value is not the same in every arm.

    An arm is a configuration without its seed: where, how fast and with which seed first it was
    trained is no column.
    """
    chosen = [(record.choices, record.given) for record in records]
    differing = []
    for key in sorted({key for record in records for key in record.given}):
        if Decides.NUMBERS not in decides(key) and key != "updates":
            continue
        if len({json.dumps(record.given.get(key)) for record in records}) == 1:
            continue
        if not settings.says_its_choice(key, chosen):
            differing.append(key)
    return differing


def as_cell(value: Any) -> Any:
    """The value of a setting as a column has it."""
    return json.dumps(value) if isinstance(value, list | dict) else value
