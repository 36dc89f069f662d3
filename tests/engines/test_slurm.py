"""SLURM trains a study on two nodes, whatever becomes of jobs, processes and nodes meanwhile."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.engines.slurm import NODES, Slurm
from tests.studies.faults import abouts
from tests.waiting import HANG, Told, until

ENGINE = ("cluster=submitit", "cluster.options.partition=debug", "cluster.options.time=30")
FREE = 5.0  # seconds in which the queue is empty after a Ctrl-C


@pytest.fixture
def on(slurm: Slurm) -> list[str]:
    """Overrides with which a command trains there, on two workers."""
    return [*ENGINE, f"cluster.address={slurm.network}.1", "cluster.workers=2"]


def logs(study: Path) -> str:
    return "".join(log.read_text() for log in sorted(study.glob("logs/*.log")))


def trained(folder: Path, but: list[Path] = []) -> list[Path]:  # noqa: B006
    """The traces of processes that have trained for some updates."""
    return [path for path in folder.glob("called-*") if path not in but and path.stat().st_size >= 5]


def failed_runs(study: Path) -> list[str]:
    return [run["status"] for _, about in abouts(study) for run in about["runs"].values() if run["status"] == "failed"]


def test_one_command_trains_on_two_nodes_and_comes_to_the_bits_of_one_machine(
    command_line, slurm: Slurm, on, grid, alone: Path, same_bits, own_weightings, tmp_path: Path
):
    spread = "cluster.options.nodes=1", "cluster.options.exclusive=True"  # one worker a node
    done = command_line([*grid, *on, *spread], tmp_path, **slurm.variables)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ shards, 2 workers|Training 8 runs \(2 arms, 2 workers\)", done.stdout)
    assert done.stdout.count("Study s") == 1
    same_bits(tmp_path / "results" / "s", alone)
    told = logs(tmp_path / "results" / "s")
    assert [node for node in NODES if re.search(rf"process \d+ on {node} \(SLURM", told)] == list(NODES)
    assert until(lambda: slurm.queue == [])


@pytest.mark.engines
@pytest.mark.parametrize("fuse", ["true", "false"])
def test_kill_scancel_and_requeue_fail_no_run_and_change_no_bit(
    command_line, slurm: Slurm, on, grid, alone: Path, same_bits, own_weightings, tmp_path: Path, fuse: str
):
    with command_line.started([*grid, *on, f"fuse={fuse}"], tmp_path, **slurm.variables) as process:
        told = Told(process)
        assert until(lambda: trained(tmp_path), process)
        before = trained(tmp_path)
        os.kill(int(before[0].name.partition("-")[2]), signal.SIGKILL)  # the process that trains
        assert until(lambda: trained(tmp_path, before), process)
        before = trained(tmp_path)
        slurm("scancel", slurm.queue[0])
        assert until(lambda: told.says("was told to go|Study s"), process)
        if process.poll() is None and (left := slurm.queue):
            slurm("scontrol", "requeue", left[-1])
        out, err = process.communicate(timeout=HANG)
    assert (process.returncode, err) == (0, "")
    assert failed_runs(tmp_path / "results" / "s") == []
    assert "failed" not in told.text + out
    same_bits(tmp_path / "results" / "s", alone)
    assert until(lambda: slurm.queue == [])


@pytest.mark.engines
def test_a_node_that_is_lost_with_no_spare_leaves_the_study_to_the_other(
    command_line, slurm: Slurm, on, grid, alone: Path, same_bits, own_weightings, tmp_path: Path
):
    try:
        with command_line.started(
            [*grid, *on, "cluster.options.exclusive=True"], tmp_path, **slurm.variables
        ) as process:
            told = Told(process)
            assert until(lambda: trained(tmp_path), process)
            number = int(trained(tmp_path)[0].name.partition("-")[2])
            (node,) = [node for node in NODES if number in slurm.processes(node)]
            slurm.kill_node(node)
            out, err = process.communicate(timeout=HANG)
    finally:
        slurm.start_node(node)
        slurm("scontrol", "update", f"nodename={node}", "state=resume")
    assert (process.returncode, err) == (0, "")
    assert f"on {node}" in told.text + out
    assert "failed" not in told.text + out
    same_bits(tmp_path / "results" / "s", alone)


@pytest.mark.engines
def test_ctrl_c_empties_the_queue_and_a_plain_command_goes_on_to_the_same_bits(
    command_line, slurm: Slurm, on, grid, alone: Path, same_bits, own_weightings, tmp_path: Path
):
    with command_line.started([*grid, *on, "cluster.workers=9"], tmp_path, **slurm.variables) as process:
        assert until(lambda: trained(tmp_path), process)
        os.killpg(process.pid, signal.SIGINT)
        pressed = time.monotonic()
        assert until(lambda: slurm.queue == [])
        assert time.monotonic() - pressed < FREE
        out, _ = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert "Interrupted. Kept in results/s" in out
    done = command_line([*grid, "workers=2"], tmp_path)
    assert done.returncode == 0, done.stderr
    same_bits(tmp_path / "results" / "s", alone)


@pytest.mark.engines
def test_a_time_limit_ends_in_a_checkpoint_and_another_worker(
    command_line, slurm: Slurm, on, grid, alone: Path, same_bits, own_weightings, tmp_path: Path
):
    """SLURM's shortest limit is a minute, so the workers are told 53 seconds before it."""
    limit = "cluster.options.time=1", "cluster.options.signal_delay_s=53"
    longer = [key.replace("updates=60", "updates=3000") for key in grid]
    with command_line.started([*longer, *on, *limit], tmp_path, **slurm.variables) as process:
        told = Told(process)
        assert until(lambda: told.says("was told to go; its runs go on elsewhere"), process)
        out, err = process.communicate(timeout=HANG)
    assert (process.returncode, err) == (0, "")
    assert "failed" not in told.text + out
    assert re.search(r"trains from update [1-9]", logs(tmp_path / "results" / "s"))
    done = command_line([*longer, "workers=2", "results_dir=alone"], tmp_path)
    assert done.returncode == 0
    same_bits(tmp_path / "results" / "s", tmp_path / "alone" / "s")


