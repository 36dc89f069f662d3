"""One estimator on all its problems: checked, judged, and put into a sentence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pglab.build import build_component, check_components
from pglab.settings import canonical
from pglab.verify.parts import unchecked_reasons, without_bias
from pglab.verify.point import Effort, Point, Verdict
from pglab.verify.problems import of_problem, places, problems_of, solved
from pglab.verify.setting import Setting
from pglab.verify.updates import MeanUpdate

Settings = Mapping[str, Any]
REWARD_TO_GO = "pglab.algorithms.weightings.RewardToGo"
SAME_SCALE = 1e-6  # relative
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
        scale: c where it is c ∇J at every point with the same c; None: it is not, or not known.
        variance_to_rtg: the geometric mean over points of the variance's ratio to that of reward-to-go with all other
            choices the same; None where that was not asked for.
    """

    estimator: str
    declared: tuple[str, ...]
    verdict: Verdict
    because: str
    points: list[Point]
    cosines: list[dict[str, Any]]
    updates: list[MeanUpdate]
    variance_to_rtg: float | None = None
    scale: float | None = None


def with_variance_ratios(findings: Sequence[Finding], settings: Mapping[str, Settings]) -> list[Finding]:
    """The same findings, each with its variance beside that of reward-to-go.

    Args:
        settings: of each estimator, by its name.
    """
    others = {name: _without_weighting(own) for name, own in settings.items()}
    plain = {
        others[one.estimator]: one.points
        for one in findings
        if settings[one.estimator]["weighting"]["_target_"] == REWARD_TO_GO
    }
    return [
        replace(one, variance_to_rtg=_variance_ratio(one.points, plain[others[one.estimator]]))
        if others[one.estimator] in plain
        else one
        for one in findings
    ]


def _without_weighting(settings: Settings) -> str:
    """A text that is equal for estimators that differ in nothing but weighting and baseline."""
    return canonical({key: value for key, value in settings.items() if key not in ("weighting", "baseline")})


def _variance_ratio(points: Sequence[Point], of_rtg: Sequence[Point]) -> float | None:
    """The geometric mean over points, of exact variances where both are known."""
    ratios = []
    for point, other in zip(points, of_rtg, strict=True):
        one, two = point.exact_variance, other.exact_variance
        if one is None or two is None:
            one, two = point.variance, other.variance
        if one > 0 and two > 0:
            ratios.append(one / two)
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else None


def check(estimators: Iterable[Settings]) -> None:
    """Raises InputError where a component does not fit, or a problem has no exact solution."""
    solvable = set[str]()  # what has a solution has one for every weighting
    for settings in estimators:
        for env in problems_of(settings).values():
            check_components(of_problem(settings, env))
        if _without_weighting(settings) not in solvable:
            for problem, seed in places(settings):
                solved(settings, problem, seed)
            solvable.add(_without_weighting(settings))
        build_effort(settings)


def found(
    estimator: str,
    settings: Settings,
    points: list[Point],
    cosines: list[dict[str, Any]],
    updates: list[MeanUpdate],
) -> Finding:
    """The verdict over all points."""
    seeds = {point.problem: point.seed for point in points}
    one_of_each = [solved(settings, problem, seed) for problem, seed in seeds.items()]
    first = one_of_each[0]
    fault = next((f"head: {setting.head_fault}" for setting in one_of_each if setting.head_fault), None)
    if fault is None and any(point.verdict == "wrong" for point in points):
        fault = _fault([solved(settings, point.problem, point.seed) for point in points], points)
    alike = all(point.verdict == points[0].verdict for point in points)
    verdict: Verdict = "wrong" if fault else points[0].verdict if alike else "biased as declared"
    scaled = verdict == "unbiased up to scale"
    because = fault or (
        _scaled(points, first) if scaled else _declared_bias(points, first) if first.bias else _unbiased(points)
    )
    scale = _common_scale(points) if scaled else None
    return Finding(estimator, first.bias, verdict, because, points, cosines, updates, scale=scale)


def build_effort(settings: Settings) -> Effort:
    """The amount to sample."""
    return build_component(settings, "effort")


def _unbiased(points: list[Point]) -> str:
    widest = max((point.high - point.low) / 2 for point in points)
    exactly = sum(point.exact_mean is not None for point in points)
    known = f" (exactly so by calculation at {exactly})" if exactly else ""
    return (
        f"its mean is ∇J at {len(points)} point{'s' * (len(points) > 1)}{known}: largest z "
        f"{max(point.z for point in points):.1f}, measured relative bias known to ±{100 * widest:.0f} % or better"
    )


def _common_scale(points: list[Point]) -> float | None:
    """The factor on ∇J, where all points have the same."""
    scales = [point.scale for point in points if point.scale is not None]
    return scales[0] if max(scales) - min(scales) <= SAME_SCALE * max(scales) else None


def _scaled(points: list[Point], setting: Setting) -> str:
    """Of a mean that is a multiple of ∇J."""
    scales, common = [point.scale for point in points if point.scale is not None], _common_scale(points)
    factor = f"{common:.6g}" if common is not None else f"{min(scales):.6g} to {max(scales):.6g}"
    times = f"{factor} ∇J at {len(points)} point{'s' * (len(points) > 1)}, exactly (cosine 1)"
    differs = "" if common is not None else "; the factor goes with the policy"
    return f"its mean is {times}{differs}: another length of step and no other direction. {', '.join(setting.bias)}"


def _declared_bias(points: list[Point], setting: Setting) -> str:
    biases, cosines = [100 * point.relative_bias for point in points], [point.cosine for point in points]
    said = f"{', '.join(setting.bias)}; relative bias {min(biases):+.3g} to {max(biases):+.3g} %"
    exact = [point.exact_cosine for point in points if point.exact_cosine is not None]
    if exact:
        said += f"; exact cosine with ∇J {min(exact):.6f}" + (f" to {max(exact):.6f}" if len(exact) > 1 else "")
    as_exact = [point.z_of_mean for point in points if point.z_of_mean is not None]
    if as_exact:
        said += f"; equal to its exact mean where that is known (largest z {max(as_exact):.1f})"
    plain = replace(setting.with_unbiased_head(), arm=without_bias(setting.arm))
    if not plain.bias and len(as_exact) < len(points):
        said += "; without what it declares, its mean is ∇J"
    if unchecked := unchecked_reasons(setting.arm, setting.shapes.head):
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
    of = setting.solved.estimators(setting.arm.gamma)
    if of is None:
        return False
    dropped = of.reward_to_go().mean
    return bool(np.linalg.norm(point.mean - dropped) <= NEARLY * np.linalg.norm(dropped) + 4 * _noise(point))


def _noise(point: Point) -> float:
    return float(np.linalg.norm(point.standard_error))
