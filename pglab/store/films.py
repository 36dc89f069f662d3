"""Films of an arm's policies while they learn, and where they lie: `ARM/videos/seed=0,update=000050.gif`."""

import re
from pathlib import Path

FOLDER = "videos"


def film_file(arm: Path, seed: int, update: int) -> Path:
    """The film of a run's policy as it was after an update."""
    return arm / FOLDER / f"seed={seed},update={update:06}.gif"


def films_of(arm: Path, seed: int) -> dict[int, Path]:
    """The films of a run, by update; a link is none, for it could lead out of the study."""
    if (arm / FOLDER).is_symlink():
        return {}
    found = sorted((arm / FOLDER).glob(f"seed={seed},update=*.gif"))
    named = {int(match[1]): path for path in found if (match := re.search(r"update=(\d+)\.gif$", path.name))}
    return {update: path for update, path in named.items() if path.is_file() and not path.is_symlink()}
