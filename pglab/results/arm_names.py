"""Short names of arms: what tells them apart, the same way in every figure and table."""

import re
from collections import Counter
from collections.abc import Iterable

# The last part of these keys would say something else alone.
NEEDS_ITS_GROUP = {"seed", "id", "steps", "_target_"}


def short_names(arms: Iterable[str]) -> dict[str, str]:
    """Each arm's name without the settings that all arms have.

    `env=cartpole,optimizer.lr=0.01,weighting=rtg` among others on CartPole becomes
    `weighting=rtg, lr=0.01`: choices of whole groups come first, and a dotted key is cut to its last part
    where no other key ends in the same. Names stay different. An arm of which nothing is
    left, because it leaves at its default what the others set, is called `default`.
    """
    parts = {arm: _parts(arm) for arm in arms}
    shared = _shared(parts.values())
    keys = {part.partition("=")[0] for of_arm in parts.values() for part in of_arm}
    endings = Counter(key.rpartition(".")[2] for key in keys)
    names = {}
    for arm, of_arm in parts.items():
        own = sorted((part for part in of_arm if part not in shared), key=lambda part: "." in part.partition("=")[0])
        names[arm] = ", ".join(_cut(part, endings) for part in own) or (arm if len(parts) == 1 else "default")
    return names if len(set(names.values())) == len(names) else {arm: arm for arm in parts}


def shared_settings(arms: Iterable[str]) -> str:
    """What `short_names` leaves out, because it is the same in all of these arms; empty for one arm."""
    return ", ".join(_shared([_parts(arm) for arm in dict.fromkeys(arms)]))


def without(arm: str, key: str) -> str:
    """The arm's name without one of its settings."""
    return ",".join(part for part in _parts(arm) if part.partition("=")[0] != key)


def setting(arm: str, key: str) -> str | None:
    """The value that an arm's name gives to a key."""
    return next((part.partition("=")[2] for part in _parts(arm) if part.partition("=")[0] == key), None)


def _parts(arm: str) -> list[str]:
    """At commas, but not at those inside brackets."""
    return re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", arm)


def _shared(parts: Iterable[list[str]]) -> list[str]:
    """What all arms have; nothing where there are not two."""
    first, *others = [*parts] or [[]]
    return [part for part in first if others and all(part in other for other in others)]


def _cut(part: str, endings: Counter[str]) -> str:
    key, equals, value = part.partition("=")
    ending = key.rpartition(".")[2]
    return part if endings[ending] > 1 or ending in NEEDS_ITS_GROUP else f"{ending}{equals}{value}"
