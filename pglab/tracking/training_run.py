"""Uploading one run that was trained."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pglab.results.load import MEASURES
from pglab.tracking.server import MirrorError, Place, check_arrived, held, within
from pglab.tracking.wandb_run import Description, begin, columns_of, end, log


@dataclass(frozen=True)
class Upload:
    """One run, with all that W&B is to have of it."""

    place: Place
    described: Description
    rows: pd.DataFrame
    status: str
    diverged_at: int | None
    final_return: float | None
    films: dict[int, Path]

    def deliver(self, api: Any, folder: Path, timeout: float) -> None:
        """Uploads it, or what is missing of it.

        Raises:
            MirrorError: the server holds another training, or did not take everything.
        """
        last, path = time.monotonic() + timeout, self.place.of(self.described.id)
        _check_same(self, held(api, path))
        columns = columns_of({str(name): column.to_numpy() for name, column in self.rows.items()})
        run = begin(self.described, columns, self.place.logger(), folder, **within(timeout))
        log(run, _records(self.rows), self.films)
        end(run, self.status, self.diverged_at, self.final_return)
        check_arrived(lambda: _missing(self, held(api, path)), last)


def _check_same(upload: Upload, there: Any) -> None:
    """Raises MirrorError where the server's run holds numbers that ours does not."""
    if there is None or "update" not in there.summary:
        return
    last = there.summary["update"]
    ours = _records(upload.rows[upload.rows["update"] == last])
    differing = [
        name
        for name in MEASURES
        for here in [float(ours[0][name]) if ours else math.nan]
        for theirs in [float(there.summary.get(name, here))]
        if not (math.isclose(here, theirs, rel_tol=1e-6) or (here != here and theirs != theirs))
    ]
    if differing or not ours:
        what = f"another {differing[0]} at" if ours else "more than is here:"
        raise MirrorError(
            f"run {upload.described.id} of {upload.described.arm},seed={upload.described.seed} has {what} update "
            f"{last}, from another training; delete it there, or choose another --project"
        )


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _missing(upload: Upload, there: Any) -> str:
    """What the server does not have of a run that it was sent."""
    rows = there.historyLineCount if there else 0
    if rows < len(upload.rows):
        return f"it holds {rows} of the {len(upload.rows)} rows that it was sent"
    status = there.summary.get("status") if there else None
    return "" if status == upload.status else f"it holds status {status} where {upload.status} was sent"
