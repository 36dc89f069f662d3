"""`python -m pglab.benchmark`: trained environment steps a second, side by side in one run.

The experiment `simple_pg` by a plain per-step loop as in a textbook, by pglab with one run, with 2 arms × 50 seeds, and
the same with `diagnostics=gradient`, each with `backend=torch` and `native`; `ppo_cleanrl` by such a loop and with 200
seeds; a world of each kind with 20 seeds; and the share of processor time that each phase of training takes. With
`--scale` it is one update of 1 to 10,000 runs, and the memory that they take. With `--mujoco` it is `ppo_continuous` on
Hopper-v5 with eight seeds: one after the other by Stable-Baselines3, where that is installed, and fused by pglab. With
`--pong` it is `pong_from_pixels`, by a plain program in NumPy, and by pglab with one seed and with eight. The ways take
turns, and each shows the median of its turns, as machines are noisy. Times are of training alone: processes are up and
the components built, and compiled, before the clock starts, and no final evaluation is played.
"""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("pglab.benchmark")

import json
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from rich.console import Console as Terminal
from rich.table import Table

from pglab.envs.atari import MISSING
from pglab.errors import InputError
from pglab.measuring import memory, shares, trained
from pglab.shell import Parser, ended
from pglab.textbook import GAMES, textbook, textbook_pong, textbook_ppo, total_return

Ways = dict[str, Callable[[], float]]
Described = Mapping[tuple[str, str], Mapping[str, str]]

GRID = ("experiment=simple_pg,rtg_pg", "seeds=50")
PPO = ("experiment=ppo_cleanrl", "seeds=200")
WORLDS = {
    "acrobot": ("env=acrobot", "batch.steps=2000"),
    "mountain_car": ("env=mountain_car", "batch.steps=2000"),
    "pendulum": ("env=pendulum", "head=gaussian", "batch.steps=2000"),
    "frozenlake": ("env=frozenlake", "network=tabular", "batch.steps=2000"),
    "bandit": ("env=bandit", "network=tabular", "batch=episodes", "batch.episodes=2000"),
}
OF_WORLDS, WORLD_UPDATES = 20, 5  # seeds, and most updates
DESCRIBED = {  # by what is trained and the way that the others are compared with
    ("simple_pg on CartPole-v0", "textbook"): {
        "textbook": "one run, step by step",
        "single": "pglab, one run",
        "native_single": "the same, backend=native",
        "fused": "pglab, 2 arms × 50 seeds",
        "native_fused": "the same, backend=native",
        "diagnosed": "pglab, 2 arms × 50 seeds, diagnosed",
        "native_diagnosed": "the same, backend=native",
    },
    ("ppo_cleanrl on CartPole-v1", "textbook_ppo"): {
        "textbook_ppo": "one run, step by step",
        "ppo": "pglab, 200 seeds",
        "native_ppo": "the same, backend=native",
    },
    (f"rtg, {OF_WORLDS} seeds", ""): {
        name: word
        for world in WORLDS
        for name, word in ((world, world), (f"native_{world}", f"{world}, backend=native"))
    },
}
SHARED = {"single": ("experiment=simple_pg",), "fused": GRID, "ppo": ("experiment=ppo_cleanrl", "seeds=50")}
SCALE = (1, 10, 100, 1000, 10_000)
SEEDS, STEPS = 8, 2048  # on MuJoCo: runs, and steps of an update
ON_MUJOCO = {
    ("ppo_continuous on Hopper-v5", "sb3"): {
        "sb3": f"Stable-Baselines3, {SEEDS} seeds in turn",
        "gymnasium": f"pglab, {SEEDS} seeds, stepped by Gymnasium",
        "envpool": f"pglab, {SEEDS} seeds, stepped by EnvPool",
        "native_envpool": "the same, backend=native",
    },
}
PONG = ("experiment=pong_from_pixels",)
ON_PONG = {
    ("pong_from_pixels", "textbook_pong"): {
        "textbook_pong": "one run in NumPy, step by step",
        "single": "pglab, one run",
        "fused": f"pglab, {SEEDS} seeds",
    },
}
INSTALLED = {  # what else a way needs, and the command that brings it
    "native": ("numba", "pip install 'pglab[native]'"),
    "sb3": ("stable_baselines3", "pip install stable-baselines3"),
    "envpool": ("envpool", "pip install 'pglab[envpool]'"),
}


