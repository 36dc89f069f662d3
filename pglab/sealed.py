"""Arrays in a file that can tell whether it is whole: a checksum, then NumPy's own format.

Reading executes no code (`allow_pickle=False`), and a torn, damaged or foreign file is refused.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

MAGIC = b"pglab-arrays-1\n"
DIGEST = 32  # bytes of a sha256


class DamagedError(ValueError):
    """A file is not what was written: cut off, changed, or not one of ours."""


def seal(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The file's content; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(arrays))
    content = buffer.getvalue()
    return MAGIC + hashlib.sha256(content).digest() + content


def unseal(path: Path, needed: Callable[[str], bool] = lambda _: True) -> dict[str, np.ndarray]:
    """The arrays of a file, all of which is checked.

    Args:
        path: of the file.
        needed: says by the name of an array whether it is to be there.

    Raises:
        DamagedError: the file is not as it was written.
        OSError: it cannot be read.
    """
    sealed = path.read_bytes()
    head = len(MAGIC) + DIGEST
    digest, content = sealed[len(MAGIC) : head], sealed[head:]
    if not sealed.startswith(MAGIC) or hashlib.sha256(content).digest() != digest:
        raise DamagedError(f"{path} is damaged: its content is not what its checksum says")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if needed(name)}
