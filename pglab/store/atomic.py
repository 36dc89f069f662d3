"""Writing a file whole or not at all."""

import os
import tempfile
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Writes beside the file, flushes to disk, then takes its place in one step.

    Raises:
        OSError: it could not be written, with its name; what was there is still there.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_beginning(path), buffering=0, delete=False) as file:
        try:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException as error:
            os.unlink(file.name)
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the new name, too, outlasts a power cut
    finally:
        os.close(descriptor)


def remove_left_over(path: Path) -> None:
    """Takes away what processes left that were killed while writing this file."""
    for beside in path.parent.glob(f"{_beginning(path)}*"):
        beside.unlink()


def _beginning(path: Path) -> str:
    return f".{path.name}."
