"""One run of the small W&B server."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class StoredRun:
    """One run as the server has it. A line of its history has a place, which can be written to again."""

    id: str
    project: str
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    lines: dict[int, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for _, line in sorted(self.lines.items())]

    @property
    def steps(self) -> list[int]:
        return [row["_step"] for row in self.history]

    @property
    def state(self) -> str:
        return {None: "running", 0: "finished"}.get(self.exit_code, "failed")

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration as it was given to the client."""
        return {key: part["value"] for key, part in self.config.items() if key != "_wandb"}


def in_json(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a history as W&B gives it back: what JSON has no number for is a word."""
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return {name: words.get(str(value), value) for name, value in row.items()}
