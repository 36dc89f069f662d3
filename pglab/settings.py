"""The role of every setting: whether it decides numbers, shapes or only the where and how. One table for all.

Whoever names an arm, tells two arms apart, puts runs into one bundle, or compares what is stored with what
is asked for goes by it. `tests/test_settings.py` holds it against every key of `conf/`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Flag, auto
from typing import Any


class Decides(Flag):
    """The role of a setting: numbers, shapes, or only the where and how."""

    NUMBERS = auto()  # those of an update: with another value it is another arm
    SHAPES = auto()  # of tensors: runs that differ in it train in bundles of their own
    NAME = auto()  # of the arm, where a user sets it
    COMMAND = auto()  # where, how fast and beside what to train: one value for all runs of a command
    ROW = auto()  # which run of an arm, and how far it goes


ARM = Decides.NUMBERS | Decides.NAME
BUNDLE = ARM | Decides.SHAPES

KEYS: Mapping[str, Decides] = {
    "env": BUNDLE,
    "weighting": ARM,
    "baseline": ARM,
    "head": BUNDLE,
    "network": BUNDLE,
    "init": ARM,
    "optimizer": ARM,
    "batch": BUNDLE,
    "surrogate": ARM,
    "reuse": ARM,
    "step": ARM,
    "schedule": ARM,
    "observations": BUNDLE,
    "rewards": ARM,
    "estimator": ARM,
    "gamma": ARM,
    "lanes": BUNDLE,
    "device": BUNDLE,
    "backend": BUNDLE,
    "evaluation": Decides.NUMBERS | Decides.SHAPES,
    "experiment": Decides.NAME,  # a group without settings of its own
    "seed": Decides.ROW,
    "seeds": Decides.ROW,
    "updates": Decides.ROW,
    # An arm is the same whatever is measured or filmed beside its updates: its finished runs are neither
    # refused nor trained again to be measured.
    "diagnostics": Decides.COMMAND,
    "render_every": Decides.COMMAND,
    "until": Decides.COMMAND,
    "logger": Decides.COMMAND,
    "study": Decides.COMMAND,
    "results_dir": Decides.COMMAND,
    "workers": Decides.COMMAND,
    "cluster": Decides.COMMAND,
    "fuse": Decides.COMMAND,
    "on_mismatch": Decides.COMMAND,
    "fail_fast": Decides.COMMAND,
    "plan": Decides.COMMAND,
    # Of `python -m pglab.verify`.
    "problems": ARM,
    "effort": Decides.COMMAND,
}

NO_BASELINE = "pglab.algorithms.baselines.NoBaseline"
HELD_BY_OTHERS = ("baseline",)  # groups of which nothing is built but what another component holds of them
DEFAULT_ENV = "cartpole"  # that of `conf/config.yaml`
FRAME_GROUPS = ("env", "weighting", "baseline", "head", "network", "optimizer")  # columns of every frame
SHORT = 100  # letters of a folder's name
ROOM = 246  # bytes of a folder's name, of 255, beside its mark
SAID_WHOLE = frozenset({"seed", "id", "steps", "_target_"})  # endings of dotted keys that say too little alone
RETIRED = {("weighting", "discount_states"): ("estimator", "discount_states")}  # and what says the same now

# Groups, keys and arguments that came later, at the setting that changes nothing, for studies stored without them.
LATER_GROUPS = {
    "surrogate": {"_target_": "pglab.algorithms.objectives.Surrogate"},
    "reuse": {"_target_": "pglab.training.update.OneStep"},
    "step": {"_target_": "pglab.training.update.FirstOrder"},
    "schedule": {"_target_": "pglab.training.schedule.Constant"},
    "observations": {"_target_": "pglab.training.observations.Raw"},
    "rewards": {"_target_": "pglab.algorithms.rewards.Raw"},
    "backend": "torch",
}
LATER_KEYS = {"evaluation": {"greedy": False}}  # of mappings without a `_target_`
LATER_ARGUMENTS = {
    "pglab.algorithms.losses.Estimator": {
        "clip_together": False, "budget": 1.0, "kl_reference": 0.0, "kl_form": "k3", "kl_in": "loss",
    },
    "pglab.algorithms.objectives.Clip": {"clip_low": None, "clip_high": None},
    "pglab.algorithms.baselines.Value": {
        "fit": "after", "target": "returns", "loss": "mse", "clip": 0.2, "coefficient": 1.0, "normalize_targets": False,
    },
}  # fmt: skip


def decides(key: str) -> Decides:
    """The role of a setting, by its dotted key; a group or key of the user's own makes an arm."""
    return KEYS.get(key.partition(".")[0], ARM)


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide the numbers of an update."""
    return {key: value for key, value in settings.items() if Decides.NUMBERS in decides(key)}


def used(settings: Mapping[str, Any]) -> str:
    """A text that is equal where settings differ at most in a choice that nothing makes use of."""
    return canonical({group: own for group, own in settings.items() if group not in HELD_BY_OTHERS})


def as_now(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity that was stored, in the keys of today.

    Without retired keys, but one that says other than its successor stays, and differs; with those that came
    later, at the setting that changes nothing.
    """
    kept = {**LATER_GROUPS, **_with_later_arguments(identity)}
    kept |= {name: {**later, **kept[name]} for name, later in LATER_KEYS.items() if isinstance(kept.get(name), Mapping)}
    for (group, key), (new_group, new_key) in RETIRED.items():
        old, new = identity.get(group, {}), identity.get(new_group, {})
        if key in old and old[key] == new.get(new_key):
            kept[group] = {name: value for name, value in kept[group].items() if name != key}
    return kept


