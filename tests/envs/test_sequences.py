"""Problems whose episodes are sequences of tokens from prompts."""

import numpy as np
import pytest

from pglab.envs.sequences import stop_or_continue, token_tree, verifiable_bandit
from pglab.envs.world import Prompted
from pglab.exact.enumeration import enumerate_trajectories
from pglab.exact.values import optimal_values, values


def uniform(mdp):
    return np.full(mdp.transition.shape[:2], 1 / mdp.actions.size)


def episodes_of(mdp):
    return enumerate_trajectories(mdp, uniform(mdp))


@pytest.mark.parametrize(("positions", "prompts"), [(1, 1), (4, 1), (3, 2)])
def test_only_the_full_length_is_rewarded_and_a_length_counts_choices(positions, prompts):
    mdp = stop_or_continue(positions, prompts)
    assert values(mdp, uniform(mdp), 1.0).objective == pytest.approx(2.0**-positions)
    found = episodes_of(mdp)
    reward, last = found.reward.sum(1), found.action[np.arange(len(found.length)), found.length - 1]
    assert sorted(found.length.tolist()) == sorted(prompts * [*range(1, positions + 1), positions])
    assert (reward == ((found.length == positions) & (last == 1))).all()
    assert len(set(found.state[:, 0].tolist())) == prompts


@pytest.mark.parametrize(("vocabulary", "depth", "prompts"), [(1, 1, 1), (2, 3, 4), (3, 2, 2), (1, 4, 1)])
def test_a_tree_has_every_sequence_of_its_words_once_with_a_reward_of_its_own(vocabulary, depth, prompts):
    mdp = token_tree(vocabulary, depth, prompts, seed=1)
    found = episodes_of(mdp)
    played = set()
    for state, action, length in zip(found.state[:, 0], found.action, found.length, strict=True):
        tokens = tuple(action[:length])
        assert all(token < vocabulary for token in tokens[:-1])
        played.add((int(state), tokens))
    ended = sum(vocabulary**d for d in range(depth))  # by the end token, after fewer words than there is room for
    assert len(played) == len(found.length) == prompts * (ended + vocabulary**depth)
    total = found.reward.sum(1)
    assert (found.reward[np.arange(len(total)), found.length - 1] == total).all()
    assert len(set(total.tolist())) == len(total)
    assert 0 <= total.min() < total.max() < 1


def test_the_rewards_of_a_tree_are_those_of_its_seed_and_may_be_binary():
    one, other, again = (token_tree(seed=seed).reward for seed in (0, 1, 0))
    assert (one == again).all()
    assert (one != other).any()
    binary = episodes_of(token_tree(3, 3, 3, seed=0, binary=True)).reward.sum(1)
    assert set(binary.tolist()) == {0.0, 1.0}
    assert 0.3 < binary.mean() < 0.7


@pytest.mark.parametrize("p", [[0.05, 0.5], [0.25], [0.1, 0.9, 0.35]])
def test_a_uniform_policy_is_right_as_often_as_was_asked_for(p):
    mdp = verifiable_bandit(p)
    assert values(mdp, uniform(mdp), 1.0).state[: len(p)] == pytest.approx(p)
    assert optimal_values(mdp, 1.0)[: len(p)] == pytest.approx(np.ones(len(p)))
    assert mdp.start[: len(p)] == pytest.approx(np.full(len(p), 1 / len(p)))


def test_a_finite_mdp_has_its_first_states_as_prompts():
    assert isinstance(token_tree(), Prompted)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stop_or_continue(0), "positions=0 must be at least 1"),
        (lambda: stop_or_continue(4, 0), "prompts=0 must be at least 1"),
        (lambda: token_tree(2, 0), "depth=0 must be at least 1"),
        (lambda: token_tree(10, 6), "make 444,445 states, more than 1,500: choose smaller numbers"),
        (lambda: verifiable_bandit([0.03]), r"p=0.03 is no share of 20 answers .* choose another p or env.answers"),
        (lambda: verifiable_bandit([0.5, 1.0]), r"p=1.0 is no share of 20 answers"),
        (lambda: verifiable_bandit([]), r"answers=20 must be at least 2, and p=\[\] have one number for each prompt"),
    ],
)
def test_bad_arguments_are_refused_with_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()
