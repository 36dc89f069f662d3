"""A run's policy from the files of its study."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.errors import DamagedError, InputError
from pglab.models.parameters import Layout
from pglab.results.arm_names import described, full_name, names_of
from pglab.results.finding import meant
from pglab.results.incomplete import named_seeds
from pglab.store.checkpoints import last_checkpoint
from pglab.store.encoding import reached, tells_update
from pglab.store.folder import studies_in
from pglab.store.reader import ABOUT, ArmFolder
from pglab.store.records import ArmRecord, parse

MOST = 20  # arms that are named before the rest is only counted
PARAMETERS = "state/policy/parameters"  # of a checkpoint, one flat row for each seed


@dataclass(frozen=True)
class StoredPolicy:
    """One run's policy.

    Attributes:
        settings: those of its arm that decide the numbers of an update.
        parameters: by name; or from a checkpoint all of them as one flat row `[P]`.
        told: in words, which of the run's policies it is.
        trouble: what is to be said of a damaged checkpoint, beside the one that was used.
    """

    arm: str
    seed: int
    settings: Mapping[str, Any]
    parameters: Mapping[str, np.ndarray] | np.ndarray
    told: str
    trouble: str | None

    def flat(self, layout: Layout) -> Tensor:
        """All parameters as one row `[P]`.

        Raises:
            InputError: they are not those of a network with this layout.
        """
        if isinstance(self.parameters, np.ndarray):
            there, here = {"all": self.parameters.shape}, {"all": (layout.size,)}
        else:
            there, here = {name: array.shape for name, array in self.parameters.items()}, dict(layout.shapes)
        if there != here:
            raise InputError(
                f"the policy of arm {self.arm}, seed {self.seed}, has the parameters {there}, and its network here "
                f"takes {here}: its code has changed since"
            )
        if isinstance(self.parameters, np.ndarray):
            return torch.from_numpy(self.parameters.copy())
        return layout.flatten({name: torch.from_numpy(array) for name, array in self.parameters.items()})


def find_policy(study: Path, arm: str | None, seed: int | None) -> StoredPolicy:
    """The final policy of a run; of one that has not ended the policy in its last checkpoint.

    Args:
        study: its folder, or that of one of its arms.
        arm: by its name, by its short name, or by settings that no other arm has, see
            `pglab.results.finding.meant`; None: the only one.
        seed: None: the first one of the arm that has a policy.

    Raises:
        InputError: there is no such study, arm or run, or several of them; or the run has no policy yet.
        DamagedError: a file is not what was written.
    """
    try:
        studies = studies_in(study)
    except FileNotFoundError as error:
        raise InputError(str(error)) from error
    if len(studies) > 1:
        named = ", ".join(str(one.path) for one in studies)
        raise InputError(f"{study} holds several studies, name one of them: {named}")
    arms = {one.path.name: one for one in studies[0].arms}
    records = {name: _record(one) for name, one in arms.items()}
    names = names_of(sorted(records.values(), key=lambda record: record.order))
    chosen = _chosen(arm, records, names)
    return arms[chosen].steadily(lambda record: _policy(arms[chosen], names[chosen], record, seed))


def _record(arm: ArmFolder) -> ArmRecord:
    """The record of an arm; of a damaged one, which may not be the one that is meant, its name."""
    try:
        return parse(arm.path / ABOUT)
    except DamagedError:
        return ArmRecord(arm.path.name, {}, {}, {})


def _chosen(wanted: str | None, records: Mapping[str, ArmRecord], names: Mapping[str, str]) -> str:
    """The one arm that is meant, by the name of its folder.

    Raises:
        InputError: none is, or several are.
    """
    if wanted is None:
        if len(names) == 1:
            return next(iter(names))
        raise InputError(f"the study has {len(names)} arms, name one of them: {_listed([*names.values()])}")
    known = {arm: (arm, full_name(records[arm]), name) for arm, name in names.items()}
    found = meant(wanted, known, {arm: described(record) for arm, record in records.items()})
    if not found:
        raise InputError(f"arm={wanted} is not in the study, which has {_listed([*names.values()])}")
    if len(found) > 1:
        several = _listed([names[arm] for arm in found])
        raise InputError(f"arm={wanted} could be any of {len(found)} arms, say more of it: {several}")
    return found[0]


def _listed(names: Sequence[str]) -> str:
    """The arms as one would ask for them."""
    asked = " ".join(shlex.quote(f"arm={name.replace(', ', ',')}") for name in names[:MOST])
    return asked + f" … and {len(names) - MOST} more" * (len(names) > MOST)


def _policy(arm: ArmFolder, name: str, record: ArmRecord, seed: int | None) -> StoredPolicy:
    runs, final = record.runs, arm.policies(record)
    ended = {number for number, run in runs.items() if run.ended and number in final}
    left = runs.keys() - ended
    arrays, trouble = last_checkpoint(arm.path, lambda name: tells_update(name) or name.endswith(PARAMETERS))
    goes_on = {number: update for number, update in reached(arrays).items() if number in left}
    there = sorted(ended | goes_on.keys())
    if not there:
        raise InputError(f"{arm.path} holds no policy yet" + (f" ({trouble})" if trouble else ""))
    chosen = there[0] if seed is None else seed
    if chosen not in there:
        missing = "has no policy yet" if chosen in runs else "is not there"
        beside = f" ({trouble})" if trouble and chosen in runs else ""
        raise InputError(f"seed={chosen} of arm {name} {missing}{beside}; there are {named_seeds(there)}")
    run = runs[chosen]
    if chosen in ended:
        told = f"final policy, after {run.updates} updates"
        if run.status == "diverged":
            told = f"last policy before it diverged, at update {run.updates}"
        return StoredPolicy(name, chosen, record.identity, final[chosen], told, None)
    state = "trains now" if arm.held else "is unfinished"
    told = f"policy of its last checkpoint, at update {goes_on[chosen]} of {run.asked} (the run {state})"
    return StoredPolicy(name, chosen, record.identity, _in_checkpoint(arrays, chosen), told, trouble)


def _in_checkpoint(arrays: Mapping[str, np.ndarray], seed: int) -> np.ndarray:
    """The furthest parameters of a seed, `[P]`."""
    parts = [name.removesuffix("/seeds") for name in arrays if name.endswith("/seeds")]
    part = max((p for p in parts if seed in arrays[f"{p}/seeds"]), key=lambda p: int(arrays[f"{p}/update"]))
    return arrays[f"{part}/{PARAMETERS}"][arrays[f"{part}/seeds"].tolist().index(seed)]
