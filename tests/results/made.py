"""Frames as `load`, `load_evaluation` and `scores` return them, made by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

MEASURE = {"measure": "made by hand", "unit": "return", "better": "higher"}


def updates_of(runs: Mapping[tuple[str, int], tuple[str, Sequence[float]]], steps: int = 10) -> pd.DataFrame:
    """Of each (weighting, seed) its status and the mean return of each update, as many steps each."""
    rows = [
        {"study": "made", "arm": f"weighting={arm}", "seed": seed, "update": n, "env_steps": steps * n}
        | {"return_mean": value, "status": status, "env": "cartpole", "weighting": arm}
        for (arm, seed), (status, values) in runs.items()
        for n, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


def evaluation_of(runs: Mapping[tuple[str, int], Sequence[float]]) -> pd.DataFrame:
    rows = [
        {"study": "made", "arm": f"weighting={arm}", "seed": seed, "episode": n, "return": value}
        for (arm, seed), values in runs.items()
        for n, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows, columns=["study", "arm", "seed", "episode", "return"])


def arm_of(scores: Sequence[float] | Mapping[int, float], env_steps: int = 1000, **described: Any) -> pd.DataFrame:
    """An arm of finished runs with these scores, by seed or from seed 0, described by these columns."""
    by_seed = dict(scores) if isinstance(scores, Mapping) else dict(enumerate(scores))
    name = ",".join(f"{key}={value}" for key, value in described.items())
    frame = pd.DataFrame({"study": "made", "arm": name, "seed": list(by_seed)})
    frame = frame.assign(**described, status="finished", env_steps=env_steps, score=[*map(float, by_seed.values())])
    return frame.assign(**MEASURE, reached=pd.array([pd.NA] * len(frame), dtype="boolean"), note="")


def together(*arms: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(arms, ignore_index=True)
