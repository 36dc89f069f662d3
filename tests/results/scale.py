"""How long reading a large study takes: `python -m tests.results.scale [ARMS SEEDS UPDATES EPISODES]`.

The folder is made directly from files as a study of that size leaves them; `load` and `load_evaluation`
read it in an interpreter of their own each, whose time and peak memory are shown.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from pglab.results.load import MEASURES

WHOLE = ("update", "env_steps", "episodes")
READ = """
import resource, sys, time
import pglab.results
began = time.perf_counter()
frame = getattr(pglab.results, sys.argv[1])(sys.argv[2])
seconds = time.perf_counter() - began
print(len(frame), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def write_study(folder: Path, arms: int, seeds: int, updates: int, episodes: int) -> None:
    """Arms with learning rates of their own, each with as many finished runs."""
    draws = np.random.default_rng(0)
    rows = seeds * updates
    measured = {name: draws.normal(size=rows) for name in MEASURES if name not in WHOLE}
    update = np.tile(np.arange(1, updates + 1), seeds)
    counted = {"update": update, "env_steps": update * 1000, "episodes": update * 20}
    of_seed = {"seed": np.repeat(np.arange(seeds), updates)}
    frame = pd.DataFrame({**of_seed, **counted, **measured})
    length = draws.integers(1, 500, size=seeds * episodes)
    played = {"seed": np.repeat(np.arange(seeds), episodes), "episode": np.tile(np.arange(1, episodes + 1), seeds)}
    evaluation = pd.DataFrame({**played, "return": length.astype(float), "length": length})
    choices = {"env": "cartpole", "weighting": "rtg", "baseline": "none", "head": "softmax"}
    choices |= {"network": "mlp", "optimizer": "adam"}
    for number in range(arms):
        rate = 0.001 * (number + 1)
        (arm := folder / f"optimizer.lr={rate:.3f}").mkdir(parents=True)
        frame.assign(return_mean=draws.normal(number, 10, size=rows)).to_parquet(arm / "updates.parquet", index=False)
        scored = np.repeat(draws.normal(number, 10, size=seeds), episodes)
        evaluation.assign(**{"return": scored}).to_parquet(arm / "evaluation.parquet", index=False)
        about = {
            "format": 2,
            "arm": arm.name,
            "choices": choices,
            "versions": {"pglab": "0.1.0"},
            "given": {"optimizer.lr": rate, "gamma": 0.99, "updates": updates},
            "identity": {"optimizer": {"lr": rate}, "gamma": 0.99},
            "runs": {str(seed): {"status": "finished", "updates": updates, "asked": updates} for seed in range(seeds)},
        }
        (arm / "arm.json").write_text(json.dumps(about, indent=1))


def read(folder: Path, function: str) -> tuple[int, float, float]:
    """Rows, seconds and peak gigabytes of one reading; a warning is an error."""
    command = [sys.executable, "-W", "error", "-c", READ, function, str(folder)]
    rows, seconds, memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(rows), float(seconds), float(memory)


def main() -> None:
    arms, seeds, updates, episodes = (int(given) for given in sys.argv[1:] or ("20", "500", "50", "100"))
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "large"
        write_study(study, arms, seeds, updates, episodes)
        for function in ("load", "load_evaluation"):
            rows, seconds, memory = read(study, function)
            print(f"{function}: {rows:,} rows of {arms * seeds:,} runs in {seconds:.2f} s, {memory:.2f} GB at most")


if __name__ == "__main__":
    main()
