"""Runs and arms: what was asked for, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pglab import settings as roles
from pglab.store.records import ArmRecord

LONG = 200  # letters of a study's name; a folder's has room for 255 bytes


@dataclass(frozen=True)
class Composed:
    """One configuration as Hydra composed it.

    Attributes:
        settings: resolved values, nested.
        given: the same before interpolation, flat under dotted keys, interpolated ones left out.
        choices: which option of each config group was chosen.
        overrides: what was asked for, as `key=value`.
    """

    settings: Mapping[str, Any]
    given: Mapping[str, Any]
    choices: Mapping[str, str]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class ArmConfig:
    """A configuration without its seed.

    Attributes:
        name: of the arm.
        composed: with any of its seeds.
        stored: the arm of a study that it is to be a part of, as the same program.
    """

    name: str
    composed: Composed
    stored: ArmRecord | None = None

    def under(self, stored: ArmRecord) -> "ArmConfig":
        """The same as a part of an arm of a study that is the same program."""
        return ArmConfig(stored.arm, self.composed, stored)

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.composed.settings

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that decide the numbers of an update."""
        return roles.as_now(self.stored.identity) if self.stored else roles.identity(self.settings)

    @property
    def named(self) -> list[str]:
        """The overrides that make its name."""
        return roles.naming(self.stored.overrides if self.stored else self.composed.overrides)

    @property
    def shown_baseline(self) -> str:
        """The baseline that the weighting brings along, where the name of the arm does not say it."""
        chosen = self.composed.choices
        named = {asked.partition("=")[0].lstrip("+") for asked in self.composed.overrides} & {"baseline", "experiment"}
        brought = "baseline" in self.settings["weighting"] and not named and "baseline" in chosen
        return f" (baseline={chosen['baseline']})" if brought else ""

    @property
    def shapes(self) -> str:
        """Equal for arms that can train in one bundle."""
        return roles.shapes(self.settings)


@dataclass(frozen=True)
class Run:
    """One training run: an arm and a seed."""

    arm: ArmConfig
    seed: int


def runs_of(composed: Composed) -> list[Run]:
    """The runs that one configuration asks for: one, or `seeds` of them from `seed` on."""
    settings = composed.settings
    arm = ArmConfig(arm_name(composed), composed)
    return [Run(arm, settings["seed"] + offset) for offset in range(settings["seeds"] or 1)]


def arm_name(composed: Composed) -> str:
    """The keys that were set, with their values: `head=softmax,weighting=rtg`; the name of the arm's folder."""
    return roles.folder_name(roles.naming(composed.overrides))


def study_name(composed: Sequence[Composed]) -> str:
    """`study=NAME`, or the names of the keys that were set, and which problem it is: `env=frozenlake,weighting`.

    The default problem is not named, and several are only as keys: `env,weighting` where environments are swept.
    """
    return _named(composed[0]) or _folder_name(_parts(composed))


def earlier_names(composed: Sequence[Composed]) -> list[str]:
    """The names that the study had in earlier versions: cut at 100 letters, and without its problem."""
    if _named(composed[0]):
        return []
    return [roles.folder_name(_parts(composed)), roles.folder_name(sorted(_keys(composed[0])))]


def keys_name(composed: Composed) -> str:
    """`study=NAME`, or the names of the keys that were set: `weighting`, `head,optimizer.lr`, …"""
    return _named(composed) or _folder_name(sorted(_keys(composed)))


def _parts(composed: Sequence[Composed]) -> list[str]:
    problems = {tuple(_problem(one)) for one in composed}
    keys = _keys(composed[0])
    if len(problems) > 1:
        return sorted(keys)
    return sorted({*(key for key in keys if not roles.of_problem(key)), *problems.pop()})


def _folder_name(parts: Sequence[str]) -> str:
    """The name of a folder, in which a long one says each group once: `baseline.clip+loss,batch.steps`."""
    name = ",".join(parts)
    if len(name) <= roles.SHORT or not name.isascii():  # other letters take more bytes than one
        return roles.folder_name(parts)
    endings: dict[str, list[str]] = {}
    for part in parts:
        group, dot, ending = ("", "", part) if "=" in part else part.rpartition(".")
        endings.setdefault(group + dot or part, []).append(ending)
    return roles.folder_name([part if part == one[0] else part + "+".join(one) for part, one in endings.items()], LONG)


def _named(composed: Composed) -> str | None:
    study = composed.settings.get("study")
    return None if study is None else str(study)


def _keys(composed: Composed) -> set[str]:
    return {asked.partition("=")[0] for asked in roles.naming(composed.overrides)}


def _problem(composed: Composed) -> list[str]:
    """The settings of the environment that were asked for, and its choice where something else made it."""
    asked = [asked for asked in roles.naming(composed.overrides) if roles.of_problem(asked.partition("=")[0])]
    choice = composed.choices.get("env", roles.DEFAULT_ENV)
    chosen = any(one.startswith("env=") for one in asked) or choice == roles.DEFAULT_ENV
    return asked if chosen else [f"env={choice}", *asked]
