"""Every named experiment trains, and its first steps are those of its formula."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from pglab.build import build_arm, build_diagnostics, build_shapes
from pglab.cli import compose_runs
from pglab.compose import CONF
from pglab.training.bundle import Bundle
from pglab.training.episodes import Episodes
from tests.mujoco_here import needs_mujoco

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


@dataclass(frozen=True)
class Taken:
    """One update: the batches, and the policy's parameters before and after it, `[R, …]`."""

    played: Episodes
    before: np.ndarray
    after: np.ndarray

    def episode(self, row):
        """Observations, actions and rewards of the one episode of a run."""
        steps = slice(self.played.start[row], self.played.start[row] + self.played.length[row])
        return (part[steps].double().numpy() for part in (self.played.obs, self.played.action, self.played.reward))


@pytest.fixture
def take():
    """The first updates of an experiment."""

    def take(experiment, seeds, updates=1, *overrides):
        batches = []

        (composed,) = compose_runs([f"experiment={experiment}", *overrides])
        shapes = build_shapes(composed.settings)

        def watched(*given):
            batches.append(shapes.player(*given))
            return batches[-1]

        bundle = Bundle(replace(shapes, player=watched), [build_arm(composed.settings, list(range(seeds)))])
        taken, now = [], bundle.parameters()[0]["weight"]
        for _ in range(updates):
            bundle.step()
            before, now = now, bundle.parameters()[0]["weight"]
            taken.append(Taken(batches[-1], before, now))
        return taken

    return take


# 128 arms, of which `tests/golden` trains one; a game, or convolutions, that another experiment has too.
LARGE = {"ppo_details", "ppo_atari", "pong_returns_to_the_end", "pong_not_standardized", "pong_discounted_states"}
LARGE |= {"doom_defend", "continuous_heads"}
ENGSTROM = {"ppo_engstrom", "ppo_m_engstrom", "ppo_noclip_engstrom"}
MUJOCO = {"ppo_continuous", *ENGSTROM, "trpo_engstrom", "trpo_plus_engstrom", "reinforce_mujoco"}
SHORT = {name: ["batch.steps=64"] for name in MUJOCO} | {"continuous_heads": ["batch.steps=4"]}
SHORT |= {name: ["batch.episodes=1", "env.max_episode_steps=30"] for name in EXPERIMENTS if name.startswith("pong_")}
SHORT["ppo_sb3"] = ["reuse.epochs=1"]
SHORT["ppo_atari"] = ["batch.lanes=1", "batch.steps=8", "reuse.epochs=1", "reuse.minibatches=1"]
SHORT |= {"doom_basic": ["batch.steps=1"], "doom_defend": ["batch.lanes=1", "batch.steps=8"]}
for passes in ("ppo_continuous", *ENGSTROM, "continuous_heads"):
    SHORT[passes].append("reuse.epochs=1")
SOME = [
    pytest.param(name, marks=pytest.mark.published if name in LARGE else needs_mujoco if name in MUJOCO else ())
    for name in EXPERIMENTS
]


@pytest.mark.parametrize("experiment", SOME)
def test_every_arm_of_an_experiment_takes_an_update(experiment):
    for composed in compose_runs([f"experiment={experiment}", "updates=1", *SHORT.get(experiment, [])]):
        settings = composed.settings
        bundle = Bundle(build_shapes(settings), [build_arm(settings, [0, 1])], build_diagnostics(settings))
        ((_, measures),) = bundle.step()
        assert bundle.finished
        assert measures.update.tolist() == [1, 1]
        assert not measures.diverged.any()
        assert np.isfinite(measures.loss).all()
        assert (measures.env_steps >= (settings["batch"].get("steps") or 1)).all()


def features(obs):
    return np.hstack((np.ones((len(obs), 1)), obs))


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def to_go(reward):
    return reward[::-1].cumsum()[::-1]


def test_the_softmax_agent_climbs_the_sum_of_its_scores_times_the_discounted_rewards_to_go(take):
    (taken,) = take("linear_softmax", 8)
    assert (taken.before >= 0).all()
    assert (taken.before < 1).all()
    assert taken.before.shape == (8, 2, 5)
    for row in range(8):
        obs, action, reward = taken.episode(row)
        score = np.eye(2)[action.astype(int)] - softmax(features(obs) @ taken.before[row].T)
        step = 2.5e-5 * score.T @ (features(obs) * to_go(0.99**reward * reward)[:, None])
        np.testing.assert_allclose(taken.after[row] - taken.before[row], step, rtol=1e-3, atol=2e-7)


@pytest.mark.parametrize(("experiment", "rate"), [("linear_sigmoid_broken", 2.5e-5), ("linear_sigmoid", 1e-4)])
def test_the_sigmoid_agents_climb_by_their_score_after_episodes_of_fifty_steps_and_more(take, experiment, rate):
    (taken,) = take(experiment, 200)
    limits = {"linear_sigmoid_broken": 0.5, "linear_sigmoid": 0.06}
    assert np.abs(taken.before).max() < limits[experiment]
    long = taken.played.length >= 50
    assert 0 < long.sum() < 200
    assert np.array_equal(taken.after[~long], taken.before[~long])
    for row in np.flatnonzero(long):
        obs, action, reward = taken.episode(row)
        sigma = 1 / (1 + np.exp(-features(obs) @ taken.before[row, 0]))
        score = (1 if experiment == "linear_sigmoid_broken" else action) - sigma
        step = rate * (score * to_go(0.99 * reward)) @ features(obs)
        np.testing.assert_allclose(taken.after[row, 0] - taken.before[row, 0], step, rtol=1e-3, atol=2e-7)


@pytest.mark.parametrize("experiment", ["corridor_reinforce", "corridor_baseline"])
def test_the_corridor_agents_start_at_one_in_twenty_and_take_the_steps_of_the_book_after_an_episode(take, experiment):
    rate, learns = (2**-13, 0.0) if experiment == "corridor_reinforce" else (2**-9, 2**-6)
    w = np.zeros(8)
    for number, taken in enumerate(take(experiment, 8, 3)):
        p = softmax(taken.before[..., 0].astype(float))
        if number == 0:
            np.testing.assert_allclose(p[:, 1], 0.05, rtol=1e-6)
        for row in range(8):
            _, action, reward = taken.episode(row)
            score = np.eye(2)[action.astype(int)] - p[row]
            step = rate * ((to_go(reward) - w[row])[:, None] * score).sum(0)
            np.testing.assert_allclose((taken.after - taken.before)[row, :, 0], step, rtol=1e-3, atol=1e-6)
            w[row] += learns * (to_go(reward) - w[row]).mean()


@pytest.mark.parametrize("baseline", ["running_mean_inclusive", "none"])
def test_the_gradient_bandit_moves_its_preferences_as_in_the_book(take, baseline):
    total = np.zeros(8)
    for number, taken in enumerate(take("gradient_bandit", 8, 4, f"baseline={baseline}")):
        reward, action = taken.played.reward[:-1].double().numpy(), taken.played.action[:-1].numpy()
        total += reward
        mean = total / (number + 1) if baseline == "running_mean_inclusive" else 0.0
        pi = softmax(taken.before[..., 0].astype(float))
        step = 0.1 * (reward - mean)[:, None] * (np.eye(10)[action] - pi)
        np.testing.assert_allclose((taken.after - taken.before)[..., 0], step, atol=2e-6)
    assert not torch.equal(taken.played.action, torch.zeros_like(taken.played.action))
