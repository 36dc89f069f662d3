"""The small problems: their known values, their tables and their configuration."""

import inspect
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from pglab.envs import problems
from pglab.envs.finite import FiniteMDP
from pglab.envs.problems import binary_tree, contextual_bandit, random_mdp, toy_text, two_state_loop
from pglab.exact.values import greedy, optimal_values, values

CONF = Path(__file__).parents[2] / "conf" / "env"


def uniform(mdp):
    return np.full(mdp.transition.shape[:2], 1 / mdp.actions.size)


def test_a_contextual_bandit_is_worth_the_mean_reward_of_its_contexts():
    mdp = contextual_bandit([[1.0, 0.7, 0.0], [0.0, 0.5, 1.0]], [0.25, 0.75])
    pi = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]])
    assert values(mdp, pi, 0.3).objective == pytest.approx(0.25 * 0.41 + 0.75 * 0.85, abs=1e-14)
    assert mdp.observation.size == 2
    assert contextual_bandit([[1, 0], [0, 1]]).start.tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_the_two_state_loop_has_its_closed_form(gamma):
    for slip in (0.0, 0.3):
        cut = two_state_loop(horizon=7, slip=slip)
        assert values(cut, uniform(cut), gamma).objective == pytest.approx(0.5 * sum(gamma**t for t in range(7)))
    if gamma < 1:
        free = two_state_loop(horizon=None)
        assert values(free, uniform(free), gamma).objective == pytest.approx(0.5 / (1 - gamma))
        best = optimal_values(free, gamma)
        assert best == pytest.approx([1 / (1 - gamma)] * 2)
        assert greedy(free, best, gamma).tolist() == [[0, 1], [1, 0]]


def test_a_slip_makes_the_other_actions_move():
    loop = two_state_loop(slip=0.1)
    assert loop.transition[0, 0] == pytest.approx([0.9, 0.1])
    assert loop.transition[1, 1] == pytest.approx([0.9, 0.1])
    tree = binary_tree(2, slip=0.1)
    assert tree.transition[0, 0, [1, 2]] == pytest.approx([0.9, 0.1])
    assert tree.transition[1, 1, [3, 4]] == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_tree_pays_each_leaf_its_number(depth):
    tree = binary_tree(depth)
    assert values(tree, uniform(tree), 1.0).objective == pytest.approx(0.5)
    right = np.eye(2)[np.ones(len(tree.transition), dtype=int)]
    assert values(tree, right, 1.0).objective == pytest.approx(1.0)
    assert optimal_values(tree, 0.9)[0] == pytest.approx(0.9 ** (depth - 1))
    # Going right with probability q: bit i of the leaf's number is 1 with probability q.
    q = np.tile([0.7, 0.3], (len(tree.transition), 1))
    assert values(tree, q, 1.0).objective == pytest.approx(0.3)


def test_a_random_mdp_is_the_same_for_the_same_seed_only():
    first, again, other = random_mdp(4), random_mdp(4), random_mdp(5)
    assert np.array_equal(first.transition, again.transition)
    assert np.array_equal(first.reward, again.reward)
    assert not np.array_equal(first.reward, other.reward)


def test_a_random_mdp_has_the_asked_shape():
    mdp = random_mdp(1, states=6, actions=4, branching=2, end=0.1, horizon=9, symbols=3)
    assert mdp.transition.shape == (7, 4, 7)
    assert (np.count_nonzero(mdp.transition[:6, :, :6], axis=-1) == 2).all()
    assert mdp.transition[:6, :, 6] == pytest.approx(0.1)
    assert mdp.observation.size == 3
    # With a chance of 0.1 to end at every step an episode has 10 steps in the mean, cut at 9 fewer.
    paid = FiniteMDP(mdp.transition, np.ones_like(mdp.reward), mdp.start, mdp.terminal)
    assert values(paid, uniform(paid), 1.0).objective == pytest.approx(10)


