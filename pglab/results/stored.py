"""An arm's files, checked, also while a process trains the arm."""

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from pglab.results.incomplete import ENDED
from pglab.sealed import DamagedError, unseal_text
from pglab.unfinished import holder, is_row, last_checkpoint, rows_so_far

UPDATES = "updates.parquet"
ATTEMPTS = 10  # to read an arm between two changes of it
PARTS = ("arm", "choices", "given", "identity", "runs")  # of arm.json, without which nothing can be told
OF_RUN = {"status", "updates", "asked"}
NOTHING = pd.DataFrame({"seed": pd.Series(dtype="int64")})

Seen = TypeVar("Seen")


def read_arm(where: Path, file: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """What `arm.json` says, and the rows of its runs in a file.

    Of a run that has not ended the rows of its last checkpoint stand in where these are more, and it
    is `running` only while a process trains the arm, else `stopped`; its `updates` are those it has
    rows of.

    Args:
        where: the arm's `arm.json`.
        file: `updates.parquet` or `evaluation.parquet`.

    Raises:
        DamagedError: a file is not what was written.
    """
    return steadily(where, lambda about: _seen(where.parent, about, file))


def steadily(where: Path, see: Callable[[dict[str, Any]], Seen]) -> Seen:
    """What `see` makes of an `arm.json`, seen anew when a process changes the arm meanwhile.

    Raises:
        DamagedError: `arm.json` or what is to be seen of the arm is not what was written.
    """
    for _ in range(ATTEMPTS - 1):
        text = where.read_bytes()
        try:
            seen = see(parsed(where, text))
        except DamagedError:
            if where.read_bytes() == text:
                raise
            continue
        if where.read_bytes() == text:
            return seen
    return see(parsed(where, where.read_bytes()))


def parsed(where: Path, text: bytes) -> dict[str, Any]:
    """The content of an `arm.json`.

    Raises:
        DamagedError: it is none.
    """
    try:
        about = unseal_text(where, text)
        wrong = [f"it lacks {part}" for part in PARTS if part not in about]
        wrong += [f"seed {int(seed)} lacks a part" for seed, run in about["runs"].items() if not run.keys() >= OF_RUN]
    except DamagedError as error:
        raise DamagedError(f"{error}; {_remedy(where)}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{where} is damaged ({error}); {_remedy(where)}") from error
    if wrong:
        raise DamagedError(f"{where} is damaged ({wrong[0]}); {_remedy(where)}")
    return about


def _seen(folder: Path, about: dict[str, Any], file: str) -> tuple[dict[str, Any], pd.DataFrame]:
    rows = _checked(folder / file, about)
    unfinished = {seed: run for seed, run in about["runs"].items() if run["status"] not in ENDED}
    if unfinished:
        updates = rows if file == UPDATES else _checked(folder / UPDATES, about)
        updates, taken = _with_checkpoint(updates, folder, {int(seed) for seed in unfinished})
        upto = updates["seed"].value_counts()
        now = "stopped" if holder(folder) is None else "running"
        seen = {
            seed: run
            | ({"updates": int(upto.get(int(seed), 0))} if run["status"] == "running" or int(seed) in taken else {})
            | ({"status": now} if run["status"] == "running" else {})
            for seed, run in unfinished.items()
        }
        about = about | {"runs": about["runs"] | seen}
        rows = updates if file == UPDATES else rows
    return about, rows[rows["seed"].isin([int(seed) for seed in about["runs"]])]


def _with_checkpoint(stored: pd.DataFrame, folder: Path, unfinished: set[int]) -> tuple[pd.DataFrame, set[int]]:
    """The stored rows, in their place those in the checkpoint of runs of which it has more, and which these are."""
    arrays, _ = last_checkpoint(folder, is_row)
    so_far = rows_so_far(arrays)
    if so_far.empty:
        return stored, set()
    so_far = so_far[so_far["seed"].isin(list(unfinished))].drop(columns="diverged")
    there, further = stored["seed"].value_counts(), so_far["seed"].value_counts()
    taken = {int(seed) for seed in further.index if further[seed] > there.get(seed, 0)}
    if not taken:
        return stored, taken
    kept, added = stored[~stored["seed"].isin(taken)], so_far[so_far["seed"].isin(taken)]
    rows = pd.concat([kept, added]) if len(kept) else added
    return rows.sort_values(["seed", "update"], ignore_index=True), taken


def _checked(path: Path, about: dict[str, Any]) -> pd.DataFrame:
    """A file's rows."""
    content = checked_content(path, about)
    return NOTHING if content is None else pd.read_parquet(io.BytesIO(content))


def checked_content(path: Path, about: Mapping[str, Any]) -> bytes | None:
    """An arm's file as it was written, None where no run has ended yet.

    Without checksums, as earlier versions left it, it is taken as it is.

    Raises:
        DamagedError: it is another than `arm.json` knows.
    """
    known = about.get("files")
    if known is not None and path.name not in known:
        return None
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if known is None or None in known[path.name]:
            return None
        raise DamagedError(f"{path} is gone; {_remedy(path)}") from None
    if known is not None and hashlib.sha256(content).hexdigest() not in known[path.name]:
        raise DamagedError(f"{path} is damaged: its content is not what its checksum says; {_remedy(path)}")
    return content


def _remedy(path: Path) -> str:
    return f"put back a copy of it, or move {path.parent} away and give the command again to train the arm anew"
