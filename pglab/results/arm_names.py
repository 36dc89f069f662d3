"""Names of arms: what tells them apart, the same way in every sentence, figure, table and file, safe to show.

An arm is known by the settings that its command gave it, in full and in order (`env=cartpole,weighting=rtg`; the name
of its folder may be cut). Among other arms it is called by those that are not the same in all.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pandas as pd

from pglab.results.arm_choices import ArmKey, Choices, fewest, is_number, methods, same, text
from pglab.results.by_problem import problems
from pglab.settings import FRAME_GROUPS, SAID_WHOLE, folder_name, name_in_full, naming, of_problem
from pglab.shown import shown
from pglab.store.records import ArmRecord

Setting = tuple[str, str]  # key and value
Key = TypeVar("Key", bound=Hashable)
DEFAULT = "default"  # the name of an arm that was given no settings
FIRST = ("experiment", *FRAME_GROUPS)


def full_name(record: ArmRecord) -> str:
    """The settings that the arm was asked for with: `env=cartpole,weighting=rtg`.

    That is the name of its folder, where nothing had to be cut or replaced there; also of one that was renamed.
    """
    derived = folder_name(naming(record.overrides)) == record.arm
    return name_in_full(record.overrides) if derived else record.arm


def names_of(records: Iterable[ArmRecord]) -> dict[str, str]:
    """A name for each arm of a study, by the name of its folder; see `short_names`."""
    arms = {record.arm: record for record in records}
    full = {arm: full_name(record) for arm, record in arms.items()}

    known = {arm: described(record) for arm, record in arms.items()}
    given = {arm: settings_in(name) for arm, name in full.items()}
    return _named(full, _told(given, lambda arm, key: known[arm].get(key)))


def described(record: ArmRecord) -> Choices:
    """The choice of each group and every setting of an arm, as text."""
    return {key: text(value) for key, value in record.given.items()} | dict(record.choices)


def names_in(frame: pd.DataFrame) -> dict[str, str]:
    """A name for each arm in a frame of runs, by its name in full; see `short_names`."""
    return {arm: name for (_, arm), name in arm_labels(frame).items()}


def short_names(arms: Iterable[str]) -> dict[str, str]:
    """Each arm's name without the settings that all arms have.

    `env=cartpole,optimizer.lr=0.01,weighting=rtg` among others on CartPole becomes
    `weighting=rtg, lr=0.01`: choices of whole groups come first, and a dotted key is cut to its last part
    where no other key ends in the same. Where nothing but the choice in one group differs, that is the
    name: `rtg`. Names stay different. An arm of which nothing is left, because it leaves at its default
    what the others set, is called `default`, where that default is not known.
    """
    names = {arm: arm for arm in arms}
    return _named(names, _told({arm: settings_in(arm) for arm in names}, lambda arm, key: None))


def arm_labels(runs: pd.DataFrame) -> dict[ArmKey, str]:
    """A name for each arm of each study in a frame of runs; see `short_names`.

    Where two studies have an arm of one name, the study is a part of their names.
    """
    told = _told_in(runs)
    return _named({arm: "/".join(arm) if "study" in told.keys else arm[1] for arm in told.values}, told)


def method_names(runs: pd.DataFrame) -> dict[ArmKey, str]:
    """A name for each arm that says nothing of its problem, nor of what goes with it: one for all arms of a method."""
    told, of_arm = _told_in(runs), methods(runs)
    groups: dict[tuple[str | None, ...], list[ArmKey]] = {}
    for arm, method in of_arm.items():
        groups.setdefault(tuple(method.values()), []).append(arm)
    keys = [key for key in told.keys if not of_problem(key)]
    keys = [
        key for key in keys if all(len({told.values[arm].get(key) for arm in arms}) == 1 for arms in groups.values())
    ]
    values = {method: told.values[arms[0]] for method, arms in groups.items()}
    if len({tuple(of.get(key) for key in keys) for of in values.values()}) < len(values):  # not by what was asked for
        keys = list(next(iter(of_arm.values())))
        values = {
            method: {k: v for k, v in of_arm[arms[0]].items() if v is not None} for method, arms in groups.items()
        }
    alone = len(keys) == 1 and all(keys[0] in of for of in values.values())
    cut = short_keys(keys)
    return {arm: _label(keys, values[method], cut, alone) or DEFAULT for method, arms in groups.items() for arm in arms}


@dataclass(frozen=True)
class Pair:
    """Names of two arms in a sentence, what they have in common and others on their problem have not, and the problem.

    The problem is empty where all arms are on one.
    """

    arm: str
    control: str
    alike: str
    problem: str


def pair_labels(scores: pd.DataFrame, pairs: Iterable[tuple[ArmKey, ArmKey]], with_settings: bool = True) -> list[Pair]:
    """`rtg` and `total`, both `lr=0.01`, on `frozenlake`: names for the arms of each pair.

    Args:
        with_settings: names tell further settings in which the two were asked to differ: `gae at lr=0.03`.
    """
    labels, told, of_arm = arm_labels(scores), _told_in(scores), problems(scores)
    arms = {arm: {key: of.get(key) for key in told.keys} for arm, of in told.values.items()}
    keys = [key for key in told.keys if not of_problem(key)]
    first = fewest(keys, [key for key in told.keys if of_problem(key)], [*arms.values()])
    several, found = len(set(of_arm.values())) > 1, []
    for arm, control in pairs:
        problem = of_arm[arm] if several else ""
        unlike = [key for key in keys if not same(arms[arm][key], arms[control][key])]
        main = [key for key in unlike if key in first] or unlike
        said, of_control = (_label(main, told.values[one], told.cut, len(main) == 1) for one in (arm, control))
        if not said or not of_control or said == of_control:
            found.append(Pair(labels[arm], labels[control], "", problem))
            continue
        further = [key for key in unlike if key not in main] if with_settings else []
        settings = [_label(further, told.values[one], told.cut, False) for one in (arm, control)]
        at = [f" at {text}" if text else "" for text in settings]
        alike = _label([key for key in first if key not in unlike], told.values[arm], told.cut, False)
        found.append(Pair(said + at[0], of_control + at[1], alike, problem))
    return found


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Each dotted key's last part, where no other key ends in the same and it says enough."""
    keys = set(keys)
    endings = Counter(_ending(key) for key in keys)
    clear = {key for key in keys if endings[_ending(key)] == 1 and _ending(key) not in SAID_WHOLE}
    return {key: _ending(key) if key in clear else key for key in keys}


