"""Runs and arms: what was asked for, by name."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Keys that say where, how fast and how long to train, and change no number of an update. What is
# measured or filmed beside the update (diagnostics, render_every) is one of them: an arm is the same
# with and without, so neither is its name another, nor are its finished runs refused or trained again
# to be measured.
ONE_STUDY = (
    "study", "results_dir", "workers", "fuse", "logger", "diagnostics", "render_every", "on_mismatch", "fail_fast",
    "plan",
)  # fmt: skip
MACHINERY = ("seed", "seeds", "updates", *ONE_STUDY)


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
    """A configuration without its seed."""

    name: str
    composed: Composed

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.composed.settings

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that decide the numbers of an update."""
        return {key: value for key, value in self.settings.items() if key not in MACHINERY}

    @property
    def shapes(self) -> str:
        """Equal for arms that can train in one bundle."""
        keys = ("env", "head", "network", "lanes", "device", "evaluation")
        return canonical({key: self.settings[key] for key in keys})


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
    """The keys that were set, with their values: `head=softmax,weighting=rtg`."""
    return _folder_name(_asked(composed.overrides), "default")


def study_name(composed: Composed) -> str:
    """`study=NAME`, or the names of the keys that were set: `weighting`, `head,optimizer.lr`, …"""
    if composed.settings.get("study") is not None:
        return str(composed.settings["study"])
    return _folder_name(sorted({asked.partition("=")[0] for asked in _asked(composed.overrides)}), "default")


def canonical(value: Any) -> str:
    """One text for equal settings; 1 and 1.0 are equal."""

    def plain(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: plain(inner) for key, inner in part.items()}
        if isinstance(part, list | tuple):
            return [plain(inner) for inner in part]
        return float(part) if type(part) is int else part

    return json.dumps(plain(value), sort_keys=True)


def difference(there: Any, here: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """The first dotted key that differs, and its two values."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in sorted(there.keys() | here.keys()):
            dotted = f"{key}.{name}" if key else name
            found = difference(there.get(name, "absent"), here.get(name, "absent"), dotted)
            if found:
                return found
        return None
    return None if there == here else (key, there, here)


def _asked(overrides: tuple[str, ...]) -> list[str]:
    asked = (override.lstrip("+~") for override in overrides)
    return sorted(a for a in asked if re.split(r"[.=@]", a)[0] not in (*MACHINERY, "evaluation", "effort", "hydra"))


def _folder_name(parts: list[str], empty: str) -> str:
    name = ",".join(parts) or empty
    safe = re.sub(r"[^\w=,.+\-\[\]]", "_", name)[:100]
    if safe != name or safe.startswith("."):
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return safe
