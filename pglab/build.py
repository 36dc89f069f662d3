"""From a resolved configuration to components: the one caller of `hydra.utils.instantiate`."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from pglab.envs.finite import FiniteMDP
from pglab.envs.spaces import Discrete, as_space, type_of
from pglab.errors import InputError
from pglab.models.optimizers import check_rows_apart
from pglab.training.arm import Arm
from pglab.training.bundle import Bundle, Shapes
from pglab.training.clashes import clash
from pglab.training.departure import is_distribution
from pglab.training.diagnostics import GradientDiagnostics, NoDiagnostics
from pglab.training.observations import Raw
from pglab.training.randomness import generator
from pglab.training.rollout import Waves

Settings = Mapping[str, Any]


def build_shapes(settings: Settings) -> Shapes:
    """Everything that the runs of one bundle share, from the settings of any of its arms."""
    device = torch.device(settings["device"])
    with device:
        world = build_component(settings, "env")
    backend = _backend(settings)
    network = _observations(settings).of(_computed(build_component(settings, "network"), settings))
    return Shapes(world, build_component(settings, "head"), network, device=device, **backend)


def _backend(settings: Settings) -> dict[str, Any]:
    """The parts that play and differentiate, by name: torch's in what was stored before there was a choice."""
    waves = Waves(settings["lanes"])
    if settings.get("backend", "torch") == "torch":
        return {"player": waves}
    try:
        from pglab.training.native import Native, NativePolicy
        from pglab.training.native_gradient import by_compiled_code
        from pglab.training.native_segments import native_lanes
    except ImportError as error:
        raise InputError(f"backend=native needs numba ({error}): pip install 'pglab[native]'") from error
    return {"player": Native(waves), "differentiate": by_compiled_code, "lanes": native_lanes, "policies": NativePolicy}


def _computed(network: Any, settings: Settings) -> Any:
    """A network by what the backend computes it with."""
    if settings.get("backend", "torch") == "torch":
        return network
    from pglab.models.native import native_network

    return native_network(network)


def _with_critic(weighting: Any, settings: Settings) -> Any:
    """A weighting whose critic's network, if it has one, is computed so."""
    baseline: Any = getattr(weighting, "baseline", None)
    if not (hasattr(baseline, "critic") and hasattr(baseline, "network") and hasattr(baseline, "__dataclass_fields__")):
        return weighting
    network = _computed(baseline.network, settings)
    return weighting if network is baseline.network else replace(weighting, baseline=replace(baseline, network=network))


def why_by_torch(settings: Settings) -> str | None:
    """Why torch computes an arm whose settings ask for compiled code, empty where that does; None: they do not ask.

    What is not compiled yet is compiled here.
    """
    if settings.get("backend", "torch") == "torch":
        return None
    from pglab.training.native import why_not, why_not_acting
    from pglab.training.native_gradient import prepare

    shapes = build_shapes(settings)
    world, policy = shapes.world, shapes.policy()
    if shapes.device.type == "cpu":
        prepare(world, policy, build_component(settings, "batch"))
    why = why_not(world, policy, shapes.device)
    if why and not why_not_acting(policy, shapes.device):
        why += "; its policies act by compiled code"
    return why or ""


def size_of(settings: Settings) -> tuple[int, int]:
    """Bytes of everything that an update changes in a run, and of what is seen and done in a step.

    A critic is taken to have an optimizer like the policy's, as these keep nothing before their first step.
    """
    shapes, arm = build_shapes(settings), build_arm(settings, [0])
    (state,) = Bundle(shapes, [arm]).state()
    one = torch.zeros(1, requires_grad=True)
    one.grad = torch.zeros(1)
    optimizer = arm.optimizer([one])
    optimizer.step()
    kept = sum(torch.is_tensor(part) and part.shape == one.shape for part in optimizer.state[one].values())
    run = sum(part.nbytes * (1 + kept * part.is_floating_point()) for part in state.values())
    seen, taken = shapes.world.observation, as_space(shapes.world.actions)
    return run, seen.stored * type_of(seen).itemsize + math.prod(taken.axes) * taken.dtype.itemsize


def build_arm(settings: Settings, seeds: list[int]) -> Arm:
    """An arm's components and its seeds.

    Raises:
        InputError: a component cannot be built, or the weighting has another γ.
    """
    groups = ("weighting", "init", "optimizer", "estimator", "batch", "schedule", "rewards")
    components = {group: build_component(settings, group) for group in groups}
    weighting = _with_critic(components["weighting"], settings)
    components["weighting"] = _observations(settings).of_critic(weighting)
    objective, rule, step_rule = (build_component(settings, group) for group in ("surrogate", "reuse", "step"))
    try:
        return Arm(
            **components, objective=objective, rule=rule, step_rule=step_rule,
            gamma=settings["gamma"], updates=settings["updates"], seeds=seeds,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from error


def build_diagnostics(settings: Settings) -> GradientDiagnostics | None:
    """The measuring of gradients in a bundle, from the settings of any of its arms."""
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
    if hasattr(chosen, "critic"):
        if hasattr(chosen, "optimizer"):
            _fits("baseline.optimizer", lambda: check_rows_apart(chosen.optimizer))
        first = [generator(0, "critic_weights")]
        _fits("baseline", lambda: chosen.critic(shapes.world.observation, first, shapes.device))
    if problem := clash(shapes, arm):
        raise InputError(problem)
    greedy, space = settings.get("evaluation", {}).get("greedy"), as_space(shapes.world.actions)  # verify has none
    if greedy and isinstance(space, Discrete) and not is_distribution(shapes.head, space):
        raise InputError(
            f"evaluation.greedy=true takes the most probable action, and exp(log_prob) of {type(shapes.head).__name__} "
            "is no probability: choose another head"
        )


def simplest(tree: Any) -> Any:
    """Settings with every component in its simplest form (see `pglab.algorithms.weightings`)."""
    if not isinstance(tree, Mapping):
        return tree
    tree = {key: simplest(value) for key, value in tree.items()}
    if "_target_" not in tree or not hasattr(get_object(tree["_target_"]), "simplest"):
        return tree
    given = instantiate(tree, _convert_="all")
    simpler = given.simplest()
    if simpler is given:
        return tree
    return {"_target_": f"{type(simpler).__module__}.{type(simpler).__qualname__}", **vars(simpler)}


def _observations(settings: Settings) -> Any:
    """The form in which networks see observations: raw in what was stored before there was a choice."""
    return build_component(settings, "observations") if "observations" in settings else Raw()


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