@pytest.mark.engines
def test_a_component_that_kills_its_worker_fails_after_three_tries_and_all_others_finish(
    command_line, slurm: Slurm, on, tiny, own_weightings, tmp_path: Path
):
    grid = ["-m", *own_weightings, *tiny, "weighting=dies,rtg", "seeds=2", "study=s"]
    done = command_line([*grid, *on], tmp_path, **slurm.variables)
    assert done.returncode == 1
    assert "without a word (killed, or out of memory?), again and again" in done.stdout
    status = {about["choices"]["weighting"]: about["runs"] for _, about in abouts(tmp_path / "results" / "s")}
    assert {seed: run["status"] for seed, run in status["rtg"].items()} == {"0": "finished", "1": "finished"}
    assert {seed: run["status"] for seed, run in status["dies"].items()} == {"0": "failed", "1": "failed"}


@pytest.mark.engines
def test_one_arm_of_200_seeds_uses_both_nodes(command_line, slurm: Slurm, on, tiny, tmp_path: Path):
    keys = [key for key in tiny if not key.startswith("workers")]
    command = [*keys, "weighting=rtg", "seeds=200", "updates=20", *on, "cluster.options.exclusive=True"]
    done = command_line([*command, "study=s"], tmp_path, **slurm.variables)
    assert done.returncode == 0, done.stderr
    told = {log.name: log.read_text() for log in (tmp_path / "results" / "s" / "logs").glob("*.log")}
    for node in NODES:
        (log,) = [text for name, text in told.items() if name.startswith(node)]
        assert len(re.findall("trains from update 0", log)) > 1


@pytest.mark.engines
def test_a_plain_script_is_a_worker(
    command_line, slurm: Slurm, grid, alone: Path, same_bits, own_weightings, tmp_path: Path
):
    on = ["cluster.workers=0", f"cluster.address={slurm.network}.1"]
    with command_line.started([*grid, *on], tmp_path, **slurm.variables) as process:
        told = Told(process)
        assert until(lambda: told.says("Training 8 runs"), process)
        script = f"cd {tmp_path} && PYTHONPATH={ROOT} {sys.executable} -m pglab.worker results/s"
        slurm("sbatch", "--array=1-2", "--output=/dev/null", "--wrap", script)
        _, err = process.communicate(timeout=HANG)
    assert (process.returncode, err) == (0, "")
    same_bits(tmp_path / "results" / "s", alone)
    assert until(lambda: slurm.queue == [])


@pytest.mark.engines
def test_what_sbatch_refuses_is_said_before_anything_is_trained(command_line, slurm: Slurm, on, tiny, tmp_path: Path):
    done = command_line([*tiny, *on, "cluster.options.partition=gpus", "study=s"], tmp_path, **slurm.variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch("error: cluster: no workers could be started: .*partition.*\n", done.stderr)
    assert list((tmp_path / "results" / "s").glob("*/arm.json")) == []