def shared_settings(arms: Iterable[str]) -> str:
    """The settings that `short_names` leaves out, because all of these arms have them; empty for one arm."""
    first, *others = [settings_in(arm) for arm in dict.fromkeys(arms)] or [[]]
    shared = [each for each in first if others and all(each in other for other in others)]
    return shown(", ".join(f"{key}={value}" for key, value in shared))


def without(arm: str, key: str) -> str:
    """The arm's name without one of its settings."""
    return ",".join(part for part in _parts(arm) if part.partition("=")[0] != key)


def setting(arm: str, key: str) -> str | None:
    """The value that an arm's name gives to a key."""
    return dict(settings_in(arm)).get(key)


def settings_in(arm: str) -> list[Setting]:
    """The keys that an arm's name in full sets, with their values."""
    if arm == DEFAULT:
        return []
    return [(key, value) for key, _, value in (part.partition("=") for part in _parts(arm))]


@dataclass(frozen=True)
class _Told(Generic[Key]):
    """The keys that some arm was given and that are not the same in all, groups first; of each arm their values.

    Of a single arm it is every key. `cut` has each key as it is said, see `short_keys`.
    """

    keys: Sequence[str]
    cut: Mapping[str, str]
    values: Mapping[Key, Mapping[str, str]]


def _told(given: Mapping[Key, Iterable[Setting]], known: Callable[[Key, str], str | None]) -> _Told[Key]:
    """The names and settings that tell arms apart.

    Args:
        given: the settings of each arm.
        known: an arm's value of a key that it was not given; None where that is not known, or there is none.
    """
    own = {arm: dict(settings) for arm, settings in given.items()}
    keys = sorted({key for of_arm in own.values() for key in of_arm}, key=_rank)
    values = {}
    for arm, of_arm in own.items():
        free = not all(of_arm.values())  # a name that somebody gave stands for itself
        values[arm] = {key: of_arm.get(key) if free or key in of_arm else known(arm, key) for key in keys}
    first, cut = next(iter(values.values()), {}), short_keys(keys)
    if len(values) > 1:
        keys = [key for key in keys if not all(same(of_arm[key], first[key]) for of_arm in values.values())]
    told = {arm: {k: v for k in keys if (v := of_arm[k]) is not None} for arm, of_arm in values.items()}
    return _Told(keys, cut, told)


def _rank(key: str) -> tuple[bool, int, str]:
    """The place of a key in a name: whole groups first, and of these what says most."""
    return "." in key, FIRST.index(key) if key in FIRST else len(FIRST), key


def _told_in(runs: pd.DataFrame) -> _Told[ArmKey]:
    """Tells the arms in a frame of runs apart: their names, and the columns for what a name leaves out."""
    rows = runs if "study" in runs else runs.assign(study="")
    described = {(str(r["study"]), str(r["arm"])): r for r in rows.drop_duplicates(["study", "arm"]).to_dict("records")}
    given = {arm: settings_in(arm[1]) for arm in described}
    if len({arm for _, arm in given}) < len(given):
        given = {arm: [*settings, ("study", arm[0])] for arm, settings in given.items()}
    return _told(given, lambda arm, key: text(described[arm].get(key)))


def _named(full: Mapping[Key, str], told: _Told[Key]) -> dict[Key, str]:
    """A name for each arm; that in full where others would be called the same."""
    alone = len(told.keys) == 1 < len(told.values) and all(told.values.values())
    nothing = DEFAULT if len(full) > 1 else shown("".join(full.values()))
    names = {arm: _label(told.keys, of_arm, told.cut, alone) or nothing for arm, of_arm in told.values.items()}
    clear = len(names) == len(set(names.values()))
    return names if clear else {arm: shown(name) for arm, name in full.items()}


def _label(keys: Sequence[str], told: Mapping[str, str], cut: Mapping[str, str], alone: bool) -> str:
    """`weighting=rtg, lr=0.01`, with keys cut short; `rtg`, where alone the choice in one group differs."""
    settings = [(key, told[key]) for key in keys if key in told]
    if alone and settings and "." not in settings[0][0] and settings[0][1] and not is_number(settings[0][1]):
        return shown(settings[0][1])
    return shown(", ".join(f"{cut[key]}={value}" if value else key for key, value in settings))


def _parts(arm: str) -> list[str]:
    """The settings, cut at commas that are in no brackets or quotes."""
    inside = r"\[(?:[^\[\]]|\[[^\]]*\])*\]|\{[^}]*\}|\"[^\"]*\"|'[^']*'"
    return re.findall(rf"(?:{inside}|[^,])+", arm)


def _ending(key: str) -> str:
    return key.rpartition(".")[2]
