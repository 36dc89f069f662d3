"""Compiled code plays the episodes that torch plays, up to rounding, and keeps its own bits."""

import numpy as np
import pytest
import torch

from pglab.envs.cartpole import CartPole
from pglab.models.networks import MLP
from pglab.training.native import MOST_LANES
from pglab.training.randomness import Streams, fold_in
from pglab.training.wave import action_uniforms
from tests.native.cases import CASES, CPU, EVERY_CASE, NATIVE, TORCH, Case

TIES = 1e-3  # of the actions may differ, where a uniform lies within rounding of a probability
SEEDS = [3, 1, 4]


def same_batches(one, other):
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(other, name)), name


@EVERY_CASE
def test_from_the_same_states_and_uniforms_both_take_the_same_actions_but_for_ties(case):
    batch = case.play(NATIVE, SEEDS)
    policy, weights = case.policy, case.policy.model.layout.unflatten(case.parameters(SEEDS))
    keys = Streams.of(SEEDS, "", CPU).of_update(torch.zeros(len(SEEDS), dtype=torch.int64))
    differing = total = 0
    for row in range(len(SEEDS)):
        lengths = batch.length[batch.run == row]
        steps = torch.from_numpy(np.repeat(batch.run == row, batch.length))
        number = torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths))
        time = torch.from_numpy(np.concatenate([np.arange(length) for length in lengths]))
        uniform = action_uniforms(policy, fold_in(fold_in(keys.actions[row], number), time))
        obs, action = batch.obs[:-1][steps], batch.action[:-1][steps]
        # As a product of two runs, so that it is computed as in training.
        of_two = {name: part[[row, row]] for name, part in weights.items()}
        ours = policy.act(of_two, obs.expand(2, -1, -1), uniform.expand(2, *uniform.shape))[0]
        near = torch.isclose(ours, action, rtol=1e-4, atol=1e-4) if ours.is_floating_point() else ours == action
        differing, total = differing + int((~near).sum()), total + near.numel()
    assert total >= 100
    assert differing <= TIES * total


@EVERY_CASE
def test_both_play_the_same_episodes_until_rounding_parts_them(case):
    ours, theirs = case.play(NATIVE, SEEDS), case.play(TORCH, SEEDS)
    together = min(len(ours.run), len(theirs.run))
    assert abs(len(ours.run) - len(theirs.run)) <= 0.05 * together
    if len(ours.run) == len(theirs.run):
        assert ours.run.tolist() == theirs.run.tolist()
        alike = (ours.length == theirs.length) & (ours.terminated == theirs.terminated)
        alike &= np.isclose(ours.returns(), theirs.returns(), rtol=1e-2, atol=1e-2)
        assert alike.mean() >= 0.9
        last = torch.isclose(ours.last_obs, theirs.last_obs, atol=0.05).all(1).numpy()
        assert last[alike].mean() >= 0.9


@EVERY_CASE
def test_a_run_keeps_its_bits_whatever_is_played_beside_it_and_in_however_many_lanes(case):
    together = case.play(NATIVE, SEEDS)
    for row, seed in enumerate(SEEDS):
        for expected in (np.nan, 1.0, 500.0):
            alone, own = case.play(NATIVE, [seed], expected), together.select(together.run == row)
            assert alone.length.tolist() == own.length.tolist()
            assert alone.returns().tobytes() == own.returns().tobytes()
            for name in ("obs", "action", "reward", "last_obs"):
                assert torch.equal(getattr(alone, name), getattr(own, name)), name


@pytest.mark.parametrize("steps", [1, 37, 400, 3000])
def test_a_batch_is_the_shortest_run_of_episodes_that_meets_the_target(steps):
    every = Case(CartPole(200), MLP((8,)), CASES["cartpole"].head, episodes=300).play(NATIVE, SEEDS)
    batch = Case(CartPole(200), MLP((8,)), CASES["cartpole"].head, steps=steps).play(NATIVE, SEEDS)
    for row in range(len(SEEDS)):
        lengths = every.length[every.run == row]
        wanted = lengths[: np.searchsorted(np.cumsum(lengths), steps) + 1]
        assert batch.length[batch.run == row].tolist() == wanted.tolist()


def test_runs_that_do_not_play_have_no_steps():
    case = CASES["cartpole"]
    keys = Streams.of(SEEDS, "", CPU)
    target = type("Sizes", (), {"steps": np.array([0, 50, 0]), "episodes": np.array([0, 1, 3]), "group": 1})
    batch = NATIVE(case.world, case.policy, case.parameters(SEEDS), keys, target, np.full(3, np.nan))
    assert set(batch.run) == {1, 2}
    assert batch.count(3)[2] == 3


def test_episodes_longer_than_there_was_room_for_are_played_again_with_more():
    calm = Case(CartPole(20_000), CASES["cartpole"].network, CASES["cartpole"].head, episodes=MOST_LANES + 5)
    policy = calm.policy
    # It pushes against the fall, and so goes on for long.
    named = {name: torch.zeros(1, *shape) for name, shape in policy.model.layout.shapes.items()}
    named["weight_1"][0, 0] = torch.tensor([0.05, 0.2, 3.0, 1.0])
    named["weight_2"][0, 1, 0] = 50.0
    parameters = policy.model.layout.flatten(named)
    target = type("Sizes", (), {"steps": np.array([0]), "episodes": np.array([calm.episodes]), "group": 1})
    keys = Streams.of([0], "", CPU)
    batch = NATIVE(calm.world, policy, parameters, keys, target, np.array([1.0]))
    again = NATIVE(calm.world, policy, parameters, keys, target, np.array([20_000.0]))
    assert batch.length.mean() > 1000
    same_batches(batch, again)


def test_what_has_no_native_form_is_played_by_torch():
    class Unknown(CartPole):
        native = property()

    case = Case(Unknown(60), MLP((8,)), CASES["cartpole"].head, steps=200)
    same_batches(case.play(NATIVE, SEEDS), case.play(TORCH, SEEDS))
