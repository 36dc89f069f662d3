"""Bringing runs that were trained to W&B, so that what it holds of them is what the files say."""

import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pglab.results.load import MEASURES
from pglab.results.remote import history
from pglab.store.files import read
from pglab.tracking.client import Client, MirrorError, check_arrived, id_of, imported
from pglab.tracking.ledger import Known
from pglab.tracking.tracked_runs import TrackedRun

if TYPE_CHECKING:
    import wandb


@dataclass
class _Opened:
    """A run in the client's hands, and the last update that it was told of."""

    handle: "wandb.Run"
    last: int


class Delivery:
    """Brings one run after the other to a place.

    Args:
        follows: a run that is under way stays open there until it has ended.
    """

    def __init__(self, client: Client, follows: bool) -> None:
        self._client, self._follows = client, follows
        self._opened: dict[str, _Opened] = {}

    @property
    def opened(self) -> int:
        """Runs that are open."""
        return len(self._opened)

    def has(self, run: TrackedRun) -> bool:
        """The run is open."""
        return run.id in self._opened

    def bring(self, run: TrackedRun, known: Known | None) -> Known:
        """Brings a run, or what is missing of it.

        Where the server's run holds other numbers, it is deleted, and the run is there anew under another id: W&B
        changes no row that it has, and never takes a run under the id of a deleted one.

        Args:
            known: the last upload of the run to this place, as far as we know.

        Raises:
            MirrorError: the server holds another training that we know nothing of, or did not take everything.
        """
        deadline = time.monotonic() + self._client.timeout
        if run.id not in self._opened:
            id_, last = self._settled(run, known) if self._client.online else (run.id, 0)
            self._opened[run.id] = _Opened(_begun(self._client, run, id_), last)
        opened = self._opened[run.id]
        id_ = opened.handle.id
        self._log(opened, run)
        if run.status != "running" or not self._follows:
            del self._opened[run.id]
            opened.handle.summary.update({name: value for name, value in run.summary.items() if value is not None})
            opened.handle.finish(exit_code=0 if run.status == "finished" else 1)
            if self._client.online:
                check_arrived(lambda: _lacks(run, self._client.held(id_)), deadline)
        return Known(id_, run.version)

    def _settled(self, run: TrackedRun, known: Known | None) -> tuple[str, int]:
        """The id under which a run is to go on, and the last update that the server has under it."""
        there = self._client.held(known.id if known else run.id)
        if there is None and known:
            return id_of(known.id), 0  # somebody deleted it there
        if there is None:  # our notes may be lost, of a run that is there under a later id
            there = self._client.search(study=run.study_folder.name, arm=run.record.arm, seed=run.seed)
        if there is None:
            return run.id, 0
        rows, differing = _compared(run, there)
        if not differing:
            return there.id, rows
        if known is None:
            raise MirrorError(
                f"run {there.id} of {run.name} has {differing}, from another training; delete it there, or choose "
                "another --project"
            )
        there.delete()
        return id_of(there.id), 0

    def _log(self, opened: _Opened, run: TrackedRun) -> None:
        """Tells the client of the rows that it has not been told of."""
        for row in run.rows.to_dict("records"):
            update = row["update"]
            if update <= opened.last:
                continue
            # A diagnostic that was not measured at this update has no point on its chart.
            values = {str(name): value for name, value in row.items() if name in MEASURES or value == value}
            if film := run.films.get(update):
                # Read by us: the client would follow a link that has taken the file's place.
                values["episode"] = imported().Video(io.BytesIO(read(film)), format="gif")
            opened.handle.log(values, step=update)
            opened.last = update


def _begun(client: Client, run: TrackedRun, id_: str) -> "wandb.Run":
    tags, group = [run.study_folder.name[:64]], run.group
    handle = client.open({"id": id_, "name": run.name, "group": group, "tags": tags, "config": run.config})
    handle.define_metric("env_steps")
    handle.define_metric("*", step_metric="env_steps")
    return handle


def _compared(run: TrackedRun, there: Any) -> tuple[int, str]:
    """The last update that the server has of a run, and in words what there is no beginning of ours."""
    held = history(there)
    if held.empty:
        return 0, ""
    last = int(held["update"].max())
    ours = run.rows[run.rows["update"] <= last]
    if len(ours) < len(held):
        return last, f"more than is here: update {last}"
    if differing := _differing(ours, held.drop(columns="seed")):
        return last, f"another {differing}"
    shown = [row for row in there.scan_history(use_cache=False) if row.get("episode")]
    here = {update: digest for update, digest in run.film_digests.items() if update <= last}
    if {row["update"]: row["episode"]["sha256"] for row in shown} != here:
        return last, f"other films up to update {last}"
    gone = [name for name, value in run.summary.items() if value is None and name in there.summary]
    return last, f"a {gone[0]} that is not here" if gone else ""


def _differing(ours: pd.DataFrame, held: pd.DataFrame) -> str:
    """Name and update of the first number that differs; a measure that one side has not is not a number there."""
    names = list(dict.fromkeys([*MEASURES, *ours.columns, *held.columns]))
    one, other = (frame.reindex(columns=names).to_numpy("float64") for frame in (ours, held))
    places = np.argwhere(~((one == other) | (np.isnan(one) & np.isnan(other))))
    return f"{names[places[0, 1]]} at update {ours['update'].iloc[places[0, 0]]}" if len(places) else ""


def _lacks(run: TrackedRun, there: Any) -> str:
    """Lists what the server does not have of a run that it was sent."""
    rows = there.historyLineCount if there else 0
    if rows < len(run.rows):
        return f"it holds {rows} of the {len(run.rows)} rows that it was sent"
    status = there.summary.get("status") if there else None
    return "" if status == run.status else f"it holds status {status} where {run.status} was sent"
