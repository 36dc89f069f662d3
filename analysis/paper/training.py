"""Training the studies that are missing: as many side by side as there are cores, one worker each.

Runs that update after each episode gain nothing from more workers, so it is studies that share the
cores. Each is `python -m pglab -m …` in a process of its own and continues like any study; what it
says is kept beside its folder in `NAME.log`.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.paper.figure import Study

TRAIN = [sys.executable, "-m", "pglab", "-m"]
LOOK = 0.2  # seconds between two looks at the processes
TELL = 15.0  # seconds between two lines on a study's progress
Say = Callable[[str], None]


@dataclass
class Running:
    """A study in training."""

    study: Study
    left: list[list[str]]
    log: Path
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    process: subprocess.Popen[bytes] | None = None

    def step(self) -> int | None:
        """Begins the next command where one has ended well; the exit status of the last, None while it runs."""
        if self.process is not None:
            status = self.process.poll()
            if status is None or status != 0 or not self.left:
                return status
        command = [*TRAIN, *self.left.pop(0)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        return None

    def stop(self) -> None:
        """Has it store what there is and end; also where a shell has it ignore Ctrl-C."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def last_line(self, wanted: str = ".") -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if re.search(wanted, line)]
        return lines[-1].strip() if lines else ""


def train(studies: Sequence[Study], quick: bool, more: Sequence[str], say: Say) -> dict[str, str]:
    """Trains what is missing of these studies; returns for each that failed what it said last.

    Args:
        more: overrides for every command.
        say: shows a line.

    Raises:
        KeyboardInterrupt: after every study has stored what there is.
    """
    waiting = sorted(studies, key=lambda study: -study.effort)
    running: list[Running] = []
    failed: dict[str, str] = {}
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop is a Ctrl-C
    try:
        while waiting or running:
            while waiting and len(running) < len(os.sched_getaffinity(0)):
                running.append(_begin(waiting.pop(0), quick, more))
                say(f"{running[-1].study.name}: begun")
            for one in list(running):
                status = one.step()
                if status is None:
                    _tell(one, say)
                    continue
                running.remove(one)
                if status:
                    failed[one.study.name] = f"{one.last_line('^error|Error')} (see {one.log})"
                    say(f"{one.study.name}: failed: {failed[one.study.name]}")
                else:
                    say(f"{one.study.name}: complete, {time.monotonic() - one.began:.0f} s")
            time.sleep(LOOK)
    except KeyboardInterrupt:
        for one in running:
            one.stop()
        for one in running:
            if one.process is not None:
                one.process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    return failed


def _begin(study: Study, quick: bool, more: Sequence[str]) -> Running:
    folder = study.folder(quick)
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.with_name(f"{folder.name}.log")
    log.write_bytes(b"")
    return Running(study, [[*command, *more] for command in study.commands(quick)], log)


def _tell(one: Running, say: Say) -> None:
    now = time.monotonic()
    if now - one.told >= TELL:
        one.told = now
        said = re.match(r"\s*\d+ %\s+\d+ s left", one.last_line(r"^\s*\d+ %"))
        commands = f", {len(one.left)} more commands" if one.left else ""
        say(f"{one.study.name}: {said[0].strip() if said else 'preparing'}{commands}")
