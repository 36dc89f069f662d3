"""The exact mean and variance of a batch's estimate, where they are known."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pglab.algorithms import baselines, weightings
from pglab.algorithms.rewards import RAW
from pglab.envs.finite import FiniteMDP
from pglab.exact import estimators
from pglab.exact.enumeration import enumerate_trajectories, estimate_moments
from pglab.exact.moments import Moments
from pglab.exact.values import values, visitation
from pglab.training.arm import Arm

MOST_BATCHES = 200_000  # that are enumerated
MOST_NUMBERS = 2_000_000_000  # of vectors by time, state and action, that a formula goes through: a minute or two
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Tables:
    """A policy on a finite MDP: what it plays, and the score that the estimator multiplies.

    Attributes:
        pi: π(a|s) as it is sampled, `[S, A]`.
        score: ∇log_prob(a|s), `[S, A, P]`: the score of π where the head is right.
    """

    mdp: FiniteMDP
    pi: np.ndarray
    score: np.ndarray


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


def expected(arm: Arm, tables: Tables, state: State) -> Expected | None:
    """Exact knowledge of the estimate from a batch of `arm.batch.episodes` episodes; None: there is none.

    The formulas of `pglab.exact` hold for pglab's own weightings and baselines. Where there are few
    batches, the weighting is run on every one of them.

    Args:
        state: critic and memory at the parameter point, see `Pipeline.state`.
    """
    estimator, episodes = arm.estimator, arm.batch.episodes
    plain = estimator.clip_norm is None and estimator.min_episode_length <= 1 and not _looks_around(arm)
    if not plain or episodes is None or estimator.truncation != "end":
        return None
    if arm.rewards != RAW:
        reward = torch.from_numpy(tables.mdp.reward)
        learned = arm.rewards(reward, torch.ones_like(reward)).numpy()
        tables = replace(tables, mdp=replace(tables.mdp, reward=learned))
    # All scores lie in the span of a few directions; the rest of the P dimensions is empty.
    scores = tables.score.reshape(-1, tables.score.shape[-1])
    _, size, directions = np.linalg.svd(scores, full_matrices=False)
    basis = directions[size > 1e-12 * size.max()]
    reduced = Tables(tables.mdp, tables.pi, tables.score @ basis.T)
    by_formula, by_running = _by_formula(arm, reduced, state, episodes), _by_running(arm, reduced, state, episodes)
    if by_formula is None and by_running is None:
        return None
    bonus = _entropy_gradient(arm, reduced)
    means = [None if known is None else (known.mean + bonus) @ basis for known in (by_formula, by_running)]
    variances = [known.variance for known in (by_running, by_formula) if known and np.isfinite(known.variance)]
    mean, other = means if by_formula else reversed(means)
    assert mean is not None
    return Expected(mean, variances[0] if variances and not bonus.any() else None, by_formula is not None, other)


def _looks_around(arm: Arm) -> bool:
    """Tells whether what a batch's steps count for depends on earlier batches, or on the minibatch they are in."""
    in_parts = arm.estimator.normalize == "minibatch" and getattr(arm.rule, "minibatches", 1) > 1
    return in_parts or getattr(arm.rewards, "uses_deviation", False)


def _by_running(arm: Arm, tables: Tables, state: State, episodes: int) -> Moments | None:
    estimator = arm.estimator
    if not _is_short(tables, int(MOST_BATCHES ** (1 / episodes))):
        return None
    reduction = "episodes" if estimator.reduction == "sum" else estimator.reduction
    return estimate_moments(
        tables.mdp, tables.pi, tables.score, arm.psi, episodes, _critic_table(arm, tables.mdp, state),
        reduction, bool(estimator.normalize), MOST_BATCHES, _memory(state),
    )  # fmt: skip


def _by_formula(arm: Arm, tables: Tables, state: State, episodes: int) -> Moments | None:
    estimator, times = arm.estimator, tables.mdp.horizon or 1
    numbers = times * tables.pi.size * tables.score.shape[-1]
    if estimator.reduction == "steps" or estimator.normalize or numbers > MOST_NUMBERS:
        return None
    return _closed_form(arm, tables, episodes, _critic_table(arm, tables.mdp, state), _memory(state))


def _entropy_gradient(arm: Arm, tables: Tables) -> np.ndarray:
    """β E[Σ_t ∇H(π(·|s_t))], `[P]`: with ∇H = -Σ_a π log π ∇log π at each state."""
    bonus = arm.estimator.entropy_bonus
    if bonus == 0:
        return np.zeros(tables.score.shape[-1])
    visits = np.atleast_2d(visitation(tables.mdp, tables.pi, 1.0)).sum(0)
    log_pi = np.log(np.where(tables.pi > 0, tables.pi, 1.0))
    return -bonus * np.einsum("s,sa,sap->p", visits, tables.pi * log_pi, tables.score)


