"""Workers that dial in: they come, are killed, told to go and refused, and a run's bits are the same."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from pglab import study as study_command
from pglab.results import load, load_evaluation
from pglab.store.sessions import sessions
from tests.conftest import ROOT, CommandLine
from tests.waiting import HANG, Told, until

STUDY = ("weighting=counts,rtg", "seed=0,1", "updates=400", "batch.episodes=8", "study=s")
DIALS = ("cluster.address=127.0.0.1", "cluster.workers=0")


@pytest.fixture(scope="module")
def command(put_own_weightings, tiny) -> list[str]:
    return ["-m", "--config-dir", "conf", *(key for key in tiny if not key.startswith("workers")), *STUDY]


@pytest.fixture(scope="module")
def undisturbed(command_line, command: list[str], put_own_weightings, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    put_own_weightings(folder)
    done = command_line([*command, "workers=1"], folder)
    assert done.returncode == 0, done.stderr
    return folder / "results" / "s"


@pytest.fixture
def workers(tmp_path: Path) -> Iterator["Workers"]:
    with ExitStack() as stack:
        yield Workers(stack, tmp_path)


class Workers:
    """`python -m pglab.worker`, in processes that are ended at last."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder

    def __call__(self, *arguments: str, folder: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        command = CommandLine("pglab.worker")
        given = arguments or ("results/s",)
        return self._stack.enter_context(command.started(given, folder or self._folder, **variables))


def assert_same_bits(study: Path, other: Path) -> None:
    for read in (load, load_evaluation):
        pd.testing.assert_frame_equal(read(study), read(other), check_exact=True)
    assert set(load(study)["status"]) == {"finished"}


def trains(folder: Path, before: Sequence[Path] = ()) -> list[Path]:
    """The traces of processes that have trained for some updates."""
    return [path for path in folder.glob("called-*") if path not in before and path.stat().st_size >= 3]


@pytest.mark.slow
def test_workers_are_killed_and_told_to_go_and_a_late_one_ends_the_study_with_the_same_bits(
    command_line, command, own_weightings, workers, undisturbed: Path, tmp_path: Path, capsys
):
    with command_line.started([*command, *DIALS], tmp_path) as process:
        told = Told(process)
        assert until(lambda: told.says("Training 4 runs"), process)
        (session, record), *_ = sessions(tmp_path / "results" / "s")
        assert [stat.S_IMODE((session / name).stat().st_mode) for name in (".", "key.pem")] == [0o700, 0o600]
        port = int(record.address.rpartition(":")[2])

        killed = workers()
        assert until(lambda: trains(tmp_path), killed)
        assert until(lambda: [one for _, now in sessions(tmp_path / "results" / "s") for one in now.workers], process)
        assert study_command.main([str(tmp_path / "results" / "s"), "--logs", "seed=0"]) == 0
        shown = capsys.readouterr().out
        assert re.search(r"1 worker at 127.0.0.1:\d+: [\d,]+ env steps a second\n  \S+: 1 worker, ", shown)
        assert re.search(rf"(counts|rtg): seed 0.*, from update 0: .*results/s/logs/\S+-{killed.pid}\.log", shown)
        killed.kill()
        assert until(lambda: told.says(rf"Process {killed.pid} on \S+ is lost; its runs go on elsewhere"), process)
        assert until(lambda: told.says("Waiting for workers: none is here"), process)

        child_killed, before = workers(), trains(tmp_path)
        assert until(lambda: trains(tmp_path, before), child_killed)
        (trace,) = trains(tmp_path, before)
        os.kill(int(trace.name.partition("-")[2]), signal.SIGKILL)
        before = trains(tmp_path)
        assert until(lambda: trains(tmp_path, before), child_killed), "another process takes its place"
        child_killed.send_signal(signal.SIGUSR2)
        assert child_killed.wait(timeout=HANG) == 0

        late = workers()
        out, err = process.communicate(timeout=HANG)
        assert (process.returncode, err) == (0, "")
        assert late.wait(timeout=HANG) == 0
    assert "failed" not in told.text + out
    assert f"Process {child_killed.pid} on" not in told.text + out or "was told to go" in told.text + out
    assert_same_bits(tmp_path / "results" / "s", undisturbed)
    assert not session.exists()
    with pytest.raises(OSError, match="refused"):
        __import__("socket").create_connection(("127.0.0.1", port), timeout=HANG)
    logs = {path.name: path.read_text() for path in (tmp_path / "results" / "s" / "logs").glob("*.log")}
    assert len(logs) == 3
    (log,) = [text for name, text in logs.items() if name.endswith(f"-{late.pid}.log")]
    assert re.search(r"trains from update [1-9]\d*.*: (counts|rtg): seed", log)


@pytest.mark.slow
def test_workers_that_would_compute_otherwise_are_refused_by_name_and_the_study_goes_on(
    command_line, command, own_weightings, workers, undisturbed: Path, tmp_path: Path
):
    elsewhere = shutil.copytree(tmp_path, tmp_path / "elsewhere")
    with (elsewhere / "own_weightings.py").open("a") as own:
        own.write("# changed\n")
    package = shutil.copytree(ROOT / "pglab", tmp_path / "changed" / "pglab")
    (package / "conf").symlink_to(ROOT / "conf")
    with (package / "training" / "bundle.py").open("a") as code:
        code.write("# changed\n")
    other_torch = tmp_path / "libraries" / "torch-1.13.0.dist-info"
    other_torch.mkdir(parents=True)
    (other_torch / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.13.0\n")
    other_key = tmp_path / "key.pem"
    subprocess.run([sys.executable, "-c", MAKE_KEY, other_key], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})

    with command_line.started([*command, *DIALS], tmp_path) as process:
        told = Told(process)
        assert until(lambda: told.says("Training 4 runs"), process)
        study = str(tmp_path / "results" / "s")
        refused = {
            "torch is 1.13.0 there and": workers(study, PYTHONPATH=f"{other_torch.parent}:{ROOT}"),
            "cpu capability is DEFAULT there and": workers(study, ATEN_CPU_CAPABILITY="default"),
            "pglab's own code has changed": workers(study, PYTHONPATH=str(package.parent)),
            "own_weightings.py has changed": workers(study, folder=elsewhere),
            "it has another key": workers(study, "--key", str(other_key)),
        }
        for why, worker in refused.items():
            _, err = worker.communicate(timeout=HANG)
            assert worker.returncode == 2
            assert err.startswith("error: "), err
            assert "another key" in err if why == "it has another key" else why in err, err
            assert until(lambda why=why: told.says(f"is refused[^\n]*{why}"), process), told.text
        workers()
        _, err = process.communicate(timeout=HANG)
        assert (process.returncode, err) == (0, "")
    assert_same_bits(tmp_path / "results" / "s", undisturbed)


MAKE_KEY = (
    "import sys; from pathlib import Path; from pglab.studies.cluster.key import make_key; make_key(Path(sys.argv[1]))"
)


@pytest.mark.slow
def test_an_engine_of_ones_own_starts_workers_as_its_readme_shows(
    command_line, command, own_weightings, undisturbed: Path, tmp_path: Path
):
    readme = (ROOT / "pglab/studies/cluster/README.md").read_text()
    code, choice = (re.search(rf"```{kind}\n(.*?)```", readme, re.DOTALL)[1] for kind in ("python", "yaml"))
    assert '["ssh", host, worker.shell]' in code
    (tmp_path / "by_ssh.py").write_text(code.replace('["ssh", host, worker.shell]', '["sh", "-c", worker.shell]'))
    (tmp_path / "conf" / "cluster").mkdir()
    (tmp_path / "conf" / "cluster" / "ssh.yaml").write_text(choice)
    on = ["cluster=ssh", "cluster.workers=2", "cluster.address=127.0.0.1"]
    done = command_line([*command, *on], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_bits(tmp_path / "results" / "s", undisturbed)
    assert len(list((tmp_path / "results" / "s" / "logs").glob("*.log"))) == 2
