"""The small study (arms `total` and `rtg`, seeds 0 to 2, two updates), edited to look interrupted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pglab.store.encoding import encode
from pglab.store.sealed import seal
from pglab.store.states import Saved


def rtg(study: Path) -> Path:
    """The folder of one arm."""
    (folder,) = study.glob("*weighting=rtg")
    return folder


def edit(arm: Path, change: Callable[[dict], object]) -> None:
    about = json.loads((arm / "arm.json").read_text())
    about.pop("checksum", None)
    change(about)
    (arm / "arm.json").write_text(json.dumps(about))


def begin(arm: Path, *seeds: int) -> None:
    """Says what a command says of its runs before it trains them."""
    begun = {"status": "running", "updates": 0, "asked": 9}
    edit(arm, lambda about: about["runs"].update({str(seed): begun for seed in seeds}))


def checkpoint(arm: Path, updates: dict[int, int], name: str = "checkpoint.bin") -> None:
    """A checkpoint of so many updates of each seed, with losses that tell it apart."""
    parts = [Saved(upto, [seed], {"weight": np.zeros((1, 2))}) for seed, upto in updates.items()]
    like = pd.read_parquet(arm / "updates.parquet").iloc[[0]]
    rows = [
        like.assign(seed=seed, update=n, loss=1000.0 + n) for seed, upto in updates.items() for n in range(1, upto + 1)
    ]
    frame = pd.concat(rows).astype(like.dtypes.to_dict())
    (arm / name).write_bytes(seal(encode(parts, frame.assign(diverged=False))))
