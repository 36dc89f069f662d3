"""One small study on CartPole, filmed while it trained by the real command line."""

import shutil
import subprocess
from pathlib import Path

import pytest

SMALL = (
    "env=cartpole_v0",
    "batch=episodes",
    "batch.episodes=2",
    "updates=2",
    "evaluation.episodes=1",
    "workers=1",
    "logger.mode=disabled",
)
ARM = "batch.episodes=2,batch=episodes,env=cartpole_v0,weighting="
RTG, TOTAL = f"{ARM}rtg", f"{ARM}total"


@pytest.fixture(scope="session")
def training(command_line, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What the command said, and the study's folder; not to be changed."""
    folder = tmp_path_factory.mktemp("filmed")
    asked = [*SMALL, "logger.mode=offline", "render_every=1", "study=filmed"]
    done = command_line(["-m", "weighting=total,rtg", "seed=4,7", *asked], folder)
    return done, folder / "results" / "filmed"


@pytest.fixture(scope="session")
def filmed(training: tuple[subprocess.CompletedProcess[str], Path]) -> Path:
    return training[1]


@pytest.fixture
def copied(filmed: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return shutil.copytree(filmed, tmp_path / "results" / "filmed")
