import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.envs.finite import FiniteMDP, corridor, from_gymnasium_table, frozen_lake
from pglab.envs.world import Discrete

GRID = 1 << 10
LARGEST = 1 - 2.0**-24  # the largest uniform in single precision
LEFT, RIGHT = 0, 1


@st.composite
def tables(draw):
    """A process with many impossible transitions, its reward the number s·100 + a·10 + s'."""
    states, actions = draw(st.integers(2, 5)), draw(st.integers(1, 3))
    weight = st.lists(st.sampled_from([0, 0, 0.1, 0.7, 1, 1 / 3, 1e-9]), min_size=states, max_size=states).filter(any)
    rows = np.array(draw(st.lists(weight, min_size=states * actions + 1, max_size=states * actions + 1)), dtype=float)
    rows /= rows.sum(-1, keepdims=True)
    index = np.indices((states, actions, states))
    return FiniteMDP(
        transition=rows[1:].reshape(states, actions, states),
        reward=(index * np.array([100, 10, 1])[:, None, None, None]).sum(0).astype(float),
        start=rows[0],
        terminal=np.array(draw(st.lists(st.booleans(), min_size=states, max_size=states))),
    )


def everywhere(world):
    """Each (s, a) `[S·A, 1]`, to be broadcast against uniforms."""
    states, actions = np.indices((len(world.transition), world.actions.size)).reshape(2, -1, 1)
    return torch.from_numpy(states), torch.from_numpy(actions)


def shares(states, world):
    """How often each state is among the given ones `[..., G]`: `[..., S]`."""
    return torch.nn.functional.one_hot(states, len(world.transition)).double().mean(-2).numpy()


@given(tables())
def test_successors_over_a_grid_of_uniforms_are_in_proportion_to_the_table(world):
    state, action = everywhere(world)
    uniform = (torch.arange(GRID) / GRID).expand(len(state), -1)
    step = world.step((state.expand(-1, GRID),), action.expand(-1, GRID), uniform[..., None])
    expected = world.transition.reshape(len(state), -1)
    assert (abs(shares(step.state[0], world) - expected) < 1 / GRID + 1e-12).all()


@given(tables())
def test_first_states_over_a_grid_of_uniforms_are_in_proportion_to_their_distribution(world):
    (state,) = world.reset((torch.arange(GRID, dtype=torch.float64) / GRID)[:, None])
    assert (abs(shares(state, world) - world.start) < 1 / GRID + 1e-12).all()


@given(tables(), st.floats(0, LARGEST, width=32) | st.sampled_from([0.0, LARGEST]))
def test_what_is_impossible_never_happens(world, u):
    state, action = everywhere(world)
    step = world.step((state,), action, torch.full((*state.shape, 1), u))
    assert (world.transition[state, action, step.state[0]] > 0).all()
    for extreme in (u, 1 - 2.0**-53):
        assert world.start[world.reset(torch.tensor([extreme], dtype=torch.float64))[0]] > 0


def test_a_state_begins_exactly_where_the_one_before_it_ends():
    row = np.array([0.25, 0.0, 0.25, 0.5])
    world = FiniteMDP(np.tile(row, (4, 1, 1)), np.zeros((4, 1, 4)), row, np.zeros(4, dtype=bool))
    uniform = torch.tensor([0.0, 0.25 - 2.0**-24, 0.25, 0.5 - 2.0**-24, 0.5, LARGEST])[:, None]
    zeros = torch.zeros(6, dtype=torch.int64)
    assert world.reset(uniform.double())[0].tolist() == [0, 0, 2, 2, 3, 3]
    assert world.step((zeros,), zeros, uniform).state[0].tolist() == [0, 0, 2, 2, 3, 3]


def test_a_row_that_sums_to_less_than_one_by_rounding_still_ends_in_a_possible_state():
    row = np.array([0.1] * 10 + [0.0, 0.0])
    assert row.cumsum()[-1] < 1
    world = FiniteMDP(np.tile(row, (12, 1, 1)), np.zeros((12, 1, 12)), row, np.zeros(12, dtype=bool))
    assert world.reset(torch.tensor([1 - 2.0**-53], dtype=torch.float64))[0] == 9
    step = world.step((torch.tensor([0]),), torch.tensor([0]), torch.tensor([[1 - 2.0**-53]], dtype=torch.float64))
    assert step.state[0] == 9


@given(tables(), st.floats(0, LARGEST, width=32))
def test_the_reward_is_that_of_the_state_the_action_and_the_successor(world, u):
    state, action = everywhere(world)
    step = world.step((state,), action, torch.full((*state.shape, 1), u))
    assert torch.equal(step.reward, (100 * state + 10 * action + step.state[0]).float())
    assert torch.equal(step.terminated, torch.from_numpy(world.terminal)[step.state[0]])
    assert step.truncated is None


@pytest.mark.parametrize(
    ("state", "action", "following"),
    [(0, LEFT, 0), (0, RIGHT, 1), (1, LEFT, 2), (1, RIGHT, 0), (2, LEFT, 1), (2, RIGHT, 3)],
)
@pytest.mark.parametrize("u", [0.0, 0.5, LARGEST])
def test_the_corridor_swaps_the_actions_in_its_second_state(state, action, following, u):
    step = corridor().step((torch.tensor([state]),), torch.tensor([action]), torch.tensor([[u]]))
    assert step.state[0].tolist() == [following]
    assert step.reward.tolist() == [-1.0]
    assert step.terminated.tolist() == [following == 3]


