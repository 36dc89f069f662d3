"""Finding the arms that somebody means: by what they are called, or by what they chose."""

from collections.abc import Mapping, Sequence

from pglab.results.arm_choices import Choices, is_number, same
from pglab.results.arm_names import Key, Setting, settings_in


def meant(wanted: str, names: Mapping[Key, Sequence[str]], described: Mapping[Key, Choices]) -> list[Key]:
    """The arms that have this name; where none has, those with all of these settings.

    `rtg`, `weighting=rtg` and `lr=0.01,weighting=rtg` are settings; their order and spaces between them are of no
    account, a dotted key may be cut to its last part, and a value alone is the choice of some group.

    Args:
        names: all names of each arm.
        described: further settings of each arm, by their keys.
    """
    asked = _settings(wanted)
    parsed = {arm: [_settings(name) for name in of_arm] for arm, of_arm in names.items()}
    if found := [arm for arm in names if wanted in names[arm] or (asked and asked in parsed[arm])]:
        return found
    has = {arm: dict(described[arm]) | {k: v for one in of_arm for k, v in one if v} for arm, of_arm in parsed.items()}
    return [arm for arm, of_arm in has.items() if asked and all(_fits(of_arm, *each) for each in asked)]


def _settings(name: str) -> list[Setting]:
    return sorted((key.strip(), value.strip()) for key, value in settings_in(name))


def _fits(has: Choices, key: str, value: str) -> bool:
    if not value:
        return not is_number(key) and any(choice == key for name, choice in has.items() if "." not in name)
    keys = [key] if key in has else [name for name in has if name.endswith(f".{key}")]
    return any(same(has[name], value) for name in keys)