def _with_later_arguments(settings: Any) -> Any:
    if not isinstance(settings, Mapping):
        return settings
    later = LATER_ARGUMENTS.get(settings.get("_target_", ""), {})
    return {**later, **{key: _with_later_arguments(value) for key, value in settings.items()}}


def shapes(settings: Mapping[str, Any]) -> str:
    """A text that is equal for arms that can train in one bundle."""
    return canonical({key: value for key, value in settings.items() if Decides.SHAPES in decides(key)})


def naming(overrides: Iterable[str]) -> list[str]:
    """The overrides that are part of an arm's name, sorted."""
    asked = (override.lstrip("+~") for override in overrides)
    return sorted(a for a in asked if Decides.NAME in decides(re.split(r"[.=@]", a)[0]) and not a.startswith("hydra"))


def name_in_full(overrides: Iterable[str]) -> str:
    """The keys that were set, with their values: `env=cartpole,weighting=rtg`; `default` where there are none."""
    return ",".join(naming(overrides)) or "default"


def folder_name(parts: Sequence[str], most: int = SHORT) -> str:
    """A safe name for a folder, which tells these parts from all others: cut and marked where it would be too long.

    Args:
        most: letters before it is cut; it is also cut where these are more bytes than there is room for.
    """
    name = ",".join(parts) or "default"
    safe = re.sub(r"[^\w=,.+\-\[\]]", "_", name)[:most].encode()[:ROOM].decode(errors="ignore")
    if safe != name or safe.startswith("."):
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return safe


def of_problem(key: str) -> bool:
    """True for `env` and its settings: arms that differ in one are on different problems."""
    return key == "env" or key.startswith("env.")


def differing_groups(choices: Iterable[Mapping[str, str]]) -> list[str]:
    """Config groups, the user's own included, of which arms have chosen different options; by name."""
    choices = list(choices)
    groups = sorted({group for of_arm in choices for group in of_arm if Decides.NAME in decides(group)})
    return [group for group in groups if len({of_arm.get(group) for of_arm in choices}) > 1]


def says_its_choice(key: str, arms: Iterable[tuple[Mapping[str, str], Mapping[str, Any]]]) -> bool:
    """Tells of a dotted key whether it only says again which option of its group was chosen.

    That is what `_target_` does, unless it was overridden.

    Args:
        arms: of each arm the choices and the given settings.
    """
    group, _, ending = key.partition(".")
    arms = list(arms)
    if not ending.endswith(("_target_", "_partial_")) or not all(group in choices for choices, _ in arms):
        return False
    told = {(choices[group], json.dumps(given.get(key))) for choices, given in arms}
    return len(told) == len({choices[group] for choices, _ in arms})


def difference(there: Any, here: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """The first dotted key that differs, and its two values."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for name in sorted(there.keys() | here.keys()):
            dotted = f"{key}.{name}" if key else name
            found = difference(there.get(name, "absent"), here.get(name, "absent"), dotted)
            if found:
                return found
        return None
    return None if there == here else (key, there, here)


def canonical(value: Any) -> str:
    """One text for equal settings; 1 and 1.0 are equal."""

    def plain(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: plain(inner) for key, inner in part.items()}
        if isinstance(part, list | tuple):
            return [plain(inner) for inner in part]
        return float(part) if type(part) is int else part

    return json.dumps(plain(value), sort_keys=True)
