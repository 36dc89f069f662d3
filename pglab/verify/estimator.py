"""One estimator on all its problems: checked, judged, and put into a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pglab.build import build_arm, build_component, build_shapes, check_components
from pglab.envs.finite import FiniteMDP
from pglab.errors import InputError
from pglab.exact.estimators import reward_to_go
from pglab.exact.sampling import head_fault
from pglab.verify.parts import unchecked_reasons, without_bias
from pglab.verify.point import Effort, Point, Verdict
from pglab.verify.setting import Setting, solve
from pglab.verify.updates import MeanUpdate

Settings = Mapping[str, Any]
NEARLY = 0.1  # relative: a suspicion is worth saying


@dataclass(frozen=True)
class Finding:
    """The findings about one estimator.

    Attributes:
        estimator: its name.
        declared: why its mean is not ∇J, as its parts say themselves.
        verdict, because: in three words, and in a sentence with its numbers.
        points: of each problem and seed.
        cosines: rows with `problem seed batch cosine low high`.
        updates: means of updates over every batch, on the problems that are small enough.
    """

    estimator: str
    declared: tuple[str, ...]
    verdict: Verdict
    because: str
    points: list[Point]
    cosines: list[dict[str, Any]]
    updates: list[MeanUpdate]


def places(settings: Settings) -> list[tuple[str, int]]:
    """Every problem with every seed."""
    seeds = range(settings["seed"], settings["seed"] + (settings["seeds"] or 1))
    return [(problem, seed) for problem in _problems(settings) for seed in seeds]


def check(settings: Settings) -> None:
    """Raises InputError where a component does not fit, or a problem has no exact solution."""
    for env in _problems(settings).values():
        check_components(_of_problem(settings, env))
    for problem, seed in places(settings):
        solved(settings, problem, seed)
    build_effort(settings)


def solved(settings: Settings, problem: str, seed: int) -> Setting:
    """The estimator on a problem at the parameters of a seed, with all that is known exactly."""
    of_problem = _of_problem(settings, _problems(settings)[problem])
    shapes, arm = build_shapes(of_problem), build_arm(of_problem, [seed])
    mdp = _finite(problem, shapes.world)
    try:
        return solve(shapes, arm, problem, mdp, seed, head_fault(shapes.head, mdp.actions))
    except ValueError as error:
        raise InputError(f"{problem}: {error}") from error


def found(
    estimator: str,
    settings: Settings,
    points: list[Point],
    cosines: list[dict[str, Any]],
    updates: list[MeanUpdate],
) -> Finding:
    """The verdict over all points."""
    settings_solved = [solved(settings, point.problem, point.seed) for point in points]
    declared = settings_solved[0].arm.bias
    fault = next((f"head: {setting.head_fault}" for setting in settings_solved if setting.head_fault), None)
    if fault is None and any(point.verdict == "wrong" for point in points):
        fault = _fault(settings_solved, points)
    verdict: Verdict = "wrong" if fault else points[0].verdict
    because = fault or (_declared_bias(points, settings_solved) if declared else _unbiased(points))
    return Finding(estimator, declared, verdict, because, points, cosines, updates)


def build_effort(settings: Settings) -> Effort:
    """The amount to sample."""
    return build_component(settings, "effort")


def _problems(settings: Settings) -> Mapping[str, Settings]:
    """The environment that was chosen, or those that verify has when none was."""
    return {"env": settings["env"]} if settings.get("env") else settings["problems"]


def _of_problem(settings: Settings, env: Settings) -> Settings:
    """The settings as those of a run that is trained on one problem."""
    diagnostics = {"_target_": "pglab.training.diagnostics.NoDiagnostics"}
    return {**settings, "env": env, "updates": 1, "diagnostics": diagnostics}


def _finite(problem: str, world: Any) -> FiniteMDP:
    if isinstance(world, FiniteMDP):
        return world
    if hasattr(world, "finite_mdp"):
        return world.finite_mdp()
    raise InputError(
        f"{problem}={type(world).__name__} is no finite MDP, so its gradient is not known exactly; "
        "choose one of corridor, bandit, contextual_bandit, two_state_loop, binary_tree, random_mdp, frozenlake, "
        "toy_text"
    )


def _unbiased(points: list[Point]) -> str:
    widest = max((point.high - point.low) / 2 for point in points)
    exactly = sum(point.exact_mean is not None for point in points)
    known = f" (exactly so by calculation at {exactly})" if exactly else ""
    return (
        f"its mean is ∇J at {len(points)} point{'s' * (len(points) > 1)}{known}: largest z "
        f"{max(point.z for point in points):.1f}, measured relative bias known to ±{100 * widest:.0f} % or better"
    )


def _declared_bias(points: list[Point], solved: list[Setting]) -> str:
    arm = solved[0].arm
    biases, cosines = [100 * point.relative_bias for point in points], [point.cosine for point in points]
    said = f"{', '.join(arm.bias)}; relative bias {min(biases):+.3g} to {max(biases):+.3g} %"
    as_exact = [point.z_of_mean for point in points if point.z_of_mean is not None]
    if as_exact:
        said += f"; equal to its exact mean where that is known (largest z {max(as_exact):.1f})"
    if not without_bias(arm).bias and len(as_exact) < len(points):
        said += "; without what it declares, its mean is ∇J"
    if unchecked := unchecked_reasons(arm):
        said += (
            f"; cosine with ∇J {min(cosines):.3f} to {max(cosines):.3f}, and more cannot be checked of "
            f"“{', '.join(unchecked)}”: there is no setting without it"
        )
    return said


def _fault(solved: list[Setting], points: list[Point]) -> str:
    """The worst fault of a mean that is not what it should be, with a cause that would explain it."""
    worst, fault = max(((point, point.fault) for point in points if point.fault), key=lambda pair: pair[1].z)
    where = (
        f"{worst.problem}, seed {worst.seed}: z = {fault.z:.1f}, relative bias {100 * fault.relative_bias:+.3g} %, "
        f"cosine {fault.cosine:.3f}"
    )
    suspicion = _suspicion(solved, points) if fault.undeclared else None
    return f"{fault.said} ({where}){'; ' + suspicion if suspicion else ''}"


def _suspicion(solved: list[Setting], points: list[Point]) -> str | None:
    """A fault that would explain the means."""
    scales = np.array([1.0 + point.relative_bias for point in points])
    precise = 1.0 / np.array([point.high - point.low for point in points]) ** 2
    scale = float(scales @ precise / precise.sum())
    if all(point.low - NEARLY * abs(scale) <= scale - 1.0 <= point.high + NEARLY * abs(scale) for point in points):
        return f"it is about {scale:.2g} times ∇J at every point: a factor, such as a mean where a sum belongs"
    if all(s.arm.gamma < 1 and _is_undiscounted(s, p) for s, p in zip(solved, points, strict=True)):
        return "it is the gradient with the factor γ^t dropped"
    return None


def _is_undiscounted(setting: Setting, point: Point) -> bool:
    tables = setting.tables
    dropped = reward_to_go(tables.mdp, tables.pi, tables.score, setting.arm.gamma).mean
    return bool(np.linalg.norm(point.mean - dropped) <= NEARLY * np.linalg.norm(dropped) + 4 * _noise(point))


def _noise(point: Point) -> float:
    return float(np.linalg.norm(point.standard_error))
