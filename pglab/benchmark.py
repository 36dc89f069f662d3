"""`python -m pglab.benchmark`: trained environment steps a second, side by side in one run.

Four ways to train the experiment `simple_pg`: a plain per-step loop as in a textbook, pglab with
one run, with 2 arms × 50 seeds, and the same with `diagnostics=gradient`. They take turns, and
each shows the median of its turns, as machines are noisy. Times are of training alone: processes are up and the
components built before the clock starts, and no final evaluation is played.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from rich.console import Console as Terminal
from rich.table import Table
from torch import nn
from torch.distributions import Categorical

from pglab.cli import compose_runs
from pglab.results import load
from pglab.shell import Parser, ended
from pglab.studies.console import Console
from pglab.studies.execute import execute
from pglab.studies.plan import make_plan
from pglab.studies.train import ready_pool

COMMON = ["updates={updates}", "results_dir={folder}", "logger.mode=disabled", "evaluation.episodes=0"]


def main() -> int:
    """Prints the table, and writes it as JSON with `--json FILE`; returns the exit status."""
    return ended(_measured)


def _measured() -> int:
    parser = Parser(prog="python -m pglab.benchmark", description=__doc__)
    parser.add_argument("--updates", type=int, default=20, help="updates of every run (default: 20)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each way (default: 3)")
    parser.add_argument("--json", type=Path, help="write the steps a second to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    grid = ["experiment=simple_pg,rtg_pg", "seeds=50"]
    ways = {
        "textbook": lambda: textbook_speed(options.updates),
        "single": lambda: pglab_speed(["experiment=simple_pg"], options.updates),
        "fused": lambda: pglab_speed(grid, options.updates),
        "diagnosed": lambda: pglab_speed([*grid, "diagnostics=gradient"], options.updates),
    }
    described = {
        "textbook": "one run, step by step",
        "single": "pglab, one run",
        "fused": "pglab, 2 arms × 50 seeds",
        "diagnosed": "the same, diagnosed",
    }
    turns = [{name: measure() for name, measure in ways.items()} for _ in range(options.repeats)]
    speeds = {name: float(np.median([turn[name] for turn in turns])) for name in ways}
    table = Table(title=f"simple_pg on CartPole-v0, {options.updates} updates a run")
    table.add_column("")
    for column in ("environment steps a second", "times textbook"):
        table.add_column(column, justify="right")
    for name, speed in speeds.items():
        table.add_row(described[name], f"{speed:,.0f}", f"{speed / speeds['textbook']:.1f}")
    terminal = Terminal()
    terminal.print(table)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    terminal.print(f"Largest worker process: {peak:.2f} GB of memory")
    if options.json:
        options.json.write_text(json.dumps(speeds, indent=1) + "\n")
    return 0


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


def textbook_speed(updates: int) -> float:
    """Trained environment steps a second of the plain loop."""
    begin = time.perf_counter()
    history = textbook(updates, seed=0, weigh=total_return)
    return sum(steps for steps, _ in history) / (time.perf_counter() - begin)


def total_return(rewards: list[float]) -> list[float]:
    """R(τ) at every step of an episode."""
    return [sum(rewards)] * len(rewards)


def reward_to_go(rewards: list[float]) -> list[float]:
    """Σ_{k≥t} r_k at every step t of an episode."""
    return np.cumsum(rewards[::-1])[::-1].tolist()


def textbook(
    updates: int, seed: int, weigh: Callable[[list[float]], list[float]], env_id: str = "CartPole-v0"
) -> list[tuple[int, float]]:
    """The simplest policy gradient as one would write it out: one run, one step at a time.

    Whole episodes until there are more than 5000 steps, then one Adam step on
    -(log π · weight).mean() (OpenAI Spinning Up, "Intro to Policy Optimization", part 3).

    Returns:
        Steps and mean return of each update's batch.
    """
    torch.manual_seed(seed)
    env = gymnasium.make(env_id)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    obs, _ = env.reset(seed=seed)
    history = []
    for _ in range(updates):
        batch_obs, batch_actions, batch_weights, returns, rewards = [], [], [], [], []
        while True:
            batch_obs.append(obs)
            with torch.no_grad():
                action = Categorical(logits=policy(torch.as_tensor(obs))).sample().item()
            obs, reward, terminated, truncated, _ = env.step(action)
            batch_actions.append(action)
            rewards.append(float(reward))
            if terminated or truncated:
                batch_weights += weigh(rewards)
                returns.append(sum(rewards))
                rewards = []
                obs, _ = env.reset()
                if len(batch_obs) > 5000:
                    break
        logits = policy(torch.as_tensor(np.array(batch_obs)))
        log_prob = Categorical(logits=logits).log_prob(torch.as_tensor(batch_actions))
        loss = -(log_prob * torch.as_tensor(batch_weights)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append((len(batch_obs), float(np.mean(returns))))
    return history


if __name__ == "__main__":
    sys.exit(main())
