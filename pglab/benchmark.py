"""`python -m pglab.benchmark`: trained environment steps a second, side by side in one run.

Four ways to train the experiment `simple_pg`: a plain per-step loop as in a textbook, pglab with
one run, with 2 arms × 50 seeds, and the same with `diagnostics=gradient`; and two ways to train
`ppo_cleanrl`: such a loop, and pglab with 200 seeds. With `--mujoco` it is `ppo_continuous` on
Hopper-v5 with eight seeds: one after the other by Stable-Baselines3, where that is installed, and
fused by pglab. The ways take turns, and each shows the median of its turns, as machines are noisy.
Times are of training alone: processes are up and the components built before the clock starts,
and no final evaluation is played.
"""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("pglab.benchmark")

import json
import resource
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from rich.console import Console as Terminal
from rich.table import Table

from pglab.cli import compose_runs
from pglab.results import load
from pglab.shell import Parser, ended
from pglab.studies.console import Console
from pglab.studies.execute import execute
from pglab.studies.plan import make_plan
from pglab.studies.train import ready_pool
from pglab.textbook import textbook, textbook_ppo, total_return

DESCRIBED = {  # by what is trained and the way that the others are compared with
    ("simple_pg on CartPole-v0", "textbook"): {
        "textbook": "one run, step by step",
        "single": "pglab, one run",
        "fused": "pglab, 2 arms × 50 seeds",
        "diagnosed": "the same, diagnosed",
    },
    ("ppo_cleanrl on CartPole-v1", "textbook_ppo"): {
        "textbook_ppo": "one run, step by step",
        "ppo": "pglab, 200 seeds",
    },
}
SEEDS, STEPS = 8, 2048  # on MuJoCo: runs, and steps of an update
ON_MUJOCO = {
    ("ppo_continuous on Hopper-v5", "sb3"): {
        "sb3": f"Stable-Baselines3, {SEEDS} seeds in turn",
        "gymnasium": f"pglab, {SEEDS} seeds, stepped by Gymnasium",
        "envpool": f"pglab, {SEEDS} seeds, stepped by EnvPool",
    },
}
INSTALLED = {  # what else a way needs, and the command that brings it
    "sb3": ("stable_baselines3", "pip install stable-baselines3"),
    "envpool": ("envpool", "pip install 'pglab[envpool]'"),
}
COMMON = ["updates={updates}", "results_dir={folder}", "logger.mode=disabled", "evaluation.episodes=0"]


def main() -> int:
    """Prints the table, and writes it as JSON with `--json FILE`; returns the exit status."""
    return ended(_measured)


def _measured() -> int:
    parser = Parser(prog="python -m pglab.benchmark", description=__doc__)
    parser.add_argument("--updates", type=int, default=20, help="updates of every run (default: 20)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each way (default: 3)")
    parser.add_argument("--mujoco", action="store_true", help="PPO on Hopper-v5, beside Stable-Baselines3")
    parser.add_argument("--json", type=Path, help="write the steps a second to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    terminal, described = Terminal(), ON_MUJOCO if options.mujoco else DESCRIBED
    ways = _on_mujoco(options.updates, terminal) if options.mujoco else _ways(options.updates)
    turns = [{name: measure() for name, measure in ways.items()} for _ in range(options.repeats)]
    speeds = {name: float(np.median([turn[name] for turn in turns])) for name in ways}
    for (world, plain), words in described.items():
        terminal.print(_table(f"{world}, {options.updates} updates a run", plain, words, speeds))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    terminal.print(f"Largest worker process: {peak:.2f} GB of memory")
    if options.json:
        options.json.write_text(json.dumps(speeds, indent=1) + "\n")
    return 0


def _ways(updates: int) -> dict[str, Callable[[], float]]:
    grid = ["experiment=simple_pg,rtg_pg", "seeds=50"]
    return {
        "textbook": lambda: textbook_speed(lambda: textbook(updates, seed=0, weigh=total_return)),
        "single": lambda: pglab_speed(["experiment=simple_pg"], updates),
        "fused": lambda: pglab_speed(grid, updates),
        "diagnosed": lambda: pglab_speed([*grid, "diagnostics=gradient"], updates),
        "textbook_ppo": lambda: textbook_speed(lambda: textbook_ppo(updates, seed=0)),
        "ppo": lambda: pglab_speed(["experiment=ppo_cleanrl", "seeds=200"], updates),
    }


def _on_mujoco(updates: int, terminal: Terminal) -> dict[str, Callable[[], float]]:
    """The ways that can be gone here; says how to have the others."""
    fused = ["experiment=ppo_continuous", f"seeds={SEEDS}"]
    ways = {
        "sb3": lambda: stable_baselines_speed(updates),
        "gymnasium": lambda: pglab_speed([*fused, "env.backend=gymnasium"], updates),
        "envpool": lambda: pglab_speed([*fused, "env.backend=envpool"], updates),
    }
    for name, (module, command) in INSTALLED.items():
        if find_spec(module) is None:
            del ways[name]
            terminal.print(f"{module} is not installed here, and not measured: {command}", markup=False, soft_wrap=True)
    return ways


def _table(title: str, plain: str, words: dict[str, str], speeds: dict[str, float]) -> Table:
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


def pglab_speed(overrides: list[str], updates: int) -> float:
    """Trained environment steps a second of what `python -m pglab -m OVERRIDES` trains."""
    with tempfile.TemporaryDirectory() as folder:
        common = [override.format(updates=updates, folder=folder) for override in COMMON]
        plan = make_plan(compose_runs([*overrides, *common]))
        pool, _ = ready_pool(plan)
        begin = time.perf_counter()
        execute(plan, pool, Console())
        seconds = time.perf_counter() - begin
        pool.stop()
        steps = load(plan.folder).groupby(["arm", "seed"])["env_steps"].last().sum()
    return steps / seconds


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
