"""The exact mean and covariance of a batch's estimate, where they are known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pglab.algorithms import baselines, weightings
from pglab.envs.finite import FiniteMDP
from pglab.exact import estimators
from pglab.exact.enumeration import enumerate_trajectories, estimate_moments
from pglab.exact.moments import Moments
from pglab.training.arm import Arm

MOST_BATCHES = 200_000  # that are enumerated
MOST_NUMBERS = 10_000_000  # of second moments by time and state, which are computed all at once
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


def expected(arm: Arm, tables: Tables, state: State) -> Moments | None:
    """Mean and covariance of the estimate from a batch of `arm.batch.episodes` episodes; None: not known.

    The weighting is run on every batch that there can be where these are few; elsewhere the
    closed forms of `pglab.exact` hold for pglab's own weightings.

    Args:
        state: critic and memory at the parameter point, see `Pipeline.state`.
    """
    estimator, episodes = arm.estimator, arm.batch.episodes
    plain = estimator.entropy_bonus == 0 and estimator.clip_norm is None and estimator.min_episode_length <= 1
    if not plain or episodes is None or estimator.truncation != "end":
        return None
    # All scores lie in the span of a few directions; the rest of the P dimensions is empty.
    scores = tables.score.reshape(-1, tables.score.shape[-1])
    _, size, directions = np.linalg.svd(scores, full_matrices=False)
    basis = directions[size > 1e-12 * size.max()]
    reduced = Tables(tables.mdp, tables.pi, tables.score @ basis.T)
    moments = _moments(arm, reduced, state, episodes)
    if moments is None:
        return None
    return Moments(moments.mean @ basis, basis.T @ moments.covariance @ basis)


def _moments(arm: Arm, tables: Tables, state: State, episodes: int) -> Moments | None:
    estimator = arm.estimator
    critic = _critic_table(arm, tables.mdp, state)
    memory = {name.removeprefix("memory/"): part for name, part in state.items() if name.startswith("memory/")}
    reduction = "episodes" if estimator.reduction == "sum" else estimator.reduction
    if _is_short(tables, int(MOST_BATCHES ** (1 / episodes))):
        return estimate_moments(
            tables.mdp, tables.pi, tables.score, arm.psi,
            episodes, critic, reduction, estimator.normalize, MOST_BATCHES, memory,
        )  # fmt: skip
    times, rank = tables.mdp.horizon or 1, tables.score.shape[-1]
    if reduction != "episodes" or estimator.normalize or times * len(tables.pi) * rank**2 > MOST_NUMBERS:
        return None
    return _closed_form(arm, tables, episodes, critic, memory)


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
    """Whether the problem has at most `limit` different episodes."""
    try:
        enumerate_trajectories(tables.mdp, tables.pi, limit)
    except ValueError:
        return False
    return True


def _closed_form(arm: Arm, tables: Tables, n: int, critic: np.ndarray | None, memory: State) -> Moments | None:
    weighting: Any = arm.weighting
    at = (tables.mdp, tables.pi, tables.score, getattr(weighting, "gamma", arm.gamma))
    discount_states = arm.estimator.discount_states
    constant = _constant(arm.baseline, memory)
    table = critic if constant is None else constant
    if type(weighting) is weightings.TotalReturn:
        return _mean_of(n, estimators.total_return(*at))
    if type(weighting) is weightings.RewardToGo:
        return _mean_of(n, estimators.reward_to_go(*at, discount_states=discount_states))
    if type(weighting) is weightings.GeneralizedAdvantage and table is not None:
        return _mean_of(n, estimators.gae(*at, weighting.lam, table, discount_states))
    if type(weighting) is not weightings.ReturnMinusBaseline:
        return None
    if table is not None and weighting.returns == "total":
        return _mean_of(n, estimators.total_return(*at, baseline=table))
    if table is not None:
        return _mean_of(n, estimators.reward_to_go(*at, table, discount_states))
    has_mean_zero = np.abs((tables.pi[..., None] * tables.score).sum(1)).max() < 1e-6
    if n == 1 or not has_mean_zero or type(arm.baseline) not in (baselines.LeaveOneOut, baselines.BatchMean):
        return None
    others = estimators.leave_one_out(*at, n, weighting.returns, discount_states)
    if type(arm.baseline) is baselines.LeaveOneOut:
        return others
    if weighting.returns == "total":  # R_i - mean = (1 - 1/n) (R_i - mean of the others)
        return Moments((1 - 1 / n) * others.mean, (1 - 1 / n) ** 2 * others.covariance)
    mean = others.mean - estimators.return_times_score(*at, discount_states) / n
    return Moments(mean, np.full_like(others.covariance, np.nan))


def _constant(baseline: Any, memory: State) -> float | None:
    """What a baseline subtracts at every step of every episode, if it is the same for all."""
    if type(baseline) is baselines.NoBaseline:
        return 0.0
    if type(baseline) is baselines.Constant:
        return baseline.value
    if type(baseline) is baselines.RunningMean and not baseline.include_current and memory:
        return float(memory["total"][0] / memory["episodes"][0])
    return None


def _mean_of(n: int, one: Moments) -> Moments:
    """The mean of n independent estimates."""
    return Moments(one.mean, one.covariance / n)
