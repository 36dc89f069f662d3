"""Arms that are one program, and were trained once: which they are, in words and as a table."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from pglab.results.arm_choices import ArmKey, Choices, choices, text
from pglab.results.arm_names import full_name, settings_in
from pglab.results.load import as_cell
from pglab.shown import listed
from pglab.store.folder import studies_in
from pglab.store.records import ArmRecord

MOST = 4  # groups of arms that are told of


def load_twins(path: str | Path) -> pd.DataFrame:
    """The arms of a study that were asked for and not trained, because another one is the same program.

    A row for each. Columns: `study arm`, the one that was trained, as in frames of `load`; then every config group and
    dotted key in which some twin differs from it, with the twin's own values, or those of that arm where it does not.

    Args:
        path: the folder of a study, or one that holds several studies.

    Raises:
        FileNotFoundError: there is no study at `path`.
        DamagedError: a file is not what was written.
    """
    records = [
        (study.name, record) for study in studies_in(Path(path)) for arm in study.arms if (record := arm.record())
    ]
    twins = [(study, record, twin) for study, record in records for twin in record.twins]
    keys = dict.fromkeys(key for _, _, twin in twins for key in (*twin.choices, *twin.given))
    rows = []
    for study, record, twin in twins:
        described = {**record.given, **record.choices, **twin.given, **twin.choices}
        rows.append({"study": study, "arm": full_name(record)} | {key: as_cell(described.get(key)) for key in keys})
    return pd.DataFrame(rows, columns=["study", "arm", *keys], dtype=object)


def with_twins(scores: pd.DataFrame, twins: pd.DataFrame | None) -> list[tuple[Choices, ArmKey]]:
    """The description of each arm that was asked for, by the columns of scores, and the arm whose scores are its own.

    Args:
        scores: the frame of `scores`.
        twins: the frame of `load_twins`; None: there are none.
    """
    arms = choices(scores)
    asked = [(has, arm) for arm, has in arms.items()]
    for row in [] if twins is None else twins.to_dict("records"):
        arm = (str(row["study"]), str(row["arm"]))
        if arm in arms:
            has = {key: text(row[key]) if key in row and key != "study" else value for key, value in arms[arm].items()}
            if has not in [there for there, _ in asked]:
                asked.append((has, arm))
    return asked


def told_of(records: Iterable[ArmRecord]) -> str | None:
    """One line on all stored arms that were trained once for several; None where there are none."""
    return told([_asked(record), *(twin.asked for twin in record.twins)] for record in records)


def told(groups: Iterable[Sequence[Sequence[str]]]) -> str | None:
    """One line on all arms that are trained once for several; None where there are none.

    Args:
        groups: each arm and its twins, as the settings that make their names.
    """
    groups = list(groups)
    everywhere = _common([named for group in groups for named in group])
    alike: dict[tuple[str, ...], list[str]] = {}
    for group in groups:
        if len(group) > 1:
            common = _common(group)
            own = tuple(_text([each for each in named if each not in common]) for named in group)
            alike.setdefault(own, []).append(_text([each for each in common if each not in everywhere]))
    said = [
        f"{listed(own)} are one program" + (f" under {listed(common)}" if any(common) else "")
        for own, common in alike.items()
    ]
    if not said:
        return None
    return f"{'; '.join(said[:MOST])}{' …' * (len(said) > MOST)}: trained once, under the name that comes first"


def _asked(record: ArmRecord) -> list[str]:
    return [f"{key}={value}" if value else key for key, value in settings_in(full_name(record))]


def _common(named: Sequence[Sequence[str]]) -> list[str]:
    return [each for each in named[0] if all(each in other for other in named)] if named else []


def _text(settings: Sequence[str]) -> str:
    return ",".join(settings)
