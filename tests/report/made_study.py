"""A study as its files are, made without training: arms with known scores, and runs that went wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

NASTY = '<script>document.title="run"</script> & <img src="http://example.com/x.png">'
CHOICES = {"env": "cartpole", "baseline": "none", "head": "softmax", "network": "mlp", "optimizer": "adam"}


def write_arm(study: Path, place: int, scores: list[float], updates: int = 20, **choices: Any) -> Path:
    """An arm whose runs climb evenly to these final returns, one for each seed from 0 on."""
    keys = {key.replace("__", "."): value for key, value in choices.items()}
    arm = study / ",".join(f"{key}={value}" for key, value in sorted(keys.items()))
    arm.mkdir(parents=True)
    seeds, update = np.arange(len(scores)), np.arange(1, updates + 1)
    noise = np.random.default_rng(place).normal(size=(len(scores), updates))
    returns = np.array(scores)[:, None] * update / updates + noise
    rows = {"seed": np.repeat(seeds, updates), "update": np.tile(update, len(seeds))}
    rows |= {"env_steps": 1000 * rows["update"], "episodes": 10 * rows["update"], "return_mean": returns.ravel()}
    rows |= dict.fromkeys(["return_std", "length_mean", "loss", "entropy", "grad_norm"], 1.0)
    rows |= {"grad_variance": np.exp(noise.ravel()), "half_cosine": np.tanh(noise.ravel())}
    pd.DataFrame(rows).to_parquet(arm / "updates.parquet", index=False)
    played = {"seed": np.repeat(seeds, 2), "episode": np.tile([1, 2], len(seeds)), "return": np.repeat(scores, 2)}
    pd.DataFrame({**played, "length": 10}).to_parquet(arm / "evaluation.parquet", index=False)
    groups = {key: value for key, value in keys.items() if "." not in key}
    finished = {"status": "finished", "updates": updates, "asked": updates, "env_steps": 1000 * updates}
    about = {
        "format": 2,
        "arm": arm.name,
        "place": ["2026-01-01", place],
        "commands": ["python -m pglab -m weighting=total,rtg 'note=<b>'"],
        "choices": CHOICES | groups,
        "given": {"gamma": 1.0} | {key: value for key, value in keys.items() if "." in key},
        "identity": {group: {"_target_": f"pglab.{choice}"} for group, choice in (CHOICES | groups).items()}
        | {"gamma": 1.0, "optimizer": {"lr": keys.get("optimizer.lr", 0.01)}},
        "versions": {"pglab": "0.1.0", "torch": "2.13.0", "processor": "a processor", "cores": "2"},
        "runs": {str(seed): finished for seed in seeds},
    }
    (arm / "arm.json").write_text(json.dumps(about))
    return arm


def change_run(arm: Path, seed: int, **changes: Any) -> None:
    """Changes what the arm says of a run, and takes its evaluation away where it did not come to its end."""
    about = json.loads((arm / "arm.json").read_text())
    about["runs"][str(seed)] |= changes
    (arm / "arm.json").write_text(json.dumps(about))
    if changes.get("status") not in (None, "finished", "diverged"):
        rows = pd.read_parquet(arm / "evaluation.parquet")
        rows[rows["seed"] != seed].to_parquet(arm / "evaluation.parquet", index=False)


def add_twin(arm: Path, **choices: str) -> None:
    """Has an arm be the program of another one, which has these choices."""
    about = json.loads((arm / "arm.json").read_text())
    asked = {**dict(part.split("=") for part in arm.name.split(",")), **choices}
    twin = {"asked": [f"{key}={value}" for key, value in sorted(asked.items())], "choices": choices, "given": {}}
    about["twins"] = [*about.get("twins", []), twin]
    (arm / "arm.json").write_text(json.dumps(about))


def write_grid(study: Path) -> Path:
    """Three weightings at two learning rates, four seeds each; one run diverged, one failed, one lacks a seed."""
    rng, place = np.random.default_rng(0), 0
    for lr in (0.01, 0.1):
        for weighting, level in (("total", 100), ("rtg", 180), ("baseline", 110)):
            scores = (level * (1 - lr) + rng.normal(0, 8, size=4)).tolist()
            write_arm(study, place, scores, weighting=weighting, optimizer__lr=lr)
            place += 1
    change_run(study / "optimizer.lr=0.1,weighting=total", 1, status="diverged", updates=20)
    error = f"Traceback (most recent call last):\n  File own.py, line 3\nValueError: {NASTY}"
    change_run(study / "optimizer.lr=0.1,weighting=rtg", 2, status="failed", error=error)
    return study
