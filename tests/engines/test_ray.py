"""Ray trains a study on the nodes of a cluster."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.waiting import HANG, until

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own, in this process


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Two nodes of a processor each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(ROOT))  # of which the nodes' processes have all
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.mark.engines
def test_one_command_trains_on_two_nodes_and_comes_to_the_bits_of_one_machine(
    command_line, nodes, grid, alone: Path, same_bits, own_weightings, tmp_path: Path
):
    on = ["cluster=ray", "cluster.workers=2"]
    with command_line.started([*grid, *on], tmp_path, RAY_ADDRESS=nodes.address) as process:
        assert until(lambda: list(tmp_path.glob("called-*")), process)
        first = next(iter(tmp_path.glob("called-*")))
        assert until(lambda: first.stat().st_size >= 5, process)
        os.kill(int(first.name.partition("-")[2]), signal.SIGKILL)
        out, err = process.communicate(timeout=HANG)
    assert process.returncode == 0, err
    assert "failed" not in out
    same_bits(tmp_path / "results" / "s", alone)
    told = [log.read_text() for log in (tmp_path / "results" / "s").glob("logs/*.log")]
    assert len([log for log in told if re.search("trains from update", log)]) == 2


@pytest.mark.engines
def test_a_node_that_is_lost_leaves_the_study_to_the_other(
    command_line, nodes, grid, alone: Path, same_bits, own_weightings, tmp_path: Path
):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(ROOT))
        lost = nodes.add_node(num_cpus=1)
    with command_line.started(
        [*grid, "cluster=ray", "cluster.workers=3"], tmp_path, RAY_ADDRESS=nodes.address
    ) as process:
        assert until(lambda: list(tmp_path.glob("called-*")), process)
        nodes.remove_node(lost, allow_graceful=False)
        out, err = process.communicate(timeout=HANG)
    assert process.returncode == 0, err
    assert "failed" not in out
    same_bits(tmp_path / "results" / "s", alone)


def test_a_cluster_that_is_started_for_it_trains_a_study(
    command_line, grid, alone: Path, same_bits, own_weightings, tmp_path: Path
):
    pytest.importorskip("ray")
    done = command_line([*grid, "cluster=ray", "cluster.workers=2"], tmp_path)
    assert done.returncode == 0, done.stderr
    same_bits(tmp_path / "results" / "s", alone)
