"""MuJoCo's tasks (Todorov, Erez and Tassa 2012), as Gymnasium has them."""

from importlib.util import find_spec
from typing import Any

import gymnasium

from pglab.envs.gymnasium import GymnasiumWorld

TASKS = "gymnasium.envs.mujoco."  # where Gymnasium has them


def mujoco(id: str, max_episode_steps: int | None = None, kwargs: dict[str, Any] | None = None) -> GymnasiumWorld:
    """A task of MuJoCo, by its id in Gymnasium, whose own code observes and rewards it.

    Args:
        id, max_episode_steps, kwargs: as of `pglab.envs.gymnasium.GymnasiumWorld`.

    Raises:
        ValueError: MuJoCo is not installed, or the id is none of its tasks.
    """
    if find_spec("mujoco") is None:
        raise ValueError('MuJoCo is not installed: pip install "pglab[mujoco]"')
    spec = gymnasium.registry.get(id)
    if spec is None or not str(spec.entry_point).startswith(TASKS):
        raise ValueError(
            f"{id} is none of Gymnasium's tasks for MuJoCo: {', '.join(tasks())}; env=gymnasium has others"
        )
    return GymnasiumWorld(id, kwargs, max_episode_steps)


def tasks() -> list[str]:
    """The ids of the newest version of each."""
    newest = {spec.name: spec.id for spec in gymnasium.registry.values() if str(spec.entry_point).startswith(TASKS)}
    return sorted(newest.values())
