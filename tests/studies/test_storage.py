"""A disk that is full or that nobody may write to: one line, nothing lost, and the same bits once there is room."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.studies.faults import GRID, finished, put_watched, read_everything, results
from tests.studies.test_interruption import running_in
from tests.waiting import HANG, until

UPDATES = 150
SWEEP = (*GRID, f"updates={UPDATES}")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, `tmp_path/disk`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture(scope="module")
def whole(command_line, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = put_watched(tmp_path_factory.mktemp("whole") / "here")
    assert command_line([*SWEEP, "seed=0,1"], folder).returncode == 0
    return results(folder / "results" / "s")


def fill(disk: Path, left: int) -> None:
    """Leaves so many bytes."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            filler.truncate(filler.tell() - left)


@pytest.fixture
def fills_up(command_line, tmp_path: Path, mounted: Path, whole) -> Callable[[int, str], None]:
    """Has one seed trained, then the disk filled while another one is; makes room and goes on."""

    def check(left: int, logger: str) -> None:
        folder = put_watched(tmp_path / f"here{left}")
        there = [*SWEEP, f"results_dir={mounted}", f"study=s{left}", f"logger.mode={logger}"]
        study = mounted / f"s{left}"
        assert command_line([*there, "seed=0", "logger.mode=disabled"], folder).returncode == 0
        with command_line.started([*there, "seed=0,1"], folder) as process:
            for line in process.stdout:
                if line.startswith("Training"):
                    break
            fill(mounted, left)
            out, err = process.communicate(timeout=HANG)
            assert process.returncode not in (None, 0), out
            assert until(lambda: not running_in(folder))
        assert re.fullmatch(r"error: cannot store the results: [^\n]*: No space left on device\n", err)
        assert len(re.findall("warning: no checkpoint could be written", out)) <= 1
        assert "Traceback" not in out
        assert finished(study) >= {("first", 0), ("second", 0)}
        read_everything(study, UPDATES)
        assert not [path.name for path in study.glob("*/.*")]
        (mounted / "filler").unlink()
        done = command_line([*there, "seed=0,1"], folder)
        assert done.returncode == 0, done.stderr
        assert results(study) == whole

    return check


@pytest.mark.slow
def test_a_disk_that_fills_up(fills_up):
    fills_up(left=0, logger="offline")


@pytest.mark.slow
@pytest.mark.parametrize("left", range(2048, 76_000, 8192))
def test_a_disk_that_fills_up_at_some_point(fills_up, left: int):
    fills_up(left=left, logger="disabled")


def test_a_folder_that_can_only_be_read_is_refused_before_training(command_line, tmp_path: Path, mounted: Path):
    folder = put_watched(tmp_path / "here")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    done = command_line([*SWEEP, "seed=0", f"results_dir={mounted}"], folder)
    assert done.returncode == 2
    assert "Training" not in done.stdout
    assert done.stderr == (
        f"error: cannot write to {mounted}/s (Read-only file system); choose another results_dir=PATH\n"
    )
