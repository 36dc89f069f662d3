"""MuJoCo's tasks (Todorov, Erez and Tassa 2012), as Gymnasium has them."""

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, get_args

import gymnasium

from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.pooled import PooledWorld

Backend = Literal["auto", "gymnasium", "envpool"]

TASKS = "gymnasium.envs.mujoco."  # where Gymnasium has them
MISSING = {
    "mujoco": 'MuJoCo is not installed: pip install "pglab[mujoco]"',
    "envpool": 'EnvPool is not installed: pip install "pglab[envpool]", or leave env.backend=envpool out',
}


def mujoco(
    id: str,
    backend: Backend = "auto",
    max_episode_steps: int | None = None,
    kwargs: dict[str, Any] | None = None,
) -> GymnasiumWorld | PooledWorld:
    """A task of MuJoCo, by its id in Gymnasium.

    Args:
        id, max_episode_steps, kwargs: as of `pglab.envs.gymnasium.GymnasiumWorld`.
        backend: "gymnasium" steps each environment by Gymnasium's own code, "envpool" many by EnvPool's, which is
            faster and has a MuJoCo of its own; "auto" is EnvPool where it is installed and nothing is asked for in
            `kwargs`. The two differ in first states and in last digits, so they make different runs.

    Raises:
        ValueError: MuJoCo or EnvPool is not installed, the id is none of the tasks, or EnvPool does not have it so.
    """
    if find_spec("mujoco") is None:
        raise ValueError(MISSING["mujoco"])
    library = import_module("mujoco")
    if library.get_mju_user_warning() is None:
        library.set_mju_user_warning(_warned)
    spec = gymnasium.registry.get(id)
    if spec is None or not str(spec.entry_point).startswith(TASKS):
        raise ValueError(
            f"{id} is none of Gymnasium's tasks for MuJoCo: {', '.join(tasks())}; env=gymnasium has others"
        )
    if backend not in get_args(Backend):
        raise ValueError(f"backend={backend!r} is not one of {', '.join(get_args(Backend))}")
    plain = GymnasiumWorld(id, kwargs, max_episode_steps)
    if backend == "gymnasium" or (backend == "auto" and (kwargs or find_spec("envpool") is None)):
        return plain
    if find_spec("envpool") is None:
        raise ValueError(MISSING["envpool"])
    if kwargs:
        raise ValueError("kwargs are Gymnasium's: with them it is env.backend=gymnasium")
    return PooledWorld(plain)


def tasks() -> list[str]:
    """The ids of the newest version of each."""
    newest = {spec.name: spec.id for spec in gymnasium.registry.values() if str(spec.entry_point).startswith(TASKS)}
    return sorted(newest.values())


@cache
def _warned(said: str) -> None:
    """Passes on once what MuJoCo warns of, but not that Gymnasium's models are written in a way that will go.

    MuJoCo itself would say it for every environment, and into a file MUJOCO_LOG.TXT.
    """
    if "deprecated" not in said:
        print(f"MuJoCo: {said}", file=sys.stderr)
