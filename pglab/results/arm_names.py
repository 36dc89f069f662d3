"""Names of arms: what tells them apart, the same way in every sentence, figure and table, safe to show."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pglab.results.arm_choices import ArmKey, Choices, choices, distinguishing, distinguishing_on_a_problem
from pglab.results.problems import problems
from pglab.results.shown import shown
from pglab.settings import SAID_WHOLE

Setting = tuple[str, str]  # key and value


def short_names(arms: Iterable[str]) -> dict[str, str]:
    """Each arm's name without the settings that all arms have.

    `env=cartpole,optimizer.lr=0.01,weighting=rtg` among others on CartPole becomes
    `weighting=rtg, lr=0.01`: choices of whole groups come first, and a dotted key is cut to its last part
    where no other key ends in the same. Where nothing but the choice in one group differs, that is the
    name: `rtg`. Names stay different. An arm of which nothing is left, because it leaves at its default
    what the others set, is called `default`.
    """
    settings = {arm: settings_in(arm) for arm in arms}
    shared = _shared([*settings.values()])
    cut = short_keys(key for of_arm in settings.values() for key, _ in of_arm)
    own = {
        arm: sorted((each for each in of_arm if each not in shared), key=lambda each: "." in each[0])
        for arm, of_arm in settings.items()
    }
    differing = {key for of_arm in own.values() for key, _ in of_arm}
    names = {}
    for arm, of_arm in own.items():
        name = in_short(of_arm, cut, alone=len(differing) == 1 < len(own) and all(own.values()))
        names[arm] = name or (shown(arm) if len(own) == 1 else "default")
    return names if len(set(names.values())) == len(names) else {arm: shown(arm) for arm in settings}


def arm_labels(scores: pd.DataFrame) -> dict[ArmKey, str]:
    """A name for each arm in a sentence: `rtg`, or `weighting=rtg, lr=0.01`.

    Where one group alone differs, the choice is enough; where no columns tell arms apart, the arm's
    own name is taken.
    """
    keys = distinguishing(scores)
    cut = short_keys(keys)
    labels = {arm: _label(keys, described, cut) or shown(arm[1]) for arm, described in choices(scores).items()}
    return labels if len(set(labels.values())) == len(labels) else {arm: shown("/".join(arm)) for arm in labels}


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
    keys, arms, labels = distinguishing_on_a_problem(scores), choices(scores), arm_labels(scores)
    of_arm = problems(scores)
    several = len(set(of_arm.values())) > 1
    cut, found = short_keys(keys), []
    for arm, control in pairs:
        unlike = [key for key in keys if arms[arm][key] != arms[control][key]]
        said, of_control = _label(unlike, arms[arm], cut), _label(unlike, arms[control], cut)
        problem = of_arm[arm] if several else ""
        if not said or not of_control:
            found.append(Pair(labels[arm], labels[control], "", problem))
            continue
        alike = shown(
            ", ".join(f"{cut[k]}={arms[arm][k]}" for k in keys if k not in unlike and arms[arm][k] is not None)
        )
        at = _further(arms, (arm, control), unlike) if with_settings else ["", ""]
        found.append(Pair(said + at[0], of_control + at[1], alike, problem))
    return found


def _further(arms: Mapping[ArmKey, Choices], pair: tuple[ArmKey, ArmKey], told: Sequence[str]) -> list[str]:
    """` at lr=0.03` for each of two arms: where their names differ and it is not told yet; empty where nowhere."""
    named = [dict(settings_in(name)) for _, name in pair]
    keys = [key for key in dict.fromkeys([*named[0], *named[1]]) if key not in told]
    keys = [key for key in keys if named[0].get(key) != named[1].get(key)]
    cut, said = short_keys([*keys, *told]), []
    for arm, of_arm in zip(pair, named, strict=True):
        values = {key: of_arm.get(key) or arms[arm].get(key) for key in keys}
        text = ", ".join(f"{cut[key]}={value}" for key, value in values.items() if value is not None)
        said.append(f" at {shown(text)}" if text else "")
    return said


def in_short(settings: Sequence[Setting], cut: Mapping[str, str], alone: bool) -> str:
    """`weighting=rtg, lr=0.01`, with keys cut short; `rtg`, where alone that choice in one group differs."""
    if alone and len(settings) == 1 and "." not in settings[0][0] and not is_number(settings[0][1]):
        return shown(settings[0][1])
    return shown(", ".join(f"{cut[key]}={value}" if value else key for key, value in settings))


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Each dotted key's last part, where no other key ends in the same and it says enough."""
    keys = set(keys)
    endings = Counter(_ending(key) for key in keys)
    clear = {key for key in keys if endings[_ending(key)] == 1 and _ending(key) not in SAID_WHOLE}
    return {key: _ending(key) if key in clear else key for key in keys}


def shared_settings(arms: Iterable[str]) -> str:
    """The settings that `short_names` leaves out, because all of these arms have them; empty for one arm."""
    shared = _shared([settings_in(arm) for arm in dict.fromkeys(arms)])
    return shown(", ".join(f"{key}={value}" for key, value in shared))


def without(arm: str, key: str) -> str:
    """The arm's name without one of its settings."""
    return ",".join(part for part in _parts(arm) if part.partition("=")[0] != key)


def setting(arm: str, key: str) -> str | None:
    """The value that an arm's name gives to a key."""
    return dict(settings_in(arm)).get(key)


def settings_in(arm: str) -> list[Setting]:
    """The keys that an arm's name sets, with their values."""
    return [(key, value) for key, _, value in (part.partition("=") for part in _parts(arm))]


def is_number(value: str | None) -> bool:
    """True where a choice is written as a number."""
    try:
        float(value or "")
    except ValueError:
        return False
    return True


def _label(keys: list[str], arm: Choices, cut: Mapping[str, str]) -> str:
    settings = [(key, value) for key in keys if (value := arm[key]) is not None]
    return in_short(settings, cut, alone=len(keys) == 1)


def _parts(arm: str) -> list[str]:
    """The settings, cut at commas that are in no brackets."""
    return re.findall(r"(?:\[[^\]]*\]|[^,])+", arm)


def _shared(settings: Sequence[list[Setting]]) -> list[Setting]:
    """The settings of all arms; none where there are not two."""
    first, *others = [*settings] or [[]]
    return [each for each in first if others and all(each in other for other in others)]


def _ending(key: str) -> str:
    return key.rpartition(".")[2]
