"""From a resolved configuration to components: the one caller of `hydra.utils.instantiate`."""

from collections.abc import Mapping
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from pglab.algorithms.baselines import Value
from pglab.errors import InputError
from pglab.models.model import Model
from pglab.models.optimizers import check_rows_apart
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes

Settings = Mapping[str, Any]


def build_shapes(settings: Settings) -> Shapes:
    """What the runs of one bundle share, from the settings of any of its arms."""
    device = torch.device(settings["device"])
    with device:
        world = _make(settings, "env")
    return Shapes(world, _make(settings, "head"), _make(settings, "network"), settings["lanes"], device)


def build_arm(settings: Settings, seeds: list[int]) -> Arm:
    """An arm's components and its seeds."""
    return Arm(
        weighting=_make(settings, "weighting"),
        init=_make(settings, "init"),
        optimizer=_make(settings, "optimizer"),
        estimator=_make(settings, "estimator"),
        batch=_make(settings, "batch"),
        gamma=settings["gamma"],
        updates=settings["updates"],
        seeds=seeds,
    )


def check_values(settings: Settings) -> None:
    """Raises InputError where a setting is out of range."""
    for key, smallest in (("updates", 1), ("lanes", 1), ("seed", 0), ("workers", 1), ("seeds", 1)):
        value = settings[key]
        optional = key in ("workers", "seeds") and value is None
        if not optional and not (type(value) is int and value >= smallest):
            raise InputError(f"{key}={value} must be a whole number of at least {smallest}")
    if not 0.0 <= settings["gamma"] <= 1.0:
        raise InputError(f"gamma={settings['gamma']} is outside [0, 1]")
    if settings["evaluation"]["episodes"] < 0:
        raise InputError(f"evaluation.episodes={settings['evaluation']['episodes']} must be at least 0")
    if settings["logger"]["mode"] not in ("online", "offline", "disabled"):
        raise InputError(f"logger.mode={settings['logger']['mode']} is not one of online, offline, disabled")
    if settings["device"] not in ("cpu", "cuda"):
        raise InputError(f"device={settings['device']} is not one of cpu, cuda")
    if settings["device"] == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: PyTorch finds no CUDA device here; use device=cpu")


def check_components(settings: Settings) -> None:
    """Raises InputError where the components do not fit each other or the environment."""
    shapes, arm = build_shapes(settings), build_arm(settings, [0])
    _fits("head", shapes.policy)
    _fits("network", lambda: shapes.policy().model.layout)
    _fits("optimizer", lambda: check_rows_apart(arm.optimizer))
    if isinstance(arm.baseline, Value):
        critic = arm.baseline
        _fits("baseline.network", lambda: Model(critic.network, shapes.world.observation, 1).layout)
        _fits("baseline.optimizer", lambda: check_rows_apart(critic.optimizer))
    elif arm.estimator.truncation == "bootstrap":
        raise InputError(
            "estimator.truncation=bootstrap needs a learned critic: "
            "choose baseline=value and a weighting that uses it (baseline or gae)"
        )


def _make(settings: Settings, group: str) -> Any:
    try:
        return instantiate(settings[group], _convert_="all")
    except InstantiationException as error:
        reason = error.__cause__ or error
        target = settings[group].get("_target_", "?")
        raise InputError(f"{group} ({target}): {str(reason).splitlines()[0]}") from error


def _fits(key: str, make: Any) -> None:
    try:
        make()
    except ValueError as error:
        raise InputError(f"{key}: {error}") from error