def main() -> int:
    """Prints the tables, and writes them as JSON with `--json FILE`; returns the exit status."""
    return ended(_measured)


def _measured() -> int:
    parser = Parser(prog="python -m pglab.benchmark", description=__doc__)
    parser.add_argument("--updates", type=int, default=20, help="updates of every run (default: 20)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each way (default: 3)")
    parser.add_argument("--scale", action="store_true", help="one update of 1 to 10,000 runs")
    parser.add_argument("--mujoco", action="store_true", help="PPO on Hopper-v5, beside Stable-Baselines3")
    parser.add_argument("--pong", action="store_true", help="Pong from pixels, beside a program in NumPy")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    terminal = Terminal()
    if options.scale:
        found: dict[str, Any] = _scale(options.repeats, terminal)
    elif options.mujoco or options.pong:
        ways, described = (_on_mujoco, ON_MUJOCO) if options.mujoco else (_on_pong, ON_PONG)
        found = _side_by_side(ways(options.updates), described, options.updates, options.repeats, terminal)
    else:
        found = _side_by_side(_ways(options.updates), DESCRIBED, options.updates, options.repeats, terminal)
        found["shares"] = _shares(options.updates, found, terminal)
    terminal.print(f"Largest worker process: {memory():.2f} GB of memory")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _side_by_side(ways: Ways, described: Described, updates: int, repeats: int, terminal: Terminal) -> dict[str, Any]:
    """Speeds by the name of a way."""
    ways = _there(ways, terminal)
    turns = [{name: measure() for name, measure in ways.items()} for _ in range(repeats)]
    speeds = {name: float(np.median([turn[name] for turn in turns])) for name in ways}
    for (world, plain), words in described.items():
        trained_for = updates if plain else min(updates, WORLD_UPDATES)
        terminal.print(_table(f"{world}, {trained_for} updates a run", plain, words, speeds))
    return speeds


def _shares(updates: int, measured: Mapping[str, Any], terminal: Terminal) -> dict[str, dict[str, float]]:
    """The share of processor time of each phase, for some of the ways that were measured."""
    parts = {
        name: shares([*overrides, f"backend={backend}"], updates)
        for key, overrides in SHARED.items()
        for backend, name in (("torch", key), ("native", f"native_{key}"))
        if name in measured
    }
    terminal.print(_shares_table(parts))
    return parts


def _ways(updates: int) -> Ways:
    def pglab(*overrides: str, most: int = updates) -> Callable[[], float]:
        return lambda: trained(overrides, min(updates, most)).speed

    ways: Ways = {"textbook": lambda: textbook_speed(lambda: textbook(updates, seed=0, weigh=total_return))}
    ways["textbook_ppo"] = lambda: textbook_speed(lambda: textbook_ppo(updates, seed=0))
    for backend, of in (("torch", ""), ("native", "native_")):
        chosen = f"backend={backend}"
        ways[f"{of}single"] = pglab("experiment=simple_pg", chosen)
        ways[f"{of}fused"] = pglab(*GRID, chosen)
        ways[f"{of}diagnosed"] = pglab(*GRID, "diagnostics=gradient", chosen)
        ways[f"{of}ppo"] = pglab(*PPO, chosen)
        for world, overrides in WORLDS.items():
            ways[f"{of}{world}"] = pglab(*overrides, f"seeds={OF_WORLDS}", chosen, most=WORLD_UPDATES)
    return ways


def _on_mujoco(updates: int) -> Ways:
    fused = ("experiment=ppo_continuous", f"seeds={SEEDS}")
    return {
        "sb3": lambda: stable_baselines_speed(updates),
        "gymnasium": lambda: trained([*fused, "env.backend=gymnasium"], updates).speed,
        "envpool": lambda: trained([*fused, "env.backend=envpool"], updates).speed,
        "native_envpool": lambda: trained([*fused, "env.backend=envpool", "backend=native"], updates).speed,
    }


