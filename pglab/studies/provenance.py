"""Provenance of an arm's numbers: versions of libraries, and hashes of the code behind its components."""

import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from pglab.studies.chip import NAMES, kernels
from pglab.studies.own_code import Stamp, is_installed, own_files, stamp

LIBRARIES = ("torch", "numpy", "gymnasium")
COMPILERS = ("numba", "llvmlite")  # under backend=native, where they are installed
SIMULATORS = {  # libraries behind worlds of the package, if there
    "pglab.envs.mujoco.mujoco": ("mujoco", "envpool"),
    "pglab.envs.atari.AtariWorld": ("ale_py", "cv2"),
    "pglab.envs.doom.DoomWorld": ("vizdoom", "PIL"),
    "pglab.envs.minatar.MinAtarWorld": ("minatar",),
}
PACKAGE = Path(__file__).resolve().parents[1]
COMPUTES = ("bits.py", "build.py", "algorithms", "envs", "models", "native", "training")  # of the package
COMPUTES_EXACTLY = ("__init__.py", "chain.py", "policy.py", "stacked.py")  # what training uses of exact
DIGITS = 16  # of a SHA-256


def provenance(settings: Mapping[str, Any]) -> dict[str, str]:
    """Names what would compute the numbers of an arm here and now.

    - `python` (major.minor), `torch`, `numpy`, `gymnasium`, under `env=mujoco`, `atari`, `doom` and `minatar` also the
      libraries behind them, under `backend=native` also `numba` and `llvmlite`: the versions installed;
    - `pglab`: a hash over the package's files that take part in training;
    - `near_sighted.py`, `mypkg/sub.py`, …: a hash of each file of the user's own that a component
      (every `_target_` in `settings`, at any depth) comes from, and of those that such a file imports;
    - `cpu capability`, `chip`, `MKL_CBWR`: see `pglab.studies.chip`;
    - by the name of its distribution, the version of any other library that a `_target_` is from.

    Files are found and read, never executed, and read again only when written anew; versions are
    those at the first call. A module that cannot be found is left out: building the component says it
    better. What user code imports from installed libraries is not followed.

    Args:
        settings: an arm's resolved configuration.
    """
    targets = foreign_targets(settings)
    simulators = [name for target in _targets(settings) for name in SIMULATORS.get(target, ())]
    compilers = COMPILERS if settings.get("backend") == "native" else ()
    asked = (*targets, *simulators, *compilers)
    found = {name: _version(name) for targeted in asked for name in _distributions(targeted)}
    for hint, file in own_files(targets).items():
        try:
            found[hint] = _digest(file, stamp(file))
        except OSError:
            continue
    always = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    always |= {name: _version(name) for name in LIBRARIES}
    return always | {"pglab": _own_digest()} | kernels() | dict(sorted(found.items()))


def foreign_targets(settings: Mapping[str, Any]) -> list[str]:
    """The dotted names of components that are neither pglab's nor of a library of which the version is kept."""
    return sorted({name for name in _targets(settings) if name.partition(".")[0] not in ("pglab", *LIBRARIES)})


def changed(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """A phrase for each difference between two provenances, by name: `torch is 2.12.0 there and 2.13.0 here`.

    What an earlier version did not record of the processor is passed over.
    """
    phrases = []
    for name in sorted(there.keys() | here.keys()):
        old, new = there.get(name), here.get(name)
        if old == new or (old is None and name in NAMES):
            continue
        if old is None or new is None:
            phrases.append(f"{name} is {'new' if old is None else 'gone'}")
        elif re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", new):
            phrases.append(f"{name}'s own code has changed" if name == "pglab" else f"{name} has changed")
        else:
            phrases.append(f"{name} is {old} there and {new} here")
    return phrases


@cache
def versions() -> Mapping[str, str]:
    """Versions of the libraries that compute the numbers, and the machine."""
    packages = ("pglab", "torch", "numpy", "gymnasium", "hydra-core", "pandas")
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.platform()}
    machine |= {"processor": _processor(), "cores": str(os.cpu_count())}
    return machine | {name: version(name) for name in packages}


@cache
def _processor() -> str:
    """Its model, where the system tells."""
    try:
        model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        model = None
    return model[1].strip() if model else platform.processor() or platform.machine()


def together(settings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Settings whose provenance is that of several arms together; for JSON."""
    several = list(settings)
    names = sorted({name for one in several for name in _targets(one)})
    backends = {one.get("backend") for one in several}
    compiled = {"backend": "native"} if "native" in backends else {}
    return {"components": [{"_target_": name} for name in names], **compiled}


def _targets(tree: Any) -> Iterator[str]:
    """The dotted names of the components in a configuration."""
    if isinstance(tree, Mapping):
        target = tree.get("_target_")
        if isinstance(target, str):
            yield target
            if target.startswith("hydra.utils.get_"):  # a class or function itself, not a call of it
                yield str(tree.get("path"))
            if target == "pglab.envs.gymnasium.GymnasiumWorld" and ":" in str(tree.get("id")):
                yield str(tree["id"]).partition(":")[0]  # Gymnasium imports `module` of `module:Name-v0`
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for part in tree:
            yield from _targets(part)


def _distributions(target: str) -> list[str]:
    return _packages().get(target.partition(".")[0], []) if is_installed(target) else []


@cache
def _packages() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def _version(distribution: str) -> str:
    return version(distribution)


def _own_digest() -> str:
    files = [PACKAGE / "exact" / name for name in COMPUTES_EXACTLY]
    for part in COMPUTES:
        files += (PACKAGE / part).rglob("*.py") if not part.endswith(".py") else [PACKAGE / part]
    every = sorted((file.relative_to(PACKAGE).as_posix(), _digest(file, stamp(file))) for file in files)
    return hashlib.sha256(repr(every).encode()).hexdigest()[:DIGITS]


@lru_cache(maxsize=4096)
def _digest(file: Path, _: Stamp) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:DIGITS]
