"""The parent's own work: little, however many workers report."""

import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pglab.cli import compose_runs
from pglab.store.sessions import KEY, sessions
from pglab.studies.cluster.door import Door
from pglab.studies.console import Console
from pglab.studies.execute import execute
from pglab.studies.plan import Plan, make_plan
from tests.conftest import ROOT
from tests.engines.simulated import RATE

WORKERS, UPDATES = 64, 100
ARMS = "0.001,0.002,0.003,0.004,0.005,0.006,0.007,0.008,0.009,0.01"
DIALS = ("cluster.workers=64", "cluster.address=127.0.0.1", "logger.mode=disabled", "study=s")


def processor() -> float:
    """Seconds of a processor that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def planned(folder: Path, *keys: str) -> Plan:
    plan = make_plan(compose_runs([*keys, *DIALS, f"results_dir={folder}"]))
    plan.folder.mkdir(parents=True)
    return replace(plan, workers=0)  # shards for 64, of whom none is to be started


@pytest.mark.engines
def test_64_workers_of_10_updates_a_second_take_less_than_a_tenth_of_a_core(tmp_path: Path):
    plan = planned(tmp_path, f"optimizer.lr={ARMS}", "seeds=100", f"updates={UPDATES}")
    pool = Door(plan.settings["cluster"]).open(plan, print)
    ((folder, record),) = sessions(plan.folder)
    command = [sys.executable, "-m", "tests.engines.simulated", record.address, str(folder / KEY), str(WORKERS)]
    with subprocess.Popen([*command, str(UPDATES)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as workers:
        while pool.idle < WORKERS:
            assert list(pool.events(0.1)) == []
        before = processor()
        outcome = execute(plan, pool, Console())
        used = processor() - before
        pool.stop()
        workers.wait()
    assert outcome.count("finished") == 1000
    updates = len(plan.shards) * UPDATES
    assert used / updates * WORKERS * RATE < 0.1, "of a core, at the full rate, all storing included"


@pytest.mark.engines
def test_1000_runs_in_1000_shards_take_less_than_a_minute_of_the_parent(tmp_path: Path):
    plan = planned(tmp_path, "seeds=1000", "fuse=false", "updates=50")
    assert len(plan.shards) == 1000
    pool = Door(plan.settings["cluster"]).open(plan, print)
    ((folder, record),) = sessions(plan.folder)
    command = [sys.executable, "-m", "tests.engines.simulated", record.address, str(folder / KEY), str(WORKERS)]
    before = processor()
    with subprocess.Popen([*command, "50"], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as workers:
        outcome = execute(plan, pool, Console())
        pool.stop()
        workers.wait()
    assert outcome.count("finished") == 1000
    assert processor() - before < 60


@pytest.mark.engines
def test_100_000_runs_are_planned_within_seconds_and_a_gigabyte(tmp_path: Path):
    program = f"""
import resource, time
from pglab.cli import compose_runs
from pglab.studies.plan import make_plan
plan = make_plan(compose_runs(["optimizer.lr={ARMS}", "seeds=10000", "results_dir={tmp_path}", "cluster.workers=64",
                               "cluster.address=127.0.0.1"]))
print(plan.missing, len(plan.shards), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    runs, shards, seconds, kilobytes = map(float, done.stdout.split())
    assert (runs, shards > 64) == (100_000, True)
    assert seconds < 60
    assert kilobytes < 1e6