def _memory(state: State) -> State:
    return {name.removeprefix("memory/"): part for name, part in state.items() if name.startswith("memory/")}


def _critic_table(arm: Arm, mdp: FiniteMDP, state: State) -> np.ndarray | None:
    """V(s) of the learned critic, `[S]`; None where there is none."""
    if not arm.has_critic:
        return None
    critic = arm.baseline.critic(mdp.observation, [torch.Generator()], torch.device("cpu"))
    critic.restore({name.removeprefix("critic/"): x for name, x in state.items() if name.startswith("critic/")})
    symbol = np.arange(len(mdp.transition)) if mdp.symbol is None else mdp.symbol
    obs = torch.tensor(symbol, dtype=torch.float32)[None, :, None]
    return critic.values(torch.zeros(1, dtype=torch.int64), obs)[0].double().numpy()


def _is_short(tables: Tables, limit: int) -> bool:
    """Tells if the problem has at most `limit` different episodes."""
    try:
        enumerate_trajectories(tables.mdp, tables.pi, limit)
    except ValueError:
        return False
    return True


def _closed_form(arm: Arm, tables: Tables, n: int, critic: np.ndarray | None, memory: State) -> Moments | None:
    """Moments for pglab's own weightings; a covariance of NaN where only the mean is known."""
    weighting: Any = arm.weighting
    kind, mdp = type(weighting), tables.mdp
    at = (mdp, tables.pi, tables.score, getattr(weighting, "gamma", arm.gamma))
    discount_states = arm.estimator.discount_states
    if kind is weightings.TotalReturn:
        return _mean_of(n, estimators.total_return(*at))
    if kind is weightings.RewardToGo:
        return _mean_of(n, estimators.reward_to_go(*at, discount_states=discount_states))
    if kind is weightings.ExponentSlip and mdp.horizon is not None:
        slipped = replace(mdp, reward=weighting.gamma**mdp.reward * mdp.reward)
        return _mean_of(n, estimators.reward_to_go(slipped, *at[1:3], gamma=1.0))
    table = _table(arm.baseline, n, critic, memory)
    if kind is weightings.GeneralizedAdvantage and table is not None:
        return _mean_of(n, estimators.gae(*at, weighting.lam, table, discount_states))
    if kind is weightings.GeneralizedAdvantage and type(arm.baseline) is baselines.LeaveOneOut:
        # The others' mean return is independent of the episode, and the estimate is affine in it.
        mean_return = values(mdp, tables.pi, weighting.gamma).objective
        return _only_mean(estimators.gae(*at, weighting.lam, mean_return, discount_states).mean)
    if kind is not weightings.ReturnMinusBaseline:
        return None
    if table is not None and weighting.returns == "total":
        return _mean_of(n, estimators.total_return(*at, baseline=table))
    if table is not None:
        return _mean_of(n, estimators.reward_to_go(*at, table, discount_states))
    if np.abs((tables.pi[..., None] * tables.score).sum(1)).max() > 1e-6:  # a score without mean zero
        return None
    if type(arm.baseline) is baselines.LeaveOneOut:
        return estimators.leave_one_out(*at, n, weighting.returns, discount_states)
    share = _own_share(arm.baseline, n, memory)
    if share is None:
        return None
    decayed = discount_states and weighting.returns == "rtg"
    return _only_mean(
        _without_baseline(weighting, at, discount_states) - share * estimators.return_times_score(*at, decayed)
    )


def _without_baseline(
    weighting: weightings.ReturnMinusBaseline, at: tuple[Any, ...], discount_states: bool
) -> np.ndarray:
    if weighting.returns == "total":
        return estimators.total_return(*at).mean
    return estimators.reward_to_go(*at, discount_states=discount_states).mean


def _own_share(baseline: Any, n: int, memory: State) -> float | None:
    """The share of an episode's own return in a baseline that is otherwise independent of the episode."""
    if type(baseline) is baselines.BatchMean:
        return 1 / n
    if type(baseline) is baselines.RunningMean and baseline.include_current:
        return 1 / (n + float(memory["episodes"][0]))
    return None


def _table(baseline: Any, n: int, critic: np.ndarray | None, memory: State) -> np.ndarray | float | None:
    """The value that a baseline subtracts in each state, if it is the same in every batch."""
    if type(baseline) is baselines.NoBaseline or (type(baseline) is baselines.LeaveOneOut and n == 1):
        return 0.0
    if type(baseline) is baselines.Constant:
        return baseline.value
    if type(baseline) is baselines.RunningMean and not baseline.include_current and memory:
        return float(memory["total"][0] / memory["episodes"][0])
    return critic if type(baseline) is baselines.Value else None


def _only_mean(mean: np.ndarray) -> Moments:
    return Moments(mean, np.full((len(mean), len(mean)), np.nan))


def _mean_of(n: int, one: Moments) -> Moments:
    """The mean of n independent estimates."""
    return Moments(one.mean, one.covariance / n)
