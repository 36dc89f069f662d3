"""Files that can tell whether they are whole.

Arrays: a checksum, then NumPy's own format. Text: JSON with a checksum of all the rest as its last
entry. Reading executes no code, unpacks no more than the file holds, and a torn, damaged or foreign
file is refused.
"""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pglab.errors import DamagedError
from pglab.store.files import read

MAGIC = b"pglab-arrays-1\n"
DIGEST = 32  # bytes of a sha256
DEEPEST = 100  # mappings and lists within each other in a text file
HEADER = 4096  # bytes that NumPy's description of an array takes at most here


def seal(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The file's content; equal arrays give equal bytes."""
    content = pack(arrays)
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
    sealed = read(path)
    head = len(MAGIC) + DIGEST
    digest, content = sealed[len(MAGIC) : head], sealed[head:]
    if not sealed.startswith(MAGIC) or hashlib.sha256(content).digest() != digest:
        raise DamagedError(f"{path} is damaged: its content is not what its checksum says")
    return unpack(content, path, needed)


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays in NumPy's own format, uncompressed."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def unpack(content: bytes, path: Path, needed: Callable[[str], bool] = lambda _: True) -> dict[str, np.ndarray]:
    """Arrays from `pack`.

    Raises:
        DamagedError: they are not, or claim to be larger than the file.
    """
    try:
        _check_sizes(content)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if needed(name)}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, MemoryError) as error:
        raise DamagedError(f"{path} is damaged ({error})") from error


def _check_sizes(content: bytes) -> None:
    """Raises ValueError where unpacking would take more memory than the file: we store arrays as they are."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        for member in packed.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content):
                raise ValueError(f"{member.filename} is compressed, or larger than the file")
            with packed.open(member) as array:
                major, _ = np.lib.format.read_magic(array)
                header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                shape, _, dtype = header(array, max_header_size=HEADER)
            if math.prod(shape) * dtype.itemsize > member.file_size:
                raise ValueError(f"{member.filename} claims the shape {list(shape)}, for which it is too short")


def seal_text(content: Mapping[str, Any]) -> bytes:
    """The JSON file's content."""
    return _text({**content, "checksum": _checksum(content)})


def unseal_text(path: Path, text: bytes | None = None) -> dict[str, Any]:
    """Reads a JSON file; one without a checksum is taken at its word, so that a person can change it.

    Args:
        path: of the file.
        text: its content, where it has been read before.

    Raises:
        DamagedError: the file is not as it was written.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(read(path) if text is None else text)
        if not isinstance(content, dict):
            raise DamagedError(f"{path} is damaged: it is no JSON object")
        _check_depth(content)
        whole = content.pop("checksum", None) in (None, _checksum(content))
    except RecursionError as error:
        raise DamagedError(f"{path} is damaged: it is nested too deeply") from error
    except DamagedError:
        raise
    except ValueError as error:
        raise DamagedError(f"{path} is damaged ({error})") from error
    if not whole:
        raise DamagedError(
            f"{path} is damaged: its content is not what its checksum says (take the checksum out of it "
            "if it was changed on purpose)"
        )
    return content


def _check_depth(content: Mapping[str, Any]) -> None:
    """Raises RecursionError where mappings and lists are nested more deeply than ours ever are."""
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [part for one in level if isinstance(one, dict | list) for part in _parts(one)]
        if not level:
            return
    raise RecursionError


def _parts(tree: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return tree.values() if isinstance(tree, dict) else tree


def _text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(content)).hexdigest()
