"""Reading a file of a study: only ordinary files of it, whatever a stranger has put in their place."""

import os
import stat
from pathlib import Path

from pglab.errors import DamagedError


def read(path: Path) -> bytes:
    """The content of an ordinary file.

    Raises:
        DamagedError: it is a link, a pipe or anything else that is no file of a study.
        FileNotFoundError: there is nothing.
        OSError: it cannot be read.
    """
    try:
        # Without O_NONBLOCK a pipe that nobody writes to would keep us waiting for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise DamagedError(f"{path} is a link, and files of a study are not followed out of it") from error
        raise
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedError(f"{path} is no file: a study holds files and folders only")
        return file.read()
