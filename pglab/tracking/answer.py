"""What the files of a study say as a whole."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pglab.errors import DamagedError, InputError
from pglab.results.load import find_arms
from pglab.store.checkpoints import CHECKPOINTS
from pglab.store.lock import holder
from pglab.tracking.server import MirrorError, Place
from pglab.tracking.summary_run import NAME, Picture, Summary, summary_id

FILES = ("arm.json", "updates.parquet", "evaluation.parquet", *CHECKPOINTS)  # of an arm, that a report rests on


@dataclass(frozen=True, eq=False)
class LocalStudy:
    """A study's folder."""

    study_folder: Path

    @property
    def id(self) -> str:
        return summary_id(self.study_folder.name)

    @property
    def name(self) -> str:
        return f"{NAME} of {self.study_folder.name}"

    @cached_property
    def version(self) -> list[Any]:
        """What tells whether it was uploaded as it is now: far quicker to have than the report itself."""
        seen = hashlib.sha256()
        for arm in sorted(file.parent for file in find_arms(self.study_folder)):
            seen.update(f"{arm.name} {holder(arm) is not None}".encode())
            for name in FILES:
                with suppress(FileNotFoundError):  # a checkpoint goes when its runs are finished
                    seen.update(name.encode() + hashlib.sha256((arm / name).read_bytes()).digest())
        return [seen.hexdigest()]

    def parcel(self, place: Place) -> Summary:
        """All that W&B is to have of it: the report that `python -m pglab.report` writes, and its parts.

        Raises:
            MirrorError: the study's files cannot be reported on.
        """
        # Loaded here, because drawing takes seconds to load, and mostly there is nothing new to draw.
        from pglab.report.content import Question, content
        from pglab.report.figures import figures
        from pglab.report.page import DOTS, page
        from pglab.results.plots.saving import drawn

        (version,) = self.version  # before the files are read: what changes meanwhile is uploaded next time
        try:
            found = content(self.study_folder, Question())
        except (InputError, DamagedError) as error:
            raise MirrorError(f"there is no summary of {self.study_folder.name}: {error}") from error
        shown = figures(found) if not found.runs.empty else ()
        verdicts = pd.DataFrame([vars(verdict) for verdict in found.verdicts])
        tables = {"verdicts": verdicts, "arms": found.arms, "comparisons": found.comparisons}
        said = {"complete": found.origin.complete, "runs": found.origin.runs, "score": found.score}
        if found.verdicts:
            said["verdict"] = found.verdicts[0].sentence
        return Summary(
            place=place,
            study=self.study_folder.name,
            version=version,
            said=said,
            tables={name: table for name, table in tables.items() if len(table)},
            pictures={
                one.name.replace(".", "_"): Picture(f"{one.title}. {one.caption}", drawn(one.figure, ".png", DOTS))
                for one in shown
            },
            page=page(found),
        )


def studies_below(path: Path) -> list[LocalStudy]:
    """Every study in a folder; none where the folder is that of one arm."""
    path = path.resolve()
    folders = {file.parent.parent for file in find_arms(path)}
    return [LocalStudy(folder) for folder in sorted(folders) if folder.is_relative_to(path)]
