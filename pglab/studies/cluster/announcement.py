"""The announcement of a worker before it gets work, and why it may be refused."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from pglab.studies.provenance import changed, provenance


@dataclass(frozen=True, eq=False)  # two are never the same worker
class Announcement:
    """Who a worker is.

    Attributes:
        host: the name of its machine.
        process: its number there.
        made: what would compute its numbers (see `pglab.studies.provenance`): versions, a hash of the code
            of pglab and of each of the user's own files, the capability of the processor.
        place: by what an engine knows it, such as the number of a scheduler's job; empty where nobody does.
        hired: an engine of the study has started it.
    """

    host: str
    process: int
    made: Mapping[str, str]
    place: str = ""
    hired: bool = False

    @classmethod
    def of_here(cls, trained: Mapping[str, Any], hired: bool) -> Self:
        """That of this process.

        Args:
            trained: what is to be trained, as `pglab.studies.provenance.together` has it.
        """
        made = provenance(trained)
        job, task = os.environ.get("SLURM_JOB_ID", ""), os.environ.get("SLURM_PROCID", "")
        return cls(socket.gethostname(), os.getpid(), made, f"SLURM {job}.{task}" if job else "", hired)

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Raises ValueError where it is none."""
        try:
            told: dict[str, Any] = json.loads(content)
            return cls(
                str(told["host"]), int(told["process"]), {str(k): str(v) for k, v in dict(told["made"]).items()},
                str(told["place"]), bool(told["hired"]),
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no announcement of a worker: {error}") from error

    def written(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @property
    def name(self) -> str:
        """For people."""
        return f"process {self.process} on {self.host}" + (f" ({self.place})" if self.place else "")

    def refusal(self, made: Mapping[str, str]) -> str | None:
        """The differences to what computes the numbers of the study, in words; None where there are none."""
        return ", ".join(changed(self.made, made)) or None
