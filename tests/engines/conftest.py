"""A study that a cluster trains, what it comes to on this machine alone, and the clusters."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from pglab.results import load, load_evaluation
from tests.engines.slurm import Slurm, lacking

GRID = ("weighting=counts,rtg", "seeds=4", "updates=60", "batch.episodes=8", "study=s")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    if why := lacking():
        pytest.skip(why)
    pytest.importorskip("submitit")
    cluster = Slurm(tmp_path_factory.mktemp("slurm"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def grid(tiny: Sequence[str]) -> list[str]:
    """Two arms of four seeds, one of which leaves a trace of each update: `called-PROCESS`."""
    return ["-m", "--config-dir", "conf", *(key for key in tiny if not key.startswith("workers")), *GRID]


@pytest.fixture(scope="session")
def alone(command_line, put_own_weightings, grid: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study as this machine alone trains it."""
    folder = tmp_path_factory.mktemp("alone")
    put_own_weightings(folder)
    done = command_line([*grid, "workers=1"], folder)
    assert done.returncode == 0, done.stderr
    return folder / "results" / "s"


@pytest.fixture(scope="session")
def same_bits() -> Callable[[Path, Path], None]:
    def compare(study: Path, other: Path) -> None:
        for read in (load, load_evaluation):
            pd.testing.assert_frame_equal(read(study), read(other), check_exact=True)
        assert set(load(study)["status"]) == {"finished"}

    return compare
