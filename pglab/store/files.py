"""Reading a file of a study: only ordinary files of it, whatever a stranger has put in their place."""

import os
import stat
from pathlib import Path

from pglab.errors import DamagedError

NO_FILE = "is no ordinary file, in the place of one of the study's"


def read(path: Path) -> bytes:
    """The content of an ordinary file.

    Raises:
        DamagedError: it is a link, a pipe or anything else that is no file of a study.
        FileNotFoundError: there is nothing.
        OSError: it cannot be read.
    """
    with open(opened(path, os.O_RDONLY), "rb") as file:
        return file.read()


def opened(path: Path, flags: int) -> int:
    """The descriptor of an ordinary file, to be closed by the caller; raises as `read` does."""
    try:
        # Without O_NONBLOCK a pipe that nobody writes to would keep us waiting for ever.
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if path.is_symlink():
            raise DamagedError(f"{path} is a link, and files of a study are not followed out of it") from error
        if path.exists() and not path.is_file():
            raise DamagedError(f"{path} {NO_FILE}") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DamagedError(f"{path} {NO_FILE}")
    return descriptor