def _on_pong(updates: int) -> Ways:
    if find_spec("ale_py") is None:
        raise InputError(MISSING)
    return {
        "textbook_pong": lambda: textbook_speed(lambda: textbook_pong(updates * GAMES, seed=0)),
        "single": lambda: trained(PONG, updates).speed,
        "fused": lambda: trained([*PONG, f"seeds={SEEDS}"], updates).speed,
    }


def _there(ways: Ways, terminal: Terminal) -> Ways:
    """The ways that can be gone here; says how to have the others."""
    for kind, (module, command) in INSTALLED.items():
        lacking = [name for name in ways if kind in name.split("_")]
        if lacking and find_spec(module) is None:
            ways = {name: way for name, way in ways.items() if name not in lacking}
            terminal.print(f"{module} is not installed here, and not measured: {command}", markup=False, soft_wrap=True)
    return ways


def _scale(repeats: int, terminal: Terminal) -> dict[str, Any]:
    """Seconds of an update of so many runs and gigabytes of the largest process by then, by backend and runs."""
    found: dict[str, Any] = {}
    backends = [backend for backend in ("native", "torch") if backend == "torch" or find_spec("numba")]
    for backend in backends:
        found[backend] = {}
        for runs in SCALE:
            overrides = ("experiment=simple_pg", f"seeds={runs}", f"backend={backend}")
            seconds = float(np.median([trained(overrides, 1).seconds for _ in range(repeats)]))
            found[backend][str(runs)] = {"seconds": seconds, "gigabytes": memory()}
    table = Table(title="simple_pg, one update")
    for column in ("runs", *(f"{backend}, {unit}" for backend in backends for unit in ("s", "ms a run", "GB"))):
        table.add_column(column, justify="right")
    for runs in SCALE:
        cells = []
        for backend in backends:
            own = found[backend][str(runs)]
            cells += [f"{own['seconds']:.2f}", f"{1000 * own['seconds'] / runs:.1f}", f"{own['gigabytes']:.2f}"]
        table.add_row(f"{runs:,}", *cells)
    terminal.print(table)
    return found


def _table(title: str, plain: str, words: Mapping[str, str], speeds: Mapping[str, float]) -> Table:
    """Speeds, and how many times that of the plain way they are, where it was measured."""
    table = Table(title=title)
    table.add_column("")
    compared = [f"times {plain}"] if plain in speeds else []
    for column in ("environment steps a second", *compared):
        table.add_column(column, justify="right")
    for name in filter(speeds.__contains__, words):
        times = [f"{speeds[name] / speeds[plain]:.1f}"] if compared else []
        table.add_row(words[name], f"{speeds[name]:,.0f}", *times)
    return table


def _shares_table(parts: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title="Share of processor time, %")
    phases = list(next(iter(parts.values())))
    for column in ("", *phases):
        table.add_column(column, justify="right" if column else "left")
    for name, own in parts.items():
        table.add_row(name, *(f"{100 * own[phase]:.0f}" for phase in phases))
    return table


def stable_baselines_speed(updates: int) -> float:
    """Environment steps a second of Stable-Baselines3 with the settings of `ppo_continuous`, one seed after the other.

    It has one thread, with which networks of this size are computed fastest.
    """
    from stable_baselines3 import PPO  # type: ignore[import-not-found]
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize  # type: ignore[import-not-found]

    seconds = 0.0
    for seed in range(SEEDS):
        env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Hopper-v5")]))
        settings: dict[str, Any] = {"n_steps": STEPS, "batch_size": STEPS // 32, "n_epochs": 10, "clip_range_vf": 0.2}
        settings |= {"learning_rate": lambda left: 3e-4 * left, "seed": seed, "device": "cpu"}
        model = PPO("MlpPolicy", env, **settings)  # two layers of 64 units
        begin = time.perf_counter()
        model.learn(updates * STEPS)
        seconds += time.perf_counter() - begin
    return SEEDS * updates * STEPS / seconds


def textbook_speed(train: Callable[[], list[tuple[int, float]]]) -> float:
    """Trained environment steps a second of a plain loop."""
    begin = time.perf_counter()
    history = train()
    return sum(steps for steps, _ in history) / (time.perf_counter() - begin)
