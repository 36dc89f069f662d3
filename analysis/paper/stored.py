"""The stored arms that a study asks for now, among all that its folder holds."""

import json
import re
import warnings
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import pandas as pd

from analysis.paper.figure import Study
from pglab.errors import DamagedError
from pglab.results import IncompleteStudy, load
from pglab.settings import Decides, decides
from pglab.store.folder import studies_in
from pglab.store.reader import ArmFolder


def read(study: Study, quick: bool, load: Callable[..., pd.DataFrame] = load) -> pd.DataFrame:
    """The frame of `load` or `load_evaluation` of `pglab.results`, of the arms and seeds that the commands ask for.

    A folder may hold more: arms of former settings, seeds that somebody added.

    Raises:
        FileNotFoundError, DamagedError, IncompleteStudy: it is not, or not wholly, there.
    """
    folder = study.folder(quick)
    names = [arm.path.name for arm in arms(study, quick)]
    asked = sum(prod(len(_values(swept)) for swept in _of_arm(sweep).values()) for sweep in study.sweeps)
    if len(names) != asked:
        raise FileNotFoundError(f"{folder} holds {len(names)} of the {asked} arms that were asked for")
    with warnings.catch_warnings():
        warnings.simplefilter("error", IncompleteStudy)
        rows = load(folder, names)
    return rows[rows["seed"] < (study.quick if quick else study.seeds)].reset_index(drop=True)


def arms(study: Study, quick: bool) -> list[ArmFolder]:
    """Every stored arm that one of the study's commands asks for; none where nothing is stored."""
    try:
        found = studies_in(study.folder(quick))
    except FileNotFoundError:
        return []
    return [arm for one in found for arm in one.arms if _is_asked(arm, study.sweeps)]


def _is_asked(arm: ArmFolder, sweeps: Sequence[Sequence[str]]) -> bool:
    try:
        record = arm.record()
    except DamagedError:  # told of when it is read
        return True
    return record is not None and any(_fits(_of_arm(record.overrides), _of_arm(sweep)) for sweep in sweeps)


def _of_arm(overrides: Sequence[str]) -> dict[str, str]:
    pairs = (override.split("=", 1) for override in overrides)
    return {key: value for key, value in pairs if Decides.NUMBERS in decides(key) or Decides.NAME in decides(key)}


def _fits(given: dict[str, str], sweep: dict[str, str]) -> bool:
    if given.keys() != sweep.keys():
        return False
    return all(_plain(value) in map(_plain, _values(sweep[key])) for key, value in given.items())


def _values(swept: str) -> list[str]:
    """The entries of a comma list, of which each may be a list itself."""
    return re.split(r",(?![^\[]*\])", swept)


def _plain(text: str) -> Any:
    """Numbers, truths and lists by their value: 0.50 is 0.5 and True is true, however it was written."""
    try:
        return json.loads(text.lower())
    except ValueError:
        return text
