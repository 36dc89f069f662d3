"""Values that are refused before anything is planned: out of range, no word that is allowed, or two for one command."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pglab.errors import InputError
from pglab.settings import KEYS, Decides, difference
from pglab.store.records import LARGEST_SEED
from pglab.studies.asked import Composed
from pglab.studies.standing import OnMismatch

LONGEST = 255  # bytes of a folder's name
HERE = "pglab.studies.cluster.engines.Processes"  # the engine that is none, unless workers dial in


def check_numbers(settings: Mapping[str, Any]) -> None:
    """Raises InputError where a number that decides what is computed is out of range."""
    for key, smallest in (("updates", 1), ("lanes", 1), ("seed", 0), ("workers", 1), ("seeds", 1)):
        value = settings.get(key, smallest)
        optional = key in ("workers", "seeds") and value is None
        if not optional and not (type(value) is int and value >= smallest):
            raise InputError(f"{key}={value} must be a whole number of at least {smallest}")
    if settings.get("updates", 1) > LARGEST_SEED:  # a column of whole numbers counts them, too
        raise InputError(f"updates={settings['updates']} must be at most 2^63 - 1")
    if settings["lanes"] % 32:
        # Blocks fill whole vector registers, so that no run meets the scalar code of a remainder.
        raise InputError(f"lanes={settings['lanes']} must be a multiple of 32")
    if settings["seed"] + (settings["seeds"] or 1) > LARGEST_SEED + 1:
        raise InputError(f"seed={settings['seed']} must be at most 2^63 - 1, the last of seeds included")
    for key, gamma in (("gamma", settings["gamma"]), ("weighting.gamma", settings["weighting"].get("gamma"))):
        if isinstance(gamma, int | float) and not 0.0 <= gamma <= 1.0:
            raise InputError(f"{key}={gamma} is outside [0, 1]")
    for group, optimizer in (("", settings["optimizer"]), ("baseline.", settings["baseline"].get("optimizer", {}))):
        rate = optimizer.get("lr")
        if isinstance(rate, int | float) and rate <= 0:
            raise InputError(f"{group}optimizer.lr={rate} must be above 0")
    for key, allowed in (("device", ("cpu", "cuda")), ("backend", ("torch", "native"))):
        if settings[key] not in allowed:
            raise InputError(f"{key}={settings[key]} is not one of {', '.join(allowed)}")
    if not settings["results_dir"].strip():
        raise InputError(f"results_dir={settings['results_dir']} names no folder; results is one")
    if settings["results_dir"].startswith("~"):
        raise InputError(
            f"results_dir={settings['results_dir']} begins with ~, which only a shell replaces; write it out"
        )


def dials_in(settings: Mapping[str, Any]) -> bool:
    """Workers are not all children of this process: there is another engine, or an address."""
    cluster = settings["cluster"]
    return cluster["engine"] != HERE or cluster["address"] is not None


def check_values(settings: Mapping[str, Any]) -> None:
    """Raises InputError where a number is out of range or a word is not one of those allowed."""
    check_numbers(settings)
    workers = settings["cluster"]["workers"]
    if workers is not None and not (type(workers) is int and workers >= 0):
        raise InputError(f"cluster.workers={workers} must be a whole number of at least 0")
    if workers == 0 and not dials_in(settings):
        raise InputError("cluster.workers=0 leaves nobody to train; with cluster.address=HOST workers can dial in")
    if settings["evaluation"]["episodes"] < 0:
        raise InputError(f"evaluation.episodes={settings['evaluation']['episodes']} must be at least 0")
    if settings["render_every"] < 0:
        raise InputError(f"render_every={settings['render_every']} must be at least 0 updates (0: no films)")
    if settings["on_mismatch"] not in get_args(OnMismatch):
        raise InputError(f"on_mismatch={settings['on_mismatch']} is not one of {', '.join(get_args(OnMismatch))}")
    if settings["logger"]["mode"] not in ("online", "offline", "disabled"):
        raise InputError(f"logger.mode={settings['logger']['mode']} is not one of online, offline, disabled")
    if settings["logger"]["timeout"] < 0:
        raise InputError(f"logger.timeout={settings['logger']['timeout']} must be at least 0 seconds")


def check_one_study(composed: Sequence[Composed]) -> None:
    """Raises InputError where runs of one command differ in where or how they are to be trained, or name no study."""
    if not composed:
        raise InputError("the sweep is empty: it names no value for at least one key")
    for one in composed:
        _check_name(one.settings["study"])
    for key in [key for key, role in KEYS.items() if Decides.COMMAND in role and key in composed[0].settings]:
        for one in composed:
            differing = difference(composed[0].settings[key], one.settings[key], key)
            if differing:
                key, first, other = differing
                raise InputError(f"{key}={first} and {key}={other}: one command fills one study, in one way")


def _check_name(study: Any) -> None:
    """Raises InputError where a study's name is none of a folder."""
    if study is None:
        return
    if isinstance(study, bool | float | list | Mapping):
        raise InputError(f"study={study} is no name of a folder; begin it with a letter")
    if not (re.fullmatch(r"[^/\0]+", str(study)) and str(study).strip(". ")):
        raise InputError(f"study={study} must be the name of a folder, without a path; see results_dir=PATH for that")
    if len(str(study).encode()) > LONGEST:
        raise InputError(f"study={str(study)[:30]}… is too long: the name of a folder has room for {LONGEST} bytes")
