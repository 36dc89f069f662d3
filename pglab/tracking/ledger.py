"""What of a study has been uploaded, and where to."""

import json
from pathlib import Path
from typing import Any

from pglab.errors import InputError
from pglab.store.atomic import write

FILE = "mirrored.json"


class Ledger:
    """`STUDY/mirrored.json`: for each `server/entity/project` the version of every run by its id."""

    def __init__(self, study: Path) -> None:
        self._file = study / FILE

    def has(self, place: str, run: str, version: list[Any]) -> bool:
        """Whether a run was uploaded to a place as it is now.

        Raises:
            InputError: the file is not one of ours.
        """
        return self._read().get(place, {}).get(run) == version

    def add(self, place: str, run: str, version: list[Any]) -> None:
        """Takes note of an upload; the file is replaced in one step."""
        uploaded = self._read()
        uploaded.setdefault(place, {})[run] = version
        write(self._file, json.dumps(uploaded, indent=1).encode())

    def _read(self) -> dict[str, dict[str, Any]]:
        if not self._file.exists():
            return {}
        try:
            return json.loads(self._file.read_text())
        except ValueError as error:
            raise InputError(f"{self._file} cannot be read ({error}); delete it to upload everything anew") from error