def test_every_state_of_the_corridor_looks_the_same_and_it_begins_at_the_wall():
    world = corridor()
    assert (world.observation, world.actions, world.horizon) == (Discrete(1), Discrete(2), 20_000)
    assert world.observe((torch.arange(4),)).tolist() == [[0.0]] * 4
    assert world.reset(torch.tensor([[0.0], [0.5], [LARGEST]], dtype=torch.float64))[0].tolist() == [0, 0, 0]


def test_the_agent_sees_the_symbol_of_a_state_or_else_the_state_itself():
    own = corridor()
    tables = (own.transition, own.reward, own.start, own.terminal)
    plain, mapped = FiniteMDP(*tables), FiniteMDP(*tables, symbol=np.array([0, 2, 2, 1]))
    assert (plain.observation, mapped.observation) == (Discrete(4), Discrete(3))
    states = (torch.tensor([[0, 1], [2, 3]]),)
    assert plain.observe(states).tolist() == [[[0.0], [1.0]], [[2.0], [3.0]]]
    assert mapped.observe(states).tolist() == [[[0.0], [2.0]], [[2.0], [1.0]]]


@pytest.mark.parametrize("map_name", ["4x4", "8x8"])
@pytest.mark.parametrize("is_slippery", [True, False])
def test_frozen_lake_is_the_table_of_gymnasium_with_equal_successors_added_up(map_name, is_slippery):
    world = frozen_lake(map_name, is_slippery)
    env = gymnasium.make("FrozenLake-v1", map_name=map_name, is_slippery=is_slippery).unwrapped
    assert (world.observation, world.actions) == (Discrete(env.observation_space.n), Discrete(env.action_space.n))
    np.testing.assert_array_equal(world.start, env.initial_state_distrib)
    for state, by_action in env.P.items():
        for action, entries in by_action.items():
            for following in range(env.observation_space.n):
                own = [(p, r, end) for p, s, r, end in entries if s == following]
                assert world.transition[state, action, following] == pytest.approx(sum(p for p, _, _ in own), abs=1e-15)
                for _, reward, end in own:
                    assert world.reward[state, action, following] == reward
                    assert world.terminal[following] == end


@pytest.mark.parametrize(("gamma", "best", "digits"), [(1.0, 14 / 17, 1e-12), (0.99, 0.54202593, 5e-9)])
def test_the_best_value_of_frozen_lake_is_the_known_one(gamma, best, digits):
    world = frozen_lake()
    value = np.zeros(16)
    for _ in range(5000):
        backup = (world.transition * (world.reward + gamma * value)).sum(-1).max(-1)
        value = np.where(world.terminal, 0.0, backup)
    assert value[0] == pytest.approx(best, abs=digits)


def test_entries_for_the_same_successor_add_up_and_average_their_rewards():
    table = {
        0: {0: [(0.25, 1, 1.0, True), (0.5, 1, 4.0, True), (0.25, 0, -1.0, False)]},
        1: {0: [(1.0, 1, 0.0, True)]},
    }
    world = from_gymnasium_table(table, np.array([1, 0]), horizon=7)
    assert world.transition.tolist() == [[[0.25, 0.75]], [[0.0, 1.0]]]
    assert world.reward.tolist() == [[[-1.0, 3.0]], [[0.0, 0.0]]]
    assert (world.terminal.tolist(), world.horizon) == ([False, True], 7)


def test_lanes_may_have_any_shape():
    world, generator = frozen_lake(), torch.Generator().manual_seed(0)
    state, action = (torch.randint(0, n, (2, 3), generator=generator) for n in (16, 4))
    uniform = torch.rand(2, 3, 1, generator=generator)
    grid, row = (
        world.step((state,), action, uniform),
        world.step((state.flatten(),), action.flatten(), uniform.flatten(0, 1)),
    )
    assert torch.equal(grid.state[0].flatten(), row.state[0])
    assert torch.equal(grid.reward.flatten(), row.reward)
    assert world.observe(grid.state).shape == (2, 3, 1)


HALVES = {"transition": np.full((2, 1, 2), 0.5), "reward": np.zeros((2, 1, 2)), "start": np.array([0.5, 0.5])}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"transition": np.full((2, 1, 3), 0.5)}, r"must both be \[S, A, S\]"),
        ({"reward": np.zeros((2, 2))}, r"must both be \[S, A, S\]"),
        ({"start": np.array([1.0])}, r"must be \[2\]"),
        ({"terminal": np.array([False])}, r"must be \[2\]"),
        ({"transition": np.full((2, 1, 2), 0.4)}, "every row of transition must be a distribution"),
        ({"transition": np.tile([1.5, -0.5], (2, 1, 1))}, "every row of transition must be a distribution"),
        ({"transition": np.full((2, 1, 2), np.nan)}, "every row of transition must be a distribution"),
        ({"start": np.array([0.5, 0.6])}, "every row of start must be a distribution"),
        ({"horizon": 0}, "horizon=0 must be at least 1"),
    ],
)
def test_tables_that_are_no_process_are_refused(wrong, message):
    FiniteMDP(**HALVES, terminal=np.array([False, True]))
    with pytest.raises(ValueError, match=message):
        FiniteMDP(**({"terminal": np.array([False, True])} | HALVES | wrong))


def test_an_unknown_lake_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ValueError, match="map_name='5x5' is not one of '4x4', '8x8'"):
        frozen_lake("5x5")
