"""What is known exactly of an estimate: formulas held against every batch there can be."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from pglab.algorithms.baselines import BatchMean, Constant, LeaveOneOut, NoBaseline, RunningMean
from pglab.algorithms.losses import Estimator
from pglab.algorithms.rewards import Scaled, Sign
from pglab.algorithms.weightings import (
    ExponentSlip,
    GeneralizedAdvantage,
    ReturnMinusBaseline,
    RewardToGo,
    TotalReturn,
    unbiased_setting,
)
from pglab.envs.problems import random_mdp
from pglab.exact.gradients import fisher_information, gradient_by_theorem
from pglab.training.arm import Arm, BatchSize
from pglab.training.reuse import Epochs
from pglab.verify.expected import Expected, expected
from pglab.verify.finite import Tables
from pglab.verify.parts import without_bias
from tests.exact.exact_cases import Case, case_on

GAMMA = 0.8
MEMORY = {"memory/total": torch.tensor([1.5]).double(), "memory/episodes": torch.tensor([4.0]).double()}
CASE = case_on(random_mdp(2, states=2, actions=2, branching=2, end=0.3, horizon=2), 3)
BASELINES = (
    NoBaseline(), Constant(0.7), BatchMean(), LeaveOneOut(), RunningMean(), RunningMean(include_current=True),
)  # fmt: skip
WEIGHTINGS = (
    TotalReturn(GAMMA),
    RewardToGo(GAMMA),
    ExponentSlip(GAMMA),
    *(ReturnMinusBaseline(GAMMA, b, returns) for b in BASELINES for returns in ("rtg", "total")),
    *(GeneralizedAdvantage(GAMMA, 0.6, b) for b in BASELINES if not getattr(b, "bias", ())),
)


def arm_of(weighting, episodes: int = 2, **estimator) -> Arm:
    settings = Estimator(**{"reduction": "episodes", "discount_states": True, **estimator})
    size = BatchSize(episodes=episodes)
    return Arm(weighting, None, None, settings, size, GAMMA, updates=1, seeds=[0])  # type: ignore[arg-type]


def known(arm: Arm, tables: Tables | None = None) -> Expected:
    found = expected(arm, tables or Tables(*CASE.tables), MEMORY)
    assert found is not None
    return found


@pytest.mark.parametrize("kept", [False, True], ids=["without γ^t", "with γ^t"])
@pytest.mark.parametrize("episodes", [1, 2])
@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=repr)
def test_the_formula_of_every_weighting_has_the_mean_of_all_batches(weighting, episodes, kept):
    found = known(arm_of(weighting, episodes, discount_states=kept))
    assert found.is_independent
    assert found.contradiction == pytest.approx(found.mean, abs=1e-12)


@dataclass(frozen=True)
class OwnCritic:
    """A learned baseline of a user's own, of which only the values count."""

    factor: float = 1.0

    @property
    def subtracts_values(self) -> bool:
        return self.factor == 1.0

    def critic(self, observation, generators, device) -> None:
        """Unused: the values are given."""

    def __call__(self, batch, returns):
        return self.factor * batch.value


class Lookup:
    """A critic with these values."""

    def __init__(self, values: list[float]) -> None:
        self._values = torch.tensor(values)

    def values(self, rows: torch.Tensor, obs: torch.Tensor) -> torch.Tensor:
        return self._values[obs[..., 0].long()]


@pytest.mark.parametrize("weighting", [ReturnMinusBaseline, lambda gamma, b: GeneralizedAdvantage(gamma, 0.6, b)])
def test_the_formula_of_a_critic_is_that_of_any_baseline_that_says_it_subtracts_its_values(weighting):
    tables, critic = Tables(*CASE.tables), Lookup([0.3, -0.8, 0.5])
    found, scaled = (
        expected(arm_of(weighting(GAMMA, OwnCritic(factor))), tables, MEMORY, critic) for factor in (1.0, 0.5)
    )
    assert found is not None
    assert scaled is not None
    assert found.is_independent
    assert found.contradiction == pytest.approx(found.mean, abs=1e-12)
    assert not scaled.is_independent


def test_the_batch_mean_shrinks_the_gradient_by_one_part_in_the_number_of_episodes():
    gradient = gradient_by_theorem(*CASE.tables, GAMMA)
    found = known(arm_of(ReturnMinusBaseline(GAMMA, BatchMean(), "total"), episodes=4))
    assert found.mean == pytest.approx(gradient * 3 / 4, abs=1e-12)


def test_the_entropy_bonus_adds_the_gradient_of_the_entropy_along_the_episode():
    # Around the uniform policy H(π) = log A - ½ θᵀ F θ, with the Fisher information F of a step.
    theta = {name: 1e-5 * part for name, part in CASE.parameters.items()}
    nearly_uniform = Tables(*Case(CASE.mdp, CASE.policy, theta).tables)
    plain, with_bonus = (known(arm_of(RewardToGo(GAMMA), entropy_bonus=bonus), nearly_uniform) for bonus in (0.0, 2.0))
    fisher = fisher_information(nearly_uniform.mdp, nearly_uniform.pi, nearly_uniform.score)
    expected_bonus = -2.0 * fisher @ np.concatenate([part.numpy().ravel() for part in theta.values()])
    assert np.abs(expected_bonus).max() > 1e-6
    assert with_bonus.mean - plain.mean == pytest.approx(expected_bonus, abs=1e-9)
    assert plain.variance is not None
    assert with_bonus.variance is None


@pytest.mark.parametrize("weighting", [w for w in WEIGHTINGS if not isinstance(w, ExponentSlip)], ids=repr)
def test_without_what_it_declares_every_built_in_part_has_the_gradient_as_its_mean(weighting):
    choices = {"reduction": "steps", "normalize": True, "clip_norm": 1.0, "min_episode_length": 3}
    plain = without_bias(arm_of(weighting, entropy_bonus=0.3, truncation="bootstrap", **choices))
    assert plain.bias == ()
    assert known(plain).mean == pytest.approx(gradient_by_theorem(*CASE.tables, GAMMA), abs=1e-12)


def test_a_part_that_declares_nothing_is_its_own_unbiased_setting():
    weighting = ReturnMinusBaseline(1.0, Constant(2.0))
    assert unbiased_setting(weighting) is weighting


def test_where_rewards_are_changed_the_mean_is_that_of_the_problem_with_the_changed_rewards():
    changed = replace(CASE.mdp, reward=np.sign(CASE.mdp.reward))
    found = known(replace(arm_of(RewardToGo(GAMMA)), rewards=Sign()))
    assert found.mean == pytest.approx(gradient_by_theorem(changed, *CASE.tables[1:], GAMMA), abs=1e-12)
    assert found.contradiction == pytest.approx(found.mean, abs=1e-12)
    assert expected(replace(arm_of(RewardToGo(GAMMA)), rewards=Scaled()), Tables(*CASE.tables), MEMORY) is None


def test_nothing_is_known_of_weights_that_are_standardised_in_some_of_the_steps():
    arm = arm_of(RewardToGo(GAMMA), normalize="minibatch")
    assert known(arm) is not None
    assert expected(replace(arm, rule=Epochs(1, 2)), Tables(*CASE.tables), MEMORY) is None
