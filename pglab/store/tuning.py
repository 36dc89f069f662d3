"""The search that a study is: what was tuned, over which ranges, by which seeds."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pglab.errors import DamagedError
from pglab.store.atomic import write
from pglab.store.files import read

ABOUT = "tuning.json"


@dataclass(frozen=True)
class Range:
    """The values that a key may take: from `low` to `high`, or one of `choices`.

    Attributes:
        log: all orders of magnitude count the same.
        whole: whole numbers only.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.key}=" + ("|".join(self.choices) if self.choices else f"{self.low:g}..{self.high:g}")


@dataclass(frozen=True)
class Tuning:
    """A search.

    Attributes:
        ranges: of the tuned keys.
        arms: names of those that were tuned.
        seeds: of each trial.
    """

    ranges: tuple[Range, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]


def store_tuning(study: Path, tuning: Tuning) -> None:
    write(study / ABOUT, json.dumps(asdict(tuning), indent=1).encode())


def read_tuning(study: Path) -> Tuning | None:
    """The search in a study's folder; None where there is none.

    Raises:
        DamagedError: the file is not what was written.
    """
    try:
        told: dict[str, Any] = json.loads(read(study / ABOUT))
        ranges = tuple(Range(**{**one, "choices": tuple(one["choices"])}) for one in told["ranges"])
        return Tuning(ranges, tuple(told["arms"]), tuple(told["seeds"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{study / ABOUT} is damaged: {error}") from error
