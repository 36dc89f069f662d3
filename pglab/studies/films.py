"""Where the films of an arm's policies lie: `ARM/videos/seed=0,update=000050.gif`."""

import re
from pathlib import Path

FOLDER = "videos"


def film_file(arm: Path, seed: int, update: int) -> Path:
    """That of a run's policy as it was after an update."""
    return arm / FOLDER / f"seed={seed},update={update:06}.gif"


def films_of(arm: Path, seed: int) -> dict[int, Path]:
    """The films there are of a run, by update."""
    found = sorted((arm / FOLDER).glob(f"seed={seed},update=*.gif"))
    return {int(match[1]): path for path in found if (match := re.search(r"update=(\d+)\.gif$", path.name))}
