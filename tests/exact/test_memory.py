"""The exact moments of a problem with a long horizon fit into memory."""

import subprocess
import sys
from pathlib import Path

import pytest

import pglab

GIGABYTES = """
from pglab.envs.problems import toy_text
from pglab.exact.estimators import best_baseline, gae, leave_one_out, reward_to_go, total_return
from tests.exact.exact_cases import case_on

tables = case_on(toy_text("CliffWalking-v1", horizon=200), 0).tables
for moments in (
    total_return(*tables, 0.9, 1.0),
    reward_to_go(*tables, 0.9, 1.0, True),
    gae(*tables, 0.9, 0.95, 1.0, True),
    leave_one_out(*tables, 0.9, 4),
):
    assert moments.covariance.shape == (192, 192) and moments.variance > 0
assert best_baseline(*tables, 0.9).shape == (48,)
peak, = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak) / 2**20)  # getrusage would count the process that began this one
"""


@pytest.mark.slow
def test_the_moments_on_cliff_walking_stay_under_two_gigabytes():
    root = Path(pglab.__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", GIGABYTES], cwd=root, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2.0
