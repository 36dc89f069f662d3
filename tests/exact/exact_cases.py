"""Problems and policies for the tests of `pglab.exact`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.envs.finite import FiniteMDP, corridor
from pglab.envs.problems import contextual_bandit, random_mdp
from pglab.exact.policy import policy_on, policy_table, score_table
from pglab.models.model import Policy
from pglab.models.networks import MLP, Linear, Tabular


@dataclass(frozen=True)
class Case:
    """A problem under a policy with given parameters."""

    mdp: FiniteMDP
    policy: Policy
    parameters: dict[str, torch.Tensor]

    @property
    def pi(self) -> np.ndarray:
        return policy_table(self.mdp, self.policy, self.parameters)

    @property
    def score(self) -> np.ndarray:
        return score_table(self.mdp, self.policy, self.parameters)

    @property
    def tables(self) -> tuple[FiniteMDP, np.ndarray, np.ndarray]:
        return self.mdp, self.pi, self.score


def case_on(mdp: FiniteMDP, seed: int, network: Any = None, head: Any = None) -> Case:
    """A policy with parameters from N(0, 1); by default a softmax over a table."""
    policy = policy_on(mdp, network or Tabular(), head or Softmax())
    generator = torch.Generator().manual_seed(seed)
    shapes = policy.model.layout.shapes
    return Case(
        mdp,
        policy,
        {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()},
    )


def corridor_at(p: float, horizon: int | None = None) -> Case:
    """The corridor under P(right) = p, by one scalar logit z."""
    mdp = corridor(horizon)
    z = torch.full((1, 1), np.log(p / (1 - p)), dtype=torch.float64)
    return Case(mdp, policy_on(mdp, Tabular(), Sigmoid()), {"weight": z})


def bandit_at(theta: list[float]) -> Case:
    """The bandit with rewards (1, .7, 0) under a softmax with one logit an action."""
    mdp = contextual_bandit([[1.0, 0.7, 0.0]])
    return Case(mdp, policy_on(mdp, Tabular(), Softmax()), {"weight": torch.tensor(theta).double()[:, None]})


SEEDS = st.integers(0, 10_000)
DISCOUNTS = st.sampled_from([0.0, 0.5, 0.9, 1.0])
NETWORKS = st.sampled_from([(Tabular(), Softmax()), (MLP((3,)), Softmax()), (Linear(), Sigmoid())])


@st.composite
def short_cases(draw: st.DrawFn) -> Case:
    """Random problems of at most 3 steps: at most a few thousand episodes."""
    states = draw(st.integers(1, 3))
    seed = draw(SEEDS)
    mdp = random_mdp(
        seed,
        states,
        actions=2,
        branching=draw(st.integers(1, min(states, 2))),
        end=draw(st.sampled_from([0.0, 0.3])),
        horizon=draw(st.integers(1, 3)),
        symbols=draw(st.integers(1, states)),
    )
    return case_on(mdp, seed, *draw(NETWORKS))


@st.composite
def open_cases(draw: st.DrawFn) -> Case:
    """Random problems without horizon that end with probability at least 0.4 at each step."""
    states = draw(st.integers(1, 4))
    seed = draw(SEEDS)
    mdp = random_mdp(
        seed,
        states,
        actions=2,
        branching=draw(st.integers(1, states)),
        end=draw(st.sampled_from([0.4, 0.8])),
        symbols=draw(st.integers(1, states)),
    )
    return case_on(mdp, seed, *draw(NETWORKS))


def table_on(mdp: FiniteMDP, seed: int, by_time: bool = False) -> np.ndarray:
    """Arbitrary numbers of the states, `[S]` or `[H, S]`."""
    shape = (mdp.horizon, len(mdp.transition)) if by_time else len(mdp.transition)
    return np.random.default_rng(seed).normal(size=shape)
