"""From a resolved configuration to components: the one caller of `hydra.utils.instantiate`."""

from collections.abc import Mapping
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from pglab.algorithms.baselines import Value
from pglab.envs.finite import FiniteMDP
from pglab.errors import InputError
from pglab.models.model import Model
from pglab.models.optimizers import check_rows_apart
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes
from pglab.training.diagnostics import GradientDiagnostics, NoDiagnostics
from pglab.training.randomness import generator

Settings = Mapping[str, Any]


def build_shapes(settings: Settings) -> Shapes:
    """What the runs of one bundle share, from the settings of any of its arms."""
    device = torch.device(settings["device"])
    with device:
        world = build_component(settings, "env")
    return Shapes(
        world, build_component(settings, "head"), build_component(settings, "network"), settings["lanes"], device
    )


def build_arm(settings: Settings, seeds: list[int]) -> Arm:
    """An arm's components and its seeds."""
    return Arm(
        weighting=build_component(settings, "weighting"),
        init=build_component(settings, "init"),
        optimizer=build_component(settings, "optimizer"),
        estimator=build_component(settings, "estimator"),
        batch=build_component(settings, "batch"),
        gamma=settings["gamma"],
        updates=settings["updates"],
        seeds=seeds,
    )


def build_diagnostics(settings: Settings) -> GradientDiagnostics | None:
    """What to measure of the gradients of a bundle, from the settings of any of its arms."""
    diagnostics = build_component(settings, "diagnostics")
    return None if isinstance(diagnostics, NoDiagnostics) else diagnostics


def check_components(settings: Settings) -> None:
    """Raises InputError where the components do not fit each other or the environment."""
    if settings["device"] == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: PyTorch finds no CUDA device here; use device=cpu")
    shapes, arm = build_shapes(settings), build_arm(settings, [0])
    if isinstance(shapes.world, FiniteMDP):
        _fits("env", shapes.world.check_ends)
    _fits("head", shapes.policy)
    _fits("network", lambda: shapes.policy().model.layout)
    _fits("init", lambda: shapes.policy().model.draw(arm.init, [generator(0, "weights")], shapes.device))
    _fits("optimizer", lambda: check_rows_apart(arm.optimizer))
    build_diagnostics(settings)
    if not callable(arm.weighting):
        raise InputError(f"weighting: {arm.weighting} cannot be called with a batch")
    chosen = build_component(settings, "baseline")  # right even where the weighting uses none
    if isinstance(chosen, Value):
        _fits("baseline.network", lambda: Model(chosen.network, shapes.world.observation, 1).layout)
        _fits("baseline.optimizer", lambda: check_rows_apart(chosen.optimizer))
    if arm.estimator.truncation == "bootstrap" and not isinstance(arm.baseline, Value):
        raise InputError(
            "estimator.truncation=bootstrap needs a learned critic: "
            "choose baseline=value and a weighting that uses it (baseline or gae)"
        )


def build_component(settings: Settings, group: str) -> Any:
    if not isinstance(settings[group], Mapping) or "_target_" not in settings[group]:
        raise InputError(f"{group}={settings[group]!r:.100} is no component; its YAML needs a _target_")
    try:
        return instantiate(settings[group], _convert_="all")
    except InstantiationException as error:
        reason = error.__cause__ or error
        target = settings[group].get("_target_", "?")
        said = " ".join(str(reason).split("\nfull_key")[0].split())
        raise InputError(f"{group} ({target}): {said}") from error


def _fits(key: str, make: Any) -> None:
    try:
        make()
    except ValueError as error:
        raise InputError(f"{key}: {error}") from error
