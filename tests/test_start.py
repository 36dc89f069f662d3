"""An interruption in the first second shows no traceback, and leaves no child behind."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing import Pipe
from pathlib import Path

import pytest

from tests.conftest import ROOT

INTERRUPTED_IMPORT = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"


def python(code: str, folder: Path, *descriptors: int) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=variables, pass_fds=descriptors, capture_output=True, text=True, timeout=60)


def test_an_interruption_while_a_command_is_imported_ends_it_without_a_word(tmp_path: Path):
    (tmp_path / "slow_command.py").write_text(INTERRUPTED_IMPORT)
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs have it ignored
    try:
        done = python("from pglab.start import run; run('slow_command')", tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


COMMANDS = [
    *("pglab", "pglab.benchmark", "pglab.confirm", "pglab.mirror", "pglab.play", "pglab.report", "pglab.study"),
    *("pglab.tune", "pglab.verify", "pglab.worker", "analysis.atlas", "analysis.configuration"),
    *("analysis.learning_curves", "analysis.paper", "analysis.surrogate", "analysis.tour"),
]


@pytest.mark.parametrize("module", COMMANDS)
def test_so_does_every_command(module: str, tmp_path: Path):
    for slow in ("numpy", "yaml", "pandas"):
        (tmp_path / f"{slow}.py").write_text(INTERRUPTED_IMPORT)
    variables = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-m", module]
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("module", COMMANDS)
def test_from_its_main_on_an_interruption_is_for_the_command(module: str, monkeypatch, capsys):
    found = import_module(module)
    starter = Path(found.__path__[0], "__main__.py") if hasattr(found, "__path__") else Path(found.__file__)
    (begun,) = re.findall(r'^    run\("(.*)"\)$', starter.read_text(), re.MULTILINE)
    main = import_module(begun).main
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # as `pglab.start.run` leaves it
    try:
        with suppress(SystemExit):
            main()
        assert signal.getsignal(signal.SIGINT) not in (signal.SIG_DFL, signal.SIG_IGN)
    finally:
        signal.signal(signal.SIGINT, before)
    assert f"python -m {module}" in capsys.readouterr().out


def test_every_command_is_known_to_that_test():
    files = [file for part in ("pglab", "analysis") for file in (ROOT / part).rglob("*.py")]
    begun = {file for file in files if '__name__ == "__main__"' in file.read_text()}
    begun = {file for file in begun if file.parent.name != "exercises"}  # scripts of a learner's own
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for file in begun}
    assert names == set(COMMANDS)


def test_an_interruption_that_a_command_caught_is_its_exit_status_wherever_it_came(tmp_path: Path):
    """A dataclass is made by `exec`: an interruption that came there once killed a command that caught it."""
    lines = ["import sys", "from pglab.shell import ended", "sys.exit(ended(lambda: exec('raise KeyboardInterrupt')))"]
    (tmp_path / "interrupted.py").write_text("\n".join(lines))
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("parent", ["os.getppid()", "1"], ids=["there", "gone"])
def test_a_child_whose_parent_is_gone_ends_though_its_pipe_is_open(tmp_path: Path, parent: str):
    (tmp_path / "waits.py").write_text("import time\n\ndef serve(connection):\n    time.sleep(2)\n")
    ours, theirs = Pipe()
    code = f"import os; from pglab.processes import be_child; be_child('waits', {theirs.fileno()}, {parent})"
    done = python(code, tmp_path, theirs.fileno())
    assert done.returncode == (0 if "getppid" in parent else 1)
    assert (done.stdout, done.stderr) == ("", "")
    ours.close()
    theirs.close()
