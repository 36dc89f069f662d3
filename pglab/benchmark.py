"""`python -m pglab.benchmark`: trained environment steps a second, side by side in one run.

Four ways to train the experiment `simple_pg`: a plain per-step loop as in a textbook, pglab with
one run, with 2 arms × 50 seeds, and the same with `diagnostics=gradient`; and two ways to train
`ppo_cleanrl`: such a loop, and pglab with 200 seeds. They take turns, and each shows the median of its
turns, as machines are noisy. Times are of training alone: processes are up and the components built before
the clock starts, and no final evaluation is played.
"""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("pglab.benchmark")

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
        "textbook": lambda: textbook_speed(lambda: textbook(options.updates, seed=0, weigh=total_return)),
        "single": lambda: pglab_speed(["experiment=simple_pg"], options.updates),
        "fused": lambda: pglab_speed(grid, options.updates),
        "diagnosed": lambda: pglab_speed([*grid, "diagnostics=gradient"], options.updates),
        "textbook_ppo": lambda: textbook_speed(lambda: textbook_ppo(options.updates, seed=0)),
        "ppo": lambda: pglab_speed(["experiment=ppo_cleanrl", "seeds=200"], options.updates),
    }
    turns = [{name: measure() for name, measure in ways.items()} for _ in range(options.repeats)]
    speeds = {name: float(np.median([turn[name] for turn in turns])) for name in ways}
    terminal = Terminal()
    for (world, plain), described in DESCRIBED.items():
        table = Table(title=f"{world}, {options.updates} updates a run")
        table.add_column("")
        for column in ("environment steps a second", "times textbook"):
            table.add_column(column, justify="right")
        for name, words in described.items():
            table.add_row(words, f"{speeds[name]:,.0f}", f"{speeds[name] / speeds[plain]:.1f}")
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


def textbook_speed(train: Callable[[], list[tuple[int, float]]]) -> float:
    """Trained environment steps a second of a plain loop."""
    begin = time.perf_counter()
    history = train()
    return sum(steps for steps, _ in history) / (time.perf_counter() - begin)
