"""Files that can tell whether they are whole.

Arrays: a checksum, then NumPy's own format. Text: JSON with a checksum of all the rest as its last
entry. Reading executes no code, and a torn, damaged or foreign file is refused.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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


def seal_text(content: Mapping[str, Any]) -> bytes:
    """The JSON file's content."""
    return _text({**content, "checksum": _checksum(content)})


def unseal_text(path: Path, text: bytes | None = None) -> dict[str, Any]:
    """What a JSON file says; one without a checksum is taken at its word, so that a person can change it.

    Args:
        path: of the file.
        text: its content, where it has been read before.

    Raises:
        DamagedError: the file is not as it was written.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(path.read_bytes() if text is None else text)
    except ValueError as error:
        raise DamagedError(f"{path} is damaged ({error})") from error
    if not isinstance(content, dict):
        raise DamagedError(f"{path} is damaged: it is no JSON object")
    if content.pop("checksum", None) not in (None, _checksum(content)):
        raise DamagedError(
            f"{path} is damaged: its content is not what its checksum says (take the checksum out of it "
            "if it was changed on purpose)"
        )
    return content


def _text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(content)).hexdigest()
