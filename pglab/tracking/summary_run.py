"""Uploading what a study says as a whole, as one run beside those that were trained."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pglab.tracking.server import Place, check_arrived, held, within
from pglab.tracking.wandb_run import opened

if TYPE_CHECKING:
    import wandb

NAME = "summary"
MEDIA = "media"  # the client's folder for figures, pages and tables
PAGE = "report"


def summary_id(study: str) -> str:
    """The same for the same study, and never that of one of its runs."""
    return hashlib.sha256(json.dumps([study]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Picture:
    """A figure as PNG, with what a reader has to know of it."""

    caption: str
    content: bytes


@dataclass(frozen=True)
class Summary:
    """What a study says as a whole.

    Attributes:
        version: changes when the study does.
        said: its answer and state in single values, by their names.
        tables: by their names; none is empty.
        pictures: by their names.
        page: the report's HTML.
    """

    place: Place
    study: str
    version: str
    said: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, Picture]
    page: str

    @property
    def id(self) -> str:
        return summary_id(self.study)

    def deliver(self, api: Any, folder: Path, timeout: float) -> None:
        """Uploads it as the next step of the study's summary run, of which W&B shows the last one first.

        Raises:
            MirrorError: the server did not take everything.
        """
        last, path = time.monotonic() + timeout, self.place.of(self.id)
        about = {"id": self.id, "name": NAME, "group": self.study[:128], "job_type": "summary"}
        about |= {"tags": [self.study[:64]], "config": {"study": self.study}}
        run = opened(about, self.place.logger(), folder, **within(timeout))
        run.log({**self._tables(), **self._pictures(folder), PAGE: self._page()})
        run.summary.update({**self.said, "version": self.version})
        media = dict(_files(Path(run.dir)))
        run.finish(exit_code=0)
        tables = {(f"run-{self.id}-{name}", _digest(name, table)) for name, table in self._tables().items()}
        check_arrived(lambda: self._lacks(held(api, path), media, tables), last)

    def _tables(self) -> dict[str, "wandb.Table"]:
        import wandb

        # What is not known is empty: JSON has no number for it.
        known = {name: table.astype(object).where(table.notna(), None) for name, table in self.tables.items()}
        return {name: wandb.Table(dataframe=table) for name, table in known.items()}

    def _pictures(self, folder: Path) -> dict[str, "wandb.Image"]:
        import wandb

        found = {}
        for name, picture in self.pictures.items():
            file = folder / f"{name}.png"
            file.write_bytes(picture.content)
            found[name] = wandb.Image(str(file), caption=picture.caption)
        return found

    def _page(self) -> "wandb.Html":
        import wandb

        return wandb.Html(self.page, inject=False, data_is_not_path=True)

    def _lacks(self, there: Any, media: Mapping[str, int], tables: set[tuple[str, str]]) -> str:
        """What the server does not have of it.

        Args:
            media: the sizes of its files, by name.
            tables: name and digest of the artifact of each table.
        """
        if there is None or there.summary.get("version") != self.version:
            return f"it does not hold the summary of {self.study} that it was sent"
        sizes = {file.name: file.size for file in there.files(list(media))}
        lost = [name for name, size in media.items() if sizes.get(name) != size]
        if tables and not lost:
            logged = {(one.name.partition(":")[0], one.digest) for one in there.logged_artifacts()}
            lost = sorted(name for name, _ in tables - logged)
        return f"it does not hold {lost[0]} of the summary of {self.study}" if lost else ""


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and size of every file that the client uploads of a run's media."""
    for file in (folder / MEDIA).rglob("*"):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file.stat().st_size


def _digest(name: str, table: "wandb.Table") -> str:
    """That of the artifact as which a table is kept; it depends on the content alone."""
    import wandb

    artifact = wandb.Artifact(name, type="run_table")
    artifact.add(table, name)
    return artifact.digest
