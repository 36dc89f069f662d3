"""The problems that an estimator is judged on, built and solved."""

from collections.abc import Mapping
from typing import Any

from pglab.build import build_arm, build_component, build_shapes
from pglab.envs.spaces import Discrete, as_space
from pglab.errors import InputError
from pglab.verify.setting import Setting, solve

Settings = Mapping[str, Any]
TWO = Discrete(2)


def places(settings: Settings) -> list[tuple[str, int]]:
    """Every problem with every seed."""
    seeds = range(settings["seed"], settings["seed"] + (settings["seeds"] or 1))
    return [(problem, seed) for problem in problems_of(settings) for seed in seeds]


def problems_of(settings: Settings) -> Mapping[str, Settings]:
    """The environment that was chosen; when none was, those of verify's own that head and network can be judged on."""
    if settings.get("env"):
        return {"env": settings["env"]}
    own = settings["problems"]
    fitting = {problem: env for problem, env in own.items() if _fits(settings, problem, env)}
    return fitting or own


def left_out(settings: Settings) -> list[str]:
    """A line on each problem with a kind of action that the head takes, and that is left out all the same."""
    chosen, said = problems_of(settings), []
    for problem, env in settings["problems"].items():
        if not settings.get("env") and problem not in chosen and _takes(settings, env):
            try:
                solved(settings, problem, settings["seed"])
            except InputError as error:
                said.append(f"left out is {error}")
    return said


def of_problem(settings: Settings, env: Settings) -> Settings:
    """The settings as those of a run that is trained on one problem."""
    diagnostics = {"_target_": "pglab.training.diagnostics.NoDiagnostics"}
    return {**settings, "env": env, "updates": 1, "diagnostics": diagnostics}


def solved(settings: Settings, problem: str, seed: int) -> Setting:
    """The estimator on a problem at the parameters of a seed, with all that is known exactly.

    Raises:
        InputError: the problem has no exact solution for it.
    """
    env = settings["env"] if settings.get("env") else settings["problems"][problem]
    alone = of_problem(settings, env)
    shapes, arm = build_shapes(alone), build_arm(alone, [seed])
    try:
        return solve(shapes, arm, problem, seed)
    except ValueError as error:
        raise InputError(f"{problem}: {error}") from error


def _fits(settings: Settings, problem: str, env: Settings) -> bool:
    """Tells whether the head is for this kind of action; where actions are numbers, also whether J is known then."""
    if not _takes(settings, env):
        return False
    if isinstance(_actions(settings, env), Discrete):
        return True
    try:
        solved(settings, problem, settings["seed"])
    except InputError:
        return False
    return True


def _takes(settings: Settings, env: Settings) -> bool:
    """Tells whether a head is for numbers or for indices, as the problem; how many indices is not asked."""
    space, head = _actions(settings, env), build_component(settings, "head")
    try:
        head.width(TWO if isinstance(space, Discrete) else space)
    except ValueError:
        return False
    return True


def _actions(settings: Settings, env: Settings) -> Any:
    return as_space(build_component({**settings, "env": env}, "env").actions)
