"""One verdict every time (fixed examples, one thread); one small study, trained once by the real command line."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from hypothesis import settings

import pglab
from tests.tracking.wandb_server import WandbServer
from tests.waiting import HANG

settings.register_profile("pglab", derandomize=True, deadline=None, database=None)
settings.load_profile("pglab")
torch.set_num_threads(1)

ROOT = Path(pglab.__file__).resolve().parent.parent
TINY = ("env=corridor", "batch=episodes", "batch.episodes=2", "updates=2", "workers=1", "logger.mode=disabled")

OWN_WEIGHTINGS = """
import os
import time
from dataclasses import dataclass
from pathlib import Path

from pglab.algorithms.weightings import RewardToGo


@dataclass(frozen=True)
class Raises:
    def __call__(self, batch):
        raise RuntimeError("my own mistake")


@dataclass(frozen=True)
class Dies:
    def __call__(self, batch):
        os._exit(3)


@dataclass(frozen=True)
class Sleeps:
    def __call__(self, batch):
        Path(f"called-{os.getpid()}").touch()
        time.sleep(10**6)


@dataclass(frozen=True)
class Counts:
    def __call__(self, batch):
        with open(f"called-{os.getpid()}", "a") as calls:
            calls.write(".")
        return RewardToGo(gamma=1.0)(batch)
"""


class CommandLine:
    """`python -m pglab` or another of its modules, in a process of its own."""

    def __init__(self, module: str = "pglab") -> None:
        self._module = module

    @contextmanager
    def started(self, arguments: Sequence[str], folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Starts it in `folder`, at the head of a process group like that of a terminal; ends all of that at last."""
        # A shell ignores Ctrl-C for what it runs in the background, and children inherit that.
        handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", self._module, *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, handler)
        with process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def __call__(self, arguments: Sequence[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        with self.started(arguments, folder, **variables) as process:
            out, err = process.communicate(timeout=HANG)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Arithmetic as in a worker: one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def command_line() -> CommandLine:
    return CommandLine()


@pytest.fixture(scope="session")
def mirror_command() -> CommandLine:
    return CommandLine("pglab.mirror")


@pytest.fixture
def wandb_server() -> Iterator[WandbServer]:
    """A W&B server that holds nothing yet."""
    server = WandbServer()
    server.start()
    yield server
    server.stop()
    assert not server.unknown


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Overrides that make every run as small as a run can be."""
    return TINY


@pytest.fixture(scope="session")
def put_own_weightings() -> Callable[[Path], list[str]]:
    """Puts a user's own weightings into a folder; returns the options with which they are found there.

    `weighting=raises`, `dies` (the process ends), `sleeps` (for good), `counts` (its calls).
    """

    def put(folder: Path) -> list[str]:
        (folder / "own_weightings.py").write_text(OWN_WEIGHTINGS)
        choices = folder / "conf" / "weighting"
        choices.mkdir(parents=True)
        for name in ("Raises", "Dies", "Sleeps", "Counts"):
            (choices / f"{name.lower()}.yaml").write_text(f"_target_: own_weightings.{name}\n")
        return ["--config-dir", "conf"]

    return put


@pytest.fixture
def own_weightings(put_own_weightings: Callable[[Path], list[str]], tmp_path: Path) -> list[str]:
    """The same in `tmp_path`."""
    return put_own_weightings(tmp_path)


@pytest.fixture(scope="session")
def main_flow(
    command_line: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Two arms with three seeds each, trained by the command line: what it said, and its folder."""
    folder = tmp_path_factory.mktemp("main_flow")
    return command_line(["-m", "weighting=total,rtg", "seed=0,1,2", "study=small", *TINY, "workers=2"], folder), folder


@pytest.fixture(scope="session")
def study(main_flow: tuple[subprocess.CompletedProcess[str], Path]) -> Path:
    """The folder of the small study; not to be changed."""
    return main_flow[1] / "results" / "small"


@pytest.fixture
def copied_study(study: Path, tmp_path: Path) -> Path:
    """A copy of the small study in `tmp_path/results`, to be changed."""
    return shutil.copytree(study, tmp_path / "results" / "small")


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Every file under a folder, by its path there."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    return read
