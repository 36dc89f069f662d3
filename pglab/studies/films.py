"""Films of an arm's policies while they learn, and where they lie: `ARM/videos/seed=0,update=000050.gif`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = "videos"


def film_file(arm: Path, seed: int, update: int) -> Path:
    """That of a run's policy as it was after an update."""
    return arm / FOLDER / f"seed={seed},update={update:06}.gif"


def films_of(arm: Path, seed: int) -> dict[int, Path]:
    """The films there are of a run, by update."""
    found = sorted((arm / FOLDER).glob(f"seed={seed},update=*.gif"))
    return {int(match[1]): path for path in found if (match := re.search(r"update=(\d+)\.gif$", path.name))}


def take(settings: Mapping[str, Any], parameters: Mapping[str, np.ndarray], seed: int) -> tuple[bytes, str]:
    """A film of a policy, or why there is none: pictures are not worth a run.

    Args:
        settings: of the arm; a world of its own is made from them, as training has another.
        parameters: of one run, by name.
        seed: of the run.
    """
    from pglab.build import build_shapes  # torch, which only workers need
    from pglab.watching.camera import film_policy

    try:
        return film_policy(build_shapes({**settings, "device": "cpu"}), parameters, seed), ""
    except Exception as error:
        return b"", f"{type(error).__name__}: {error}"
