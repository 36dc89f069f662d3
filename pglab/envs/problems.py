"""Small problems with known structure, as finite MDPs.

Terminal states share the symbol of state 0: no policy ever acts in one, so a table of
parameters needs no row for it.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from pglab.envs.finite import FiniteMDP, from_gymnasium


def contextual_bandit(means: Sequence[Sequence[float]], probabilities: Sequence[float] | None = None) -> FiniteMDP:
    """One-step episodes: a context is shown, one action taken, its mean reward earned.

    States are the contexts and, last, the exit. One context makes it the k-armed bandit with
    noiseless rewards. (Sutton and Barto 2018, section 2.9.)

    Args:
        means: reward of each action in each context, `[C, A]`.
        probabilities: of the contexts, `[C]`; uniform by default.

    Raises:
        ValueError: rows of unequal length, fewer than 2 actions, probabilities that are none.
    """
    if len({len(row) for row in means}) != 1 or len(means[0]) < 2:
        raise ValueError(f"means={[list(row) for row in means]} must be rows of one length, of at least 2 actions")
    table = np.asarray(means, dtype=float)
    contexts, actions = table.shape
    shown = [1.0 / contexts] * contexts if probabilities is None else list(probabilities)
    if len(shown) != contexts:
        raise ValueError(f"probabilities={shown} must be one for each of the {contexts} contexts")
    transition = np.zeros((contexts + 1, actions, contexts + 1))
    transition[..., -1] = 1.0
    reward = np.zeros_like(transition)
    reward[:contexts, :, -1] = table
    start = np.append(np.asarray(shown, dtype=float), 0.0)
    symbol = np.append(np.arange(contexts), 0)
    return FiniteMDP(transition, reward, start, _only(contexts + 1, contexts), 1, symbol)


def two_state_loop(horizon: int | None = 20, slip: float = 0.0) -> FiniteMDP:
    """Two states that never end: action 0 stays, action 1 changes the state.

    Reward 1 for every step that ends in state 1; starts in state 0. Without a horizon it needs
    γ < 1. Under a uniform policy every step ends in either state with probability ½, so
    J = ½ (1 - γ^H) / (1 - γ).

    Args:
        horizon: steps of an episode, or None.
        slip: probability that the other action's move is made.
    """
    _check_slip(slip)
    stay, change = np.eye(2), np.eye(2)[::-1]
    transition = np.stack(((1 - slip) * stay + slip * change, slip * stay + (1 - slip) * change), axis=1)
    reward = np.zeros((2, 2, 2))
    reward[..., 1] = 1.0
    return FiniteMDP(transition, reward, np.eye(2)[0], np.zeros(2, dtype=bool), horizon)


def binary_tree(depth: int = 4, slip: float = 0.0) -> FiniteMDP:
    """A complete binary tree walked from its root: action 0 left, 1 right, `depth` steps.

    Only the leaves pay: leaf k of 0 … 2^depth - 1, counted from the left, pays
    k / (2^depth - 1). The first turn is worth half of everything and is credited only at the
    end. A uniform policy has J = ½ (with γ = 1), the best goes right: J = 1 without slip.
    States are numbered as in a heap: children of i are 2i + 1 and 2i + 2.

    Args:
        depth: steps of every episode, at least 1.
        slip: probability that the other action's move is made.
    """
    if not 1 <= depth <= 10:
        raise ValueError(f"depth={depth} must be from 1 to 10 (a tree of depth 10 has 2047 states)")
    _check_slip(slip)
    inner, states = 2**depth - 1, 2 ** (depth + 1) - 1
    transition = np.zeros((states, 2, states))
    node, leaf = np.arange(inner), np.arange(inner, states)
    for action in (0, 1):
        transition[node, action, 2 * node + 1 + action] += 1 - slip
        transition[node, action, 2 * node + 2 - action] += slip
    transition[leaf, :, leaf] = 1.0
    reward = np.zeros_like(transition)
    reward[:, :, leaf] = (leaf - inner) / (states - 1 - inner)
    terminal = np.arange(states) >= inner
    symbol = np.where(terminal, 0, np.arange(states))
    return FiniteMDP(transition, reward, np.eye(states)[0], terminal, symbol=symbol)


def random_mdp(
    seed: int = 0,
    states: int = 5,
    actions: int = 3,
    branching: int = 3,
    end: float = 0.2,
    horizon: int | None = None,
    symbols: int | None = None,
) -> FiniteMDP:
    """A random problem ("Garnet"; Archibald, McKinnon and Thomas 1995), the same for the same arguments.

    From each state and action `branching` different states may follow, with probabilities drawn
    uniformly from the simplex; r(s, a, s') ~ N(0, 1); the first state is uniform.

    Args:
        seed: of the problem, not of a run.
        states, actions: how many; one more state, the last, is the exit.
        branching: successors of each (s, a), at most `states`.
        end: probability that a step leads to the exit.
        horizon: steps after which an episode is truncated, or None.
        symbols: how many different observations the states share, dealt in turn; by default
            each state is its own.

    Raises:
        ValueError: a number outside its range; no end and no horizon.
    """
    for name, number, low, high in (
        ("states", states, 1, None),
        ("actions", actions, 2, None),
        ("branching", branching, 1, states),
        ("symbols", states if symbols is None else symbols, 1, states),
    ):
        if number < low or (high is not None and number > high):
            raise ValueError(f"{name}={number} must be at least {low}" + (f" and at most {high}" if high else ""))
    if not 0.0 <= end <= 1.0 or (end == 0.0 and horizon is None):
        raise ValueError(f"end={end} must be in (0, 1], or 0 with a horizon")
    generator = np.random.default_rng(seed)
    transition = np.zeros((states + 1, actions, states + 1))
    for state in range(states):
        for action in range(actions):
            following = generator.choice(states, branching, replace=False)
            transition[state, action, following] = (1 - end) * generator.dirichlet(np.ones(branching))
    transition[:states, :, states] = end
    transition[states, :, states] = 1.0
    reward = generator.normal(size=transition.shape)
    start = np.append(np.full(states, 1.0 / states), 0.0)
    symbol = np.append(np.arange(states) % (symbols or states), 0)
    return FiniteMDP(transition, reward, start, _only(states + 1, states), horizon, symbol)


def toy_text(id: str = "CliffWalking-v1", horizon: int | None = 200, **kwargs: Any) -> FiniteMDP:
    """A Gymnasium environment that publishes its transition table: CliffWalking, Taxi, FrozenLake.

    Args:
        id: registered id, with its version.
        horizon: steps after which an episode is truncated, or None.
        kwargs: for `gymnasium.make`.

    Raises:
        ValueError: the environment has no table, or its table ends an episode on entering a
            state by one way and not by another, which a `FiniteMDP` cannot say.
    """
    inner: Any = gymnasium.make(id, **kwargs).unwrapped
    if not hasattr(inner, "P") or not hasattr(inner, "initial_state_distrib"):
        raise ValueError(f"{id} has no transition table `P` and `initial_state_distrib`: use env=gymnasium for it")
    _check_terminal(id, inner.P, np.asarray(inner.initial_state_distrib, dtype=float))
    return from_gymnasium(id, kwargs, horizon)


def _check_terminal(id: str, table: dict, start: np.ndarray) -> None:
    seen = frontier = set(np.flatnonzero(start).tolist())
    ends: dict[int, bool] = {}
    while frontier:
        entries = [entry for state in frontier for entries in table[state].values() for entry in entries]
        frontier = set()
        for probability, following, _, terminated in entries:
            if probability > 0 and ends.setdefault(int(following), bool(terminated)) != bool(terminated):
                raise ValueError(f"{id}: entering state {following} ends the episode by one way and not by another")
            if probability > 0 and not terminated and following not in seen:
                frontier.add(int(following))
        seen = seen | frontier


def _check_slip(slip: float) -> None:
    if not 0.0 <= slip <= 1.0:
        raise ValueError(f"slip={slip} is outside [0, 1]")


def _only(states: int, state: int) -> np.ndarray:
    return np.arange(states) == state
