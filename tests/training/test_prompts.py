"""Batches of groups: prompts in common, groups that are dropped and replaced, greedy episodes; and the same bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pglab.algorithms.groups import OPO, RLOO, GroupMean, ReMax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import Clip
from pglab.algorithms.standardized import DAPO, GRPO, ReinforcePlusPlus
from pglab.algorithms.weightings import RewardToGo
from pglab.envs.sequences import stop_or_continue, token_tree
from pglab.models.networks import Tabular
from pglab.models.parameters import Gaussian, Zeros
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.grouped import in_use
from pglab.training.prompts import PromptGroups
from pglab.training.reuse import Epochs
from tests.training.test_fusion import results

GROUP = 4
TREE = token_tree(2, 3, prompts=5, seed=1)
EVERY = {
    "rloo": RLOO(1.0, GROUP),
    "group_mean": GroupMean(1.0, GROUP),
    "grpo": GRPO(1.0, GROUP),
    "dapo": DAPO(1.0, GROUP),
    "refill": DAPO(1.0, GROUP, refill=True, most=8),
    "reinforce_pp": ReinforcePlusPlus(1.0, GROUP),
    "remax": ReMax(1.0, GROUP),
    "opo": OPO(1.0, GROUP),
}
MEANS = ("sequences", "tokens", "budget")


@pytest.fixture
def tree(make_shapes):
    return make_shapes(world=TREE, network=Tabular())


@pytest.fixture
def arm(make_arm):
    def make(weighting=EVERY["rloo"], prompts=3, **changes):
        plain = {"estimator": Estimator("episodes"), "init": Gaussian(0.5), "batch": PromptGroups(prompts, GROUP)}
        return make_arm(weighting=weighting, **{**plain, **changes})

    return make


def first_states(shapes, arm):
    """The prompt of each episode of the first batch of each run, `[K, E]`."""
    bundle = Bundle(shapes, [arm])
    played = bundle._play(bundle._arms)
    return played.obs[torch.from_numpy(played.start), 0].reshape(len(arm.seeds), -1).long()


def test_a_group_shares_its_prompt_and_prompts_are_the_same_in_every_arm(tree, arm):
    several = first_states(tree, arm(prompts=6, seeds=[0, 1]))
    of_groups = several.reshape(2, 6, GROUP)
    assert (of_groups == of_groups[..., :1]).all()
    assert len(set(of_groups[..., 0].flatten().tolist())) > 2
    other = arm(EVERY["grpo"], prompts=6, seeds=[0, 1], init=Zeros())
    assert torch.equal(first_states(tree, other), several)
    small = replace(other, weighting=GRPO(1.0, 2), batch=PromptGroups(6, 2))
    assert torch.equal(first_states(tree, small)[:, ::2], of_groups[..., 0])


def test_groups_of_one_are_a_batch_of_episodes_bit_by_bit(tree, arm, train):
    plain = arm(RewardToGo(1.0), batch=BatchSize(episodes=12))
    groups = replace(plain, batch=PromptGroups(12, 1))
    assert results(train(tree, [plain]), 0, 0) == results(train(tree, [groups]), 0, 0)


def test_beyond_its_prompt_every_episode_of_a_group_goes_its_own_way(tree, arm):
    bundle = Bundle(tree, [arm(prompts=40)])
    played = bundle._play(bundle._arms)
    lengths = played.length.reshape(40, GROUP)
    assert (lengths != lengths[:, :1]).any(1).mean() > 0.8


def every_arm(arm, seeds, **changes):
    return [
        arm(
            weighting, estimator=Estimator(MEANS[number % 3], entropy_bonus=0.01 * (number % 2)), seeds=seeds, **changes
        )
        for number, weighting in enumerate(EVERY.values())
    ]


def test_every_run_has_the_same_bits_alone_and_in_a_bundle(tree, arm, train):
    together = train(tree, every_arm(arm, [4, 1]))
    backwards = train(tree, every_arm(arm, [1, 4])[::-1])
    for number, alone in enumerate(every_arm(arm, [1])):
        own = results(train(tree, [alone]), 0, 0)
        assert results(together, number, 1) == own
        assert results(backwards, len(EVERY) - 1 - number, 0) == own


def test_an_interrupted_run_goes_on_with_the_same_bits(tree, arm, train):
    arms = every_arm(arm, [0, 3], updates=4, objective=Clip(), rule=Epochs(2, 2))
    whole, before = train(tree, arms), Bundle(tree, arms)
    for _ in range(2):
        before.step()
    after = Bundle(tree, arms)
    after.restore(before.state())
    while not after.finished:
        after.step()
    for mine, theirs in zip(after.parameters(), whole.parameters(), strict=True):
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


def kept_and_played(shapes, arm):
    bundle = Bundle(shapes, [arm])
    played = bundle._play(bundle._arms)
    return bundle._kept(bundle._arms, played), played


def test_groups_of_equal_returns_leave_the_batch(make_shapes, arm):
    shapes = make_shapes(world=stop_or_continue(3), network=Tabular())
    some = arm(EVERY["dapo"], prompts=10, init=Zeros(), seeds=[0, 1, 2])
    kept, played = kept_and_played(shapes, some)
    returns = played.returns().reshape(3, 10, GROUP)
    differ = returns.max(-1) > returns.min(-1)
    assert 0 < differ.sum() < differ.size
    assert kept.count(3).tolist() == (GROUP * differ.sum(1)).tolist()
    assert kept.returns().tolist() == returns[differ].flatten().tolist()


def test_further_groups_take_their_place_up_to_a_limit(make_shapes, arm):
    shapes = make_shapes(world=stop_or_continue(3), network=Tabular())
    some = arm(EVERY["refill"], prompts=10, init=Zeros(), seeds=[0, 1, 2])
    kept, played = kept_and_played(shapes, some)
    assert kept.count(3).tolist() == [40, 40, 40]
    first, _ = kept_and_played(shapes, replace(some, weighting=EVERY["dapo"]))
    for run in range(3):
        mine, theirs = (episodes.returns()[episodes.run == run] for episodes in (kept, first))
        assert mine[: len(theirs)].tolist() == theirs.tolist()
    assert set((played.count(3) / 40).tolist()) <= {1.0, 2.0, 4.0, 8.0}
    hopeless = make_shapes(world=stop_or_continue(60), network=Tabular())
    kept, played = kept_and_played(hopeless, some)
    assert len(kept.run) == 0
    assert played.count(3).tolist() == [320, 320, 320]


def test_a_batch_without_a_group_of_unequal_returns_gives_no_update(make_shapes, arm, train):
    shapes = make_shapes(world=stop_or_continue(60), network=Tabular())
    for objective in (Clip(), replace(arm()).objective):
        bundle = train(shapes, [arm(EVERY["dapo"], init=Zeros(), objective=objective)])
        assert not any(parameters.any() for parameters in bundle.parameters()[0].values())
        assert not any(measures.diverged.any() for measures in bundle.history[0])


def test_the_greedy_episode_of_each_prompt_is_played_beside_the_batch(tree, arm):
    some = arm(EVERY["remax"], prompts=6, seeds=[0, 1], init=Gaussian(2.0))
    bundle = Bundle(tree, [some])
    played = bundle._play(bundle._arms)
    table = bundle.parameters()[0]["weight"]  # [seeds, actions, states]
    assert played.greedy is not None
    assert played.beside is not None
    steps = np.zeros(2)
    for episode, start in enumerate(played.start):
        state, reward = int(played.obs[start, 0]), 0.0
        while not TREE.terminal[state]:
            action = int(table[played.run[episode]].reshape(3, -1)[:, state].argmax())
            following = int(TREE.transition[state, action].argmax())
            state, reward = following, reward + TREE.reward[state, action, following]
            steps[played.run[episode]] += 1
        assert played.greedy[episode] == pytest.approx(reward, abs=1e-6)
    assert in_use(bundle._arms, played).all()
    assert played.beside.tolist() == (steps / some.batch.group).tolist()
    ((_, measures),) = bundle.step()
    assert measures.env_steps.tolist() == (played.steps(2) + played.beside).tolist()


@pytest.mark.parametrize("reduction", MEANS)
def test_a_reduction_weighs_steps_as_its_formula_says(tree, arm, reduction):
    estimator = Estimator(reduction, budget=7.0 if reduction == "budget" else 1.0)
    bundle = Bundle(tree, [arm(RewardToGo(1.0), estimator=estimator)])
    played = bundle._play(bundle._arms)
    weights, _ = bundle._weigh(bundle._arms, played)
    length, episodes = played.length, len(played.length)
    of_episode = {"sequences": 1 / length, "tokens": np.full(episodes, episodes / length.sum())}.get(
        reduction, np.full(episodes, 1 / 7)
    )
    expected = np.repeat(of_episode / episodes * played.returns(), length)
    assert weights.psi[:-1].numpy() == pytest.approx(expected, rel=1e-6)
