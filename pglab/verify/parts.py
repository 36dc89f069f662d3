"""An arm taken apart: the arms in which a part shows by itself what its declared bias leaves unexplained."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pglab.algorithms.baselines import Constant, NoBaseline
from pglab.algorithms.rewards import RAW
from pglab.algorithms.weightings import ReturnMinusBaseline, declared_bias, unbiased_setting
from pglab.training.arm import Arm, BatchSize

FEW_EPISODES = 4  # in place of a batch that ends by its steps


def without_bias(arm: Arm) -> Arm:
    """The arm with everything that its parts declare taken away, as far as they offer that."""
    return _with(arm, unbiased_setting(arm.weighting))


def undeclared_parts(arm: Arm) -> Iterator[tuple[str, Arm]]:
    """Each part whose mean must be ∇J when all else is unbiased, in words and alone in an arm."""
    baseline, weighting = unbiased_setting(arm.baseline), unbiased_setting(arm.weighting)
    if baseline is not None and not isinstance(baseline, NoBaseline) and not declared_bias(baseline):
        weighting_of_it = ReturnMinusBaseline(arm.gamma, baseline)
        yield f"the baseline ({_name(baseline)}), subtracted from the return,", _with(arm, weighting_of_it)
    if baseline is not None:
        weighting = replace(weighting, baseline=Constant(1.0))
    if not declared_bias(weighting):
        yield f"the weighting ({_name(weighting)})", _with(arm, weighting)


def own_declared_parts(arm: Arm) -> Iterator[tuple[str, Arm]]:
    """Each part of a user's own that declares a bias, in words and as it is in an arm that is unbiased otherwise."""
    baseline: Any = arm.baseline
    weighting: Any = arm.weighting
    if _is_own(baseline) and declared_bias(baseline):
        weighting_of_it = ReturnMinusBaseline(arm.gamma, baseline)
        yield f"the baseline ({_name(baseline)})", _with(arm, weighting_of_it)
    if _is_own(weighting) and declared_bias(weighting):
        if baseline is not None:
            weighting = replace(weighting, baseline=unbiased_setting(baseline))
        yield f"the weighting ({_name(weighting)})", _with(arm, weighting)


def unchecked_reasons(arm: Arm, head: Any) -> tuple[str, ...]:
    """The declared reasons of a user's own parts that offer no setting without them."""
    return tuple(
        reason
        for part in (arm.weighting, arm.baseline, head)
        if _is_own(part)
        for reason in declared_bias(unbiased_setting(part))
    )


def _with(arm: Arm, weighting: Any) -> Arm:
    batch = arm.batch if arm.batch.episodes else BatchSize(episodes=FEW_EPISODES)
    return replace(arm, weighting=weighting, estimator=arm.estimator.without_bias(), batch=batch, rewards=RAW)


def _is_own(part: Any) -> bool:
    return part is not None and type(part).__module__.partition(".")[0] != "pglab"


def _name(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"
