"""A run's policy from the files of its study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.errors import InputError
from pglab.models.parameters import Layout
from pglab.results.arm_names import settings_in, short_names
from pglab.results.incomplete import named_seeds
from pglab.store.checkpoints import last_checkpoint
from pglab.store.encoding import reached, tells_update
from pglab.store.folder import studies_in
from pglab.store.reader import ArmFolder
from pglab.store.records import ArmRecord

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
        arm: by its name, by its short name, or by settings that no other arm has; None: the only one.
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
    found = arms[_chosen(arm, list(arms))]
    return found.steadily(lambda record: _policy(found, record, seed))


def _chosen(wanted: str | None, arms: Sequence[str]) -> str:
    """The one arm that is meant.

    Raises:
        InputError: none is, or several are.
    """
    listed = " ".join(f"arm={arm}" for arm in arms[:MOST]) + f" … and {len(arms) - MOST} more" * (len(arms) > MOST)
    if wanted is None:
        if len(arms) == 1:
            return arms[0]
        raise InputError(f"the study has {len(arms)} arms, name one of them: {listed}")
    short = short_names(arms)
    asked = set(settings_in(wanted))
    for meant in (
        [arm for arm in arms if arm == wanted],
        [arm for arm in arms if short[arm] == wanted],
        [arm for arm in arms if asked <= set(settings_in(arm))],
    ):
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise InputError(f"arm={wanted} could be any of {len(meant)} arms, say more of it: {listed}")
    raise InputError(f"arm={wanted} is not in the study, which has {listed}")


def _policy(arm: ArmFolder, record: ArmRecord, seed: int | None) -> StoredPolicy:
    name, runs, final = arm.path.name, record.runs, arm.policies(record)
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
