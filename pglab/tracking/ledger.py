"""The ledger of what of a study has been uploaded, and where to."""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from pglab.errors import InputError
from pglab.store.atomic import write

FILE = "mirrored.json"


@dataclass(frozen=True)
class Known:
    """One upload.

    Attributes:
        id: under which the server has it.
        version: of the content that was uploaded.
    """

    id: str
    version: str


class Ledger:
    """`STUDY/mirrored.json`: for each `server/entity/project` the last upload of every run and summary by its id."""

    def __init__(self, study: Path) -> None:
        self._file = study / FILE

    def known(self, place: str) -> dict[str, Known]:
        """Everything that was uploaded to a place.

        Raises:
            InputError: the file is not one of ours.
        """
        return {one: _known(one, said) for one, said in self._read().get(place, {}).items()}

    def add(self, place: str, uploaded: Mapping[str, Known]) -> None:
        """Takes note of uploads; the file is replaced in one step."""
        content = self._read()
        content.setdefault(place, {}).update({one: astuple(known) for one, known in uploaded.items()})
        write(self._file, json.dumps(content, indent=1).encode())

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self._file} cannot be read ({error}); delete it to upload everything anew") from error
        if not isinstance(content, dict) or not all(isinstance(of, dict) for of in content.values()):
            raise InputError(f"{self._file} is not of pglab; delete it to upload everything anew")
        return content


def _known(one: str, said: Any) -> Known:
    """An entry; one of version 0.1, which counted rows, names no content, so that it is looked at again."""
    match said:
        case [str(server_id), str(version)]:
            return Known(server_id, version)
        case _:
            return Known(one, "")
