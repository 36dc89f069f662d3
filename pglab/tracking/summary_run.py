"""A study as a whole at W&B: one run `summary` beside those that were trained, with the report and its parts."""

import hashlib
import io
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pglab.errors import InputError
from pglab.store.checkpoints import CHECKPOINTS
from pglab.store.files import read
from pglab.store.folder import StudyFolder
from pglab.store.reader import ABOUT, EVALUATION, UPDATES
from pglab.tracking.client import Client, MirrorError, check_arrived, id_of, imported
from pglab.tracking.ledger import Known

if TYPE_CHECKING:
    import wandb

NAME = "summary"
MEDIA = "media"  # the client's folder for figures, pages and tables
PAGE = "report"
RESTS_ON = (ABOUT, UPDATES, EVALUATION, *CHECKPOINTS)  # files of an arm, as far as a report is concerned


@dataclass(frozen=True)
class Picture:
    """A figure as PNG, with what a reader has to know of it."""

    caption: str
    content: bytes


@dataclass(frozen=True)
class Summary:
    """The answer of a study, ready to be uploaded.

    Attributes:
        version: changes when the study does.
        said: its answer and state in single values, by their names.
        tables: by their names; none is empty.
        pictures: by their names.
        page: the report's HTML.
    """

    study: str
    version: str
    said: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, Picture]
    page: str

    @property
    def id(self) -> str:
        """The same for the same study, and never that of one of its runs."""
        return id_of(self.study)


@dataclass(frozen=True, eq=False)
class SummarizedStudy:
    """A study's folder, of which there is to be a summary."""

    study: StudyFolder

    @property
    def study_folder(self) -> Path:
        return self.study.path

    @property
    def id(self) -> str:
        return id_of(self.study.name)

    @cached_property
    def version(self) -> str:
        """A digest of the files: far quicker to have than the report itself."""
        seen = hashlib.sha256()
        for arm in self.study.arms:
            seen.update(f"{arm.path.name} {arm.held}".encode())
            for file in (arm.path / name for name in RESTS_ON):
                if file.exists():  # a checkpoint goes when its runs are finished
                    seen.update(file.name.encode() + hashlib.sha256(read(file)).digest())
        return seen.hexdigest()

    def drawn(self) -> Summary:
        """The report that `python -m pglab.report` writes, and its parts.

        Raises:
            MirrorError: the study's files cannot be reported on.
        """
        # Loaded here, because drawing takes seconds to load, and mostly there is nothing new to draw.
        from pglab.report.content import Question, content
        from pglab.report.figures import figures
        from pglab.report.page import DOTS, page
        from pglab.results.plots.saving import drawn

        version = self.version  # before the files are read: what changes meanwhile is uploaded next time
        try:
            found = content(self.study.path, Question())
        except InputError as error:
            raise MirrorError(f"there is no summary of {self.study.name}: {error}") from error
        shown = figures(found) if not found.runs.empty else ()
        verdicts = pd.DataFrame([vars(verdict) for verdict in found.verdicts])
        tables = {"verdicts": verdicts, "arms": found.arms, "comparisons": found.comparisons}
        if found.over is not None:
            tables["over_problems"] = found.over.comparisons
        said = {"complete": found.origin.complete, "runs": found.origin.runs, "score": found.score}
        if found.origin.twins:
            said["one_program"] = found.origin.twins
        if found.verdicts:
            said["verdict"] = found.verdicts[0].sentence
        return Summary(
            study=self.study.name,
            version=version,
            said=said,
            tables={name: table for name, table in tables.items() if len(table)},
            pictures={
                one.name.replace(".", "_"): Picture(f"{one.title}. {one.caption}", drawn(one.figure, ".png", DOTS))
                for one in shown
            },
            page=page(found),
        )


def summarized(path: Path, studies: Iterable[StudyFolder]) -> list[SummarizedStudy]:
    """Each study that lies in a folder as a whole; none where the folder is that of one arm."""
    return [SummarizedStudy(study) for study in studies if study.path.is_relative_to(path.resolve())]


def bring_summary(client: Client, summary: Summary) -> Known:
    """Uploads it as the next step of the study's summary run, of which W&B shows the last one first.

    Raises:
        MirrorError: the server did not take everything.
    """
    deadline = time.monotonic() + client.timeout
    about = {"id": summary.id, "name": NAME, "group": summary.study[:128], "job_type": "summary"}
    about |= {"tags": [summary.study[:64]], "config": {"study": summary.study}}
    run = client.open(about)
    run.log({**_tables(summary), **_pictures(summary), PAGE: _page(summary)})
    run.summary.update({**summary.said, "version": summary.version})
    media = dict(_files(Path(run.dir)))
    run.finish(exit_code=0)
    tables = {(f"run-{summary.id}-{name}", _digest(name, table)) for name, table in _tables(summary).items()}
    check_arrived(lambda: _lacks(summary, client.held(summary.id), media, tables), deadline)
    return Known(summary.id, summary.version)


def _tables(summary: Summary) -> dict[str, "wandb.Table"]:
    # What is not known is empty: JSON has no number for it.
    known = {name: table.astype(object).where(table.notna(), None) for name, table in summary.tables.items()}
    return {name: imported().Table(dataframe=table) for name, table in known.items()}


def _pictures(summary: Summary) -> dict[str, "wandb.Image"]:
    from PIL import Image

    return {
        name: imported().Image(Image.open(io.BytesIO(picture.content)), caption=picture.caption)
        for name, picture in summary.pictures.items()
    }


def _page(summary: Summary) -> "wandb.Html":
    return imported().Html(summary.page, inject=False, data_is_not_path=True)


def _lacks(summary: Summary, there: Any, media: Mapping[str, int], tables: set[tuple[str, str]]) -> str:
    """Lists what the server does not have of it.

    Args:
        media: the sizes of its files, by name.
        tables: name and digest of the artifact of each table.
    """
    if there is None or there.summary.get("version") != summary.version:
        return f"it does not hold the summary of {summary.study} that it was sent"
    sizes = {file.name: file.size for file in there.files(list(media))}
    lost = [name for name, size in media.items() if sizes.get(name) != size]
    if tables and not lost:
        logged = {(one.name.partition(":")[0], one.digest) for one in there.logged_artifacts()}
        lost = sorted(name for name, _ in tables - logged)
    return f"it does not hold {lost[0]} of the summary of {summary.study}" if lost else ""


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and size of every file that the client uploads of a run's media."""
    for file in (folder / MEDIA).rglob("*"):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file.stat().st_size


def _digest(name: str, table: "wandb.Table") -> str:
    """The name of the artifact as which a table is kept; it depends on the content alone."""
    artifact = imported().Artifact(name, type="run_table")
    artifact.add(table, name)
    return artifact.digest
