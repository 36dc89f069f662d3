"""The exact mean and variance of a batch's estimate, where they are known."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pglab.algorithms import baselines, groups, weightings
from pglab.algorithms.rewards import RAW
from pglab.training.arm import Arm
from pglab.training.prompts import group_of
from pglab.verify.solved import Estimators, HasMoments, Known, Solved, State, Table


@dataclass(frozen=True)
class Expected:
    """Exact knowledge of an estimate.

    Attributes:
        mean: `[P]`.
        variance: total variance; None where only the mean is known.
        is_independent: whether the mean comes from a formula that runs no code of the estimator.
        contradiction: the mean when the weighting is run on every batch there can be, beside such
            a formula; None where either is missing.
    """

    mean: np.ndarray
    variance: float | None
    is_independent: bool
    contradiction: np.ndarray | None


def expected(arm: Arm, solved: Solved, state: State, critic: Any = None) -> Expected | None:
    """Exact knowledge of the estimate from a batch of `arm.batch.episodes` episodes; None: there is none.

    The formulas of `pglab.exact` hold for pglab's own weightings and baselines, and for a baseline with
    `subtracts_values`. Where there are few
    batches, the weighting is run on every one of them.

    Args:
        state: memory at the parameter point, see `Pipeline.state`.
        critic: the arm's at this point, where it has one.
    """
    estimator, episodes = arm.estimator, arm.batch.episodes
    plain = estimator.clip_norm is None and estimator.min_episode_length <= 1 and not _looks_around(arm)
    if not plain or episodes is None or estimator.truncation != "end":
        return None
    problem = solved if arm.rewards == RAW else solved.with_rewards(arm.rewards)
    if problem is not None and estimator.kl_reference and estimator.kl_in == "reward":
        penalised = getattr(problem, "penalised", lambda form, weight: None)
        problem = penalised(estimator.kl_form, estimator.kl_reference)
    if problem is None:
        return None
    value, memory = None if critic is None else problem.value_of(critic), _memory(state)
    by_formula, by_running = _by_formula(arm, problem, episodes, value, memory), problem.by_running(arm, value, memory)
    if by_formula is None and by_running is None:
        return None
    bonus = estimator.entropy_bonus * problem.entropy_gradient() if estimator.entropy_bonus else 0.0
    if estimator.kl_reference and estimator.kl_in == "loss":
        slope = getattr(problem, "penalty_gradient", lambda form: None)(estimator.kl_form)
        if slope is None:
            return None
        bonus = bonus - estimator.kl_reference * slope
    if np.any(bonus) and (estimator.by_steps or estimator.by_length or estimator.budget != 1):
        return None
    means = [None if known is None else known.mean + bonus for known in (by_formula, by_running)]
    variances = [known.variance for known in (by_running, by_formula) if known and np.isfinite(known.variance)]
    mean, other = means if by_formula else reversed(means)
    assert mean is not None
    variance = variances[0] if variances and not np.any(bonus) else None
    return Expected(mean, variance, by_formula is not None, other)


def _looks_around(arm: Arm) -> bool:
    """Tells whether what a batch's steps count for depends on earlier batches, or on the minibatch they are in."""
    in_parts = arm.estimator.normalize == "minibatch" and getattr(arm.rule, "minibatches", 1) > 1
    return in_parts or getattr(arm.rewards, "uses_deviation", False)


def _memory(state: State) -> State:
    return {name.removeprefix("memory/"): part for name, part in state.items() if name.startswith("memory/")}


