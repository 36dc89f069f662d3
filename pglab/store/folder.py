"""Finding studies and their arms in a folder, and telling what in it is neither."""

from dataclasses import dataclass, replace
from pathlib import Path

from pglab.errors import DamagedError, InputError
from pglab.store.reader import ABOUT, ArmFolder
from pglab.store.records import parse


@dataclass(frozen=True)
class StudyFolder:
    """A study's folder.

    Attributes:
        path: of the study.
        arms: by the order of their names.
        strays: a sentence for each folder in it that looks like an arm and is not counted as one: a copy under
            another name, or one whose `arm.json` is gone; and for each study inside of it.
    """

    path: Path
    arms: tuple[ArmFolder, ...]
    strays: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.name


def studies_in(path: Path) -> list[StudyFolder]:
    """Every study in a folder: the one that it is, else those that it holds, or that of a single arm.

    A study inside of a study does not count.

    Raises:
        FileNotFoundError: there is none.
    """
    path = path.resolve()
    if (path / ABOUT).exists():
        return [StudyFolder(path.parent, (ArmFolder(path),))]
    here = _study(path)
    below = [_study(folder) for folder in _folders(path) if not _is_arm_like(folder)]
    if here.arms:
        inside = (
            f"{one.name}: a study inside of this one does not count; move it elsewhere" for one in below if one.arms
        )
        return [replace(here, strays=(*here.strays, *inside))]
    found = [study for study in (here, *below) if study.arms or study.strays]
    if not any(study.arms for study in found):
        strays = "".join(f"\n  {stray}" for study in found for stray in study.strays)
        raise FileNotFoundError(f"{path} holds no study: there is no {ABOUT} in it or up to two folders below{strays}")
    return found


def one_study(path: Path, purpose: str) -> StudyFolder:
    """The study whose folder this is.

    Args:
        purpose: that needs a whole study, such as "a report is of".

    Raises:
        FileNotFoundError: there is none.
        InputError: there are several, or this is one arm of one.
    """
    found = studies_in(path)
    if [study.path for study in found] != [path.resolve()]:
        raise InputError(f"{purpose} one study, and {path} is none; {found[0].path} is one")
    return found[0]


def arms_in(study: Path) -> tuple[ArmFolder, ...]:
    """The arms in a folder, by the order of their names; none where it is no study's."""
    return _study(study).arms


def _study(path: Path) -> StudyFolder:
    arms, strays = [], []
    for folder in _folders(path):
        arm = ArmFolder(folder)
        if not (folder / ABOUT).exists():
            if arm.has_results():
                strays.append(f"{folder.name}: its {ABOUT} is gone, so nothing of it counts; put back a copy of it")
        elif (name := _named(folder)) in (None, folder.name):  # a damaged one is told of when it is read
            arms.append(arm)
        else:
            strays.append(f"{folder.name}: a copy of arm {name} under another name does not count; move it elsewhere")
    return StudyFolder(path, tuple(arms), tuple(strays))


def _folders(path: Path) -> list[Path]:
    """The arms in it that are really there: a link could lead anywhere."""
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.is_symlink()) if path.is_dir() else []


def _is_arm_like(folder: Path) -> bool:
    return (folder / ABOUT).exists() or ArmFolder(folder).has_results()


def _named(folder: Path) -> str | None:
    """The arm that an `arm.json` is of, as it says itself."""
    try:
        return parse(folder / ABOUT).arm
    except DamagedError:
        return None