@pytest.mark.parametrize(("id", "kwargs"), [("CliffWalking-v1", {}), ("Taxi-v4", {}), ("FrozenLake-v1", {})])
def test_toy_text_takes_over_gymnasiums_table(id, kwargs):
    mdp, inner = toy_text(id, **kwargs), gymnasium.make(id, **kwargs).unwrapped
    assert mdp.start == pytest.approx(inner.initial_state_distrib)
    for state in range(0, len(inner.P), 7):
        for action, entries in inner.P[state].items():
            mean = sum(p * reward for p, _, reward, _ in entries)
            assert (mdp.transition * mdp.reward).sum(-1)[state, action] == pytest.approx(mean)
            for following in {entry[1] for entry in entries}:
                p = sum(entry[0] for entry in entries if entry[1] == following)
                assert mdp.transition[state, action, following] == pytest.approx(p)


def test_the_toy_problems_have_the_known_best_returns():
    # 13 steps along the edge of the cliff, each -1 (Sutton and Barto 2018, Example 6.6).
    assert optimal_values(toy_text("CliffWalking-v1", None), 1.0)[36] == pytest.approx(-13)
    # FrozenLake by either constructor.
    assert optimal_values(toy_text("FrozenLake-v1", None), 1.0)[0] == pytest.approx(14 / 17, abs=1e-9)


def test_the_best_return_of_taxi_counts_the_fewest_steps_from_every_start():
    taxi, table = toy_text("Taxi-v4", None), gymnasium.make("Taxi-v4").unwrapped.P
    assert taxi.terminal.sum() == 4
    # Breadth-first search in Gymnasium's own table; each step but the delivery costs 1, that pays 20.
    steps = np.full(len(table), np.inf)
    for count in range(1, 30):
        for state in np.flatnonzero(np.isinf(steps)):
            entries = [entries[0] for entries in table[state].values()]
            if any((gain == 20) if end else (steps[after] == count - 1) for _, after, gain, end in entries):
                steps[state] = count
    started = taxi.start > 0
    assert optimal_values(taxi, 1.0)[started] == pytest.approx(21 - steps[started])


def test_an_environment_without_a_table_is_refused():
    with pytest.raises(ValueError, match=r"Blackjack-v1 has no transition table.*use env=gymnasium"):
        toy_text("Blackjack-v1")


def test_a_table_whose_end_depends_on_the_way_in_is_refused():
    table = {0: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 1, 0.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)], 1: []}}
    with pytest.raises(ValueError, match="Odd-v0: entering state 1 ends the episode by one way and not by another"):
        problems._check_terminal("Odd-v0", table, np.array([1.0, 0.0]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: contextual_bandit([[1.0, 0.0], [1.0]]), "rows of one length"),
        (lambda: contextual_bandit([[1.0]]), "at least 2 actions"),
        (lambda: contextual_bandit([[1.0, 0.0]], [0.5, 0.5]), "one for each of the 1 contexts"),
        (lambda: contextual_bandit([[1.0, 0.0]] * 2, [0.5, 0.6]), "every row of start must be a distribution"),
        (lambda: two_state_loop(slip=1.2), r"slip=1.2 is outside \[0, 1\]"),
        (lambda: binary_tree(0), "depth=0 must be from 1 to 10"),
        (lambda: random_mdp(actions=1), "actions=1 must be at least 2"),
        (lambda: random_mdp(states=2, branching=3), "branching=3 must be at least 1 and at most 2"),
        (lambda: random_mdp(symbols=6), "symbols=6 must be at least 1 and at most 5"),
        (lambda: random_mdp(end=0.0), "or 0 with a horizon"),
    ],
)
def test_impossible_problems_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["contextual_bandit", "two_state_loop", "binary_tree", "random_mdp", "toy_text"])
def test_the_configuration_of_each_problem_names_all_its_settings_and_plays(name):
    settings = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    assert isinstance(settings, dict)
    accepted = inspect.signature(getattr(problems, name)).parameters
    named = {key for key, parameter in accepted.items() if parameter.kind is not parameter.VAR_KEYWORD}
    assert set(settings) - {"_target_"} == named
    world = instantiate(settings, _convert_="all")
    state = world.reset(torch.rand(3, 1, dtype=torch.float64))
    step = world.step(state, torch.zeros(3, dtype=torch.long), torch.rand(3, 1, dtype=torch.float64))
    assert world.observe(step.state).shape == (3, 1)
