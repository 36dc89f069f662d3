"""A world that is drawn for each run is one problem in all of that run's episodes, evaluation included."""

from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms.weightings import TotalReturn
from pglab.envs.bandit import Bandit
from pglab.envs.testbed import GaussianTestbed
from pglab.envs.world import Step
from pglab.models.networks import Tabular
from pglab.models.parameters import Fixed, Zeros
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.randomness import reset_uniforms, stream_keys

SILENT = GaussianTestbed(actions=3, noise=0.0)
CPU = torch.device("cpu")
STANDSTILL = partial(torch.optim.SGD, lr=0.0)


class TwoSources:
    """Action 0 earns the run's number, from 0 to 1, action 1 the episode's, from 2 to 3."""

    observation, actions, horizon, step_draws = SILENT.observation, 2, 1, 0
    reset_draws, problem_draws = 2, 1

    def reset(self, uniform):
        return (uniform.float(),)

    def observe(self, state):
        return torch.zeros_like(state[0][..., :1])

    def step(self, state, action, uniform):
        reward = torch.where(action == 0, state[0][..., 0], 2 + state[0][..., 1])
        return Step(state, reward, torch.ones_like(action, dtype=torch.bool))


def means(seeds):
    """q of each seed's problem, `[seeds, actions]`."""
    keys = stream_keys(seeds, "problems", CPU)
    return SILENT.reset(reset_uniforms(SILENT, keys, keys))[0]


def surely(action, actions=3):
    """Parameters of a policy that always takes the same action."""
    return Fixed([100.0 if a == action else 0.0 for a in range(actions)])


@pytest.fixture
def bandit_arm(make_arm):
    def make(**changes):
        plain = {
            "init": Zeros(),
            "batch": BatchSize(episodes=2),
            "updates": 3,
            "seeds": [3, 0],
            "optimizer": STANDSTILL,
        }
        return make_arm(**{**plain, **changes})

    return make


def test_every_episode_of_a_run_is_the_same_problem_and_every_seed_another(make_shapes, train, bandit_arm):
    shapes = make_shapes(world=SILENT, network=Tabular())
    arms = [bandit_arm(init=surely(0)), bandit_arm(init=surely(2), weighting=TotalReturn(1.0), seeds=[0, 3, 5])]
    bundle = train(shapes, arms)
    for arm, history, evaluation, action in zip(arms, bundle.history, bundle.evaluate(40), (0, 2), strict=True):
        q = means(arm.seeds)[:, action].double().numpy()
        for measures in history:
            assert measures.return_mean.tolist() == q.tolist()
            assert (measures.return_std == 0).all()
        assert (evaluation.returns == q[:, None]).all()
    assert len(means(list(range(100))).unique()) == 300


def test_the_numbers_of_an_episode_stay_its_own(make_shapes, train, bandit_arm):
    shapes = make_shapes(world=TwoSources(), network=Tabular())
    of_run, of_episode = (
        train(shapes, [bandit_arm(init=surely(action, 2))]).evaluate(100)[0].returns for action in (0, 1)
    )
    assert (of_run == of_run[:, :1]).all()
    assert of_run.max() < 1
    assert [len(set(row)) for row in of_episode.tolist()] == [100, 100]
    assert of_episode.min() >= 2


def test_the_share_of_optimal_actions_is_counted_in_each_runs_own_problem(make_shapes, bandit_arm):
    seeds = list(range(30))
    best = means(seeds).argmax(-1).numpy()
    for action in range(3):
        shapes = make_shapes(world=SILENT, network=Tabular())
        bundle = Bundle(shapes, [bandit_arm(init=surely(action), seeds=seeds)], GradientDiagnostics(every=2))
        first, second, third = (bundle.step()[0][1].optimal_action for _ in range(3))
        assert first.tolist() == third.tolist() == (best == action).tolist()
        assert np.isnan(second).all()


def test_the_share_of_optimal_actions_of_a_uniform_policy_is_one_in_k(make_shapes, bandit_arm):
    for world in (SILENT, Bandit([0.0, 2.0, 1.0])):
        arm = bandit_arm(batch=BatchSize(episodes=3000))
        ((_, measures),) = Bundle(make_shapes(world=world, network=Tabular()), [arm], GradientDiagnostics()).step()
        assert np.abs(measures.optimal_action - 1 / 3).max() < 4 * (2 / 9 / 3000) ** 0.5


def test_worlds_that_do_not_tell_have_no_share_of_optimal_actions(make_shapes, make_arm):
    ((_, measures),) = Bundle(make_shapes(), [make_arm()], GradientDiagnostics()).step()
    assert np.isnan(measures.optimal_action).all()