def _by_formula(arm: Arm, solved: Solved, n: int, value: Table | None, memory: State) -> Known | None:
    """Moments for pglab's own weightings; a variance of NaN where only the mean is known."""
    estimator, weighting = arm.estimator, arm.weighting
    if estimator.by_steps or estimator.by_length or estimator.reduction == "budget" or estimator.normalize:
        return None
    of = solved.estimators(arm.gamma)
    if of is None:
        return None
    if group_of(arm.batch) > 1:
        return _of_groups(arm, of, group_of(arm.batch))
    kept = arm.estimator.discount_states
    kind = type(weighting)
    if kind is weightings.TotalReturn:
        return _mean_of(n, of.total_return())
    if kind is weightings.RewardToGo:
        return _mean_of(n, of.reward_to_go(discount_states=kept))
    if kind is weightings.ExponentSlip:
        return _mean_of(n, of.exponent_slip())
    table = _table(arm.baseline, n, value, memory)
    if isinstance(weighting, weightings.GeneralizedAdvantage):
        return _advantage(arm, weighting, of, n, table)
    if not isinstance(weighting, weightings.ReturnMinusBaseline) or kind is not weightings.ReturnMinusBaseline:
        return None
    if table is not None and weighting.returns == "total":
        return _mean_of(n, of.total_return(table))
    if table is not None:
        return _mean_of(n, of.reward_to_go(table, kept))
    if not of.is_centred:
        return None
    if type(arm.baseline) is baselines.LeaveOneOut:
        return Known(*_parts(of.leave_one_out(n, weighting.returns, kept)))
    share = _own_share(arm.baseline, n, memory)
    if share is None:
        return None
    decayed = kept and weighting.returns == "rtg"
    alone = of.total_return() if weighting.returns == "total" else of.reward_to_go(discount_states=kept)
    return Known(alone.mean - share * of.return_times_score(decayed), np.nan)


def _of_groups(arm: Arm, of: Estimators, group: int) -> Known | None:
    """Means where the episodes of a group are independent given their prompt, and not without."""
    weighting: Any = arm.weighting
    kind = type(weighting)
    if kind is weightings.RewardToGo:
        return Known(_parts(of.reward_to_go(discount_states=arm.estimator.discount_states))[0], np.nan)
    if kind is weightings.TotalReturn or (of.is_centred and kind in (groups.RLOO, groups.ReMax, groups.GroupMean)):
        share = 1 / group if kind is groups.GroupMean else 0.0
        return Known((1 - share) * _parts(of.total_return())[0], np.nan)
    if not (of.is_centred and kind is weightings.ReturnMinusBaseline):
        return None
    if type(arm.baseline) is not baselines.LeaveOneOut:
        return None
    kept = arm.estimator.discount_states
    alone = of.total_return() if weighting.returns == "total" else of.reward_to_go(discount_states=kept)
    return Known(_parts(alone)[0], np.nan)


def _advantage(
    arm: Arm, weighting: weightings.GeneralizedAdvantage, of: Estimators, n: int, table: Table | None
) -> Known | None:
    if type(weighting) is not weightings.GeneralizedAdvantage:
        return None
    kept = arm.estimator.discount_states
    if table is not None:
        return _mean_of(n, of.gae(weighting.lam, table, kept))
    if type(arm.baseline) is baselines.LeaveOneOut:
        # The others' mean return is independent of the episode, and the estimate is affine in it.
        return Known(of.gae(weighting.lam, of.objective, kept).mean, np.nan)
    return None


def _own_share(baseline: Any, n: int, memory: State) -> float | None:
    """The share of an episode's own return in a baseline that is otherwise independent of the episode."""
    if type(baseline) is baselines.BatchMean:
        return 1 / n
    if type(baseline) is baselines.RunningMean and baseline.include_current:
        return 1 / (n + float(memory["episodes"][0]))
    return None


def _table(baseline: Any, n: int, value: Table | None, memory: State) -> Table | None:
    """The value that a baseline subtracts in each state, if it is the same in every batch."""
    if type(baseline) is baselines.NoBaseline or (type(baseline) is baselines.LeaveOneOut and n == 1):
        return 0.0
    if type(baseline) is baselines.Constant:
        return baseline.value
    if type(baseline) is baselines.RunningMean and not baseline.include_current and memory:
        return float(memory["total"][0] / memory["episodes"][0])
    return value if getattr(baseline, "subtracts_values", False) else None


def _mean_of(n: int, one: HasMoments | None) -> Known | None:
    """The mean of n independent estimates."""
    return None if one is None else Known(one.mean, one.variance / n)


def _parts(moments: HasMoments) -> tuple[np.ndarray, float]:
    return moments.mean, moments.variance
