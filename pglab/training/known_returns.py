"""The returns of random play and of the best known play in a world: 0 and 1 of a normalised score."""

from typing import Any

import numpy as np
import torch

from pglab.envs.finite import FiniteMDP
from pglab.envs.spaces import Discrete, as_space
from pglab.envs.world import Parking, Ranked, World
from pglab.exact.values import optimal_values, values

EPISODES = 128  # of random play
MOST_STEPS = 10_000  # of an episode without a horizon

Known = tuple[float, str, float, str]  # random, where from, best, where from


def reference_of(world: Any) -> Known | None:
    """Undiscounted returns of an episode under uniformly random actions and at best, each with its source in words.

    A finite MDP is solved. Elsewhere the world declares its best return (`pglab.envs.world.Ranked`), and random play
    is the mean of 128 episodes, the same at every time.

    Returns:
        None where no best return is known, where it is not above random play, and where actions are no `Discrete`.
    """
    mdp = world.finite_mdp() if hasattr(world, "finite_mdp") else world
    if isinstance(mdp, FiniteMDP):
        return _solved(mdp)
    actions = as_space(world.actions)
    if not isinstance(world, Ranked) or world.best_return is None or not isinstance(actions, Discrete):
        return None
    returns = _random_play(world, actions)
    error = returns.std(ddof=1) / np.sqrt(len(returns))
    source = f"mean of {len(returns)} episodes, standard error {error:.2g}"
    random, best = float(returns.mean()), float(world.best_return)
    return (random, source, best, world.best_source) if best > random else None


def _solved(mdp: FiniteMDP) -> Known | None:
    states, actions = mdp.transition.shape[:2]
    try:
        random = values(mdp, np.full((states, actions), 1 / actions), gamma=1.0).objective
        best = float(mdp.start @ optimal_values(mdp, gamma=1.0).reshape(-1, states)[0])
    except ValueError:  # a return that has no mean, or no best one
        return None
    if not best > random:
        return None
    seen = mdp.symbol is None or len(set(mdp.symbol[~mdp.terminal])) == int((~mdp.terminal).sum())
    source = "exact optimum" if seen else "exact optimum of who sees the state"
    return random, "exact", best, source


def _random_play(world: World, actions: Discrete) -> np.ndarray:
    """The return of each episode, `[EPISODES]`; one without a horizon is cut where it is too long."""
    generator, lanes = torch.Generator().manual_seed(0), (1, EPISODES)
    state = world.reset(torch.rand(*lanes, world.reset_draws, dtype=torch.float64, generator=generator))
    returns, alive = torch.zeros(lanes, dtype=torch.float64), torch.ones(lanes, dtype=torch.bool)
    for _ in range(world.horizon or MOST_STEPS):
        action = torch.randint(actions.size, lanes, generator=generator)
        step = world.step(state, action, torch.rand(*lanes, world.step_draws, generator=generator))
        state = step.state
        returns += torch.where(alive, step.reward.double(), 0.0)
        alive &= ~step.terminated
        if step.truncated is not None:
            alive &= ~step.truncated
        if not alive.any():
            break
        if isinstance(world, Parking):
            world.park(state, alive)
    return returns[0].numpy()
