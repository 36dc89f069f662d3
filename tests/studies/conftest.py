"""What W&B has of a study, read from the files it keeps offline."""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HEADER, BLOCK = 7, 32768


@dataclass
class MirroredRun:
    """One run as W&B will show it."""

    project: str = ""
    group: str = ""
    name: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None


def records(file: Path) -> Iterator[Any]:
    """The records of a `.wandb` file: LevelDB's log format under a header of its own."""
    from wandb.proto.v5 import wandb_internal_pb2

    data, at, parts = file.read_bytes(), HEADER, b""
    assert data.startswith(b":W&B")
    while at + HEADER <= len(data):
        left_in_block = BLOCK - at % BLOCK
        if left_in_block < HEADER:
            at += left_in_block
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        parts += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # the whole of a record, or the last piece of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def mirrored_run(file: Path) -> MirroredRun:
    run = MirroredRun()
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            said = record.run
            run.project, run.group, run.name = said.project, said.run_group, said.display_name
            run.tags = list(said.tags)
            run.config = {item.key: json.loads(item.value_json) for item in said.config.update}
        elif kind == "history":
            run.history.append({item.nested_key[0]: json.loads(item.value_json) for item in record.history.item})
        elif kind == "summary":
            run.summary |= {item.key: json.loads(item.value_json) for item in record.summary.update if item.key}
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


@pytest.fixture(scope="session")
def mirrored() -> Callable[[Path], dict[str, MirroredRun]]:
    """Every run in the `wandb` folder of a study, by name."""

    def read(study: Path) -> dict[str, MirroredRun]:
        runs = [mirrored_run(file) for file in study.glob("wandb/offline-run-*/run-*.wandb")]
        assert len({run.name for run in runs}) == len(runs)
        return {run.name: run for run in runs}

    return read


@pytest.fixture(scope="session")
def diverging(command_line, tmp_path_factory: pytest.TempPathFactory, tiny) -> Path:
    """A study, mirrored as by default, of an arm that learns in one bundle with one that diverges."""
    folder = tmp_path_factory.mktemp("diverging")
    overrides = [*tiny[:-1], *LEARNING, "optimizer.lr=0.1,3e38", "seed=0,1", "study=diverging"]
    done = command_line(["-m", *overrides], folder)
    assert done.returncode == 0, done.stderr
    return folder / "results" / "diverging"


LEARNING = ("network=linear", "optimizer=sgd", "updates=3", "env.horizon=50")


@pytest.fixture(scope="session")
def learning() -> tuple[str, ...]:
    """Overrides of the arms in the diverging study, learning rate aside."""
    return LEARNING
