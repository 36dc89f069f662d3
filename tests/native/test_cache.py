"""Code that processes have compiled apart, for different worlds, is never taken for one another."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

PLAY = """
import sys
from tests.native.cases import CASES, NATIVE
for name in sys.argv[1:]:
    batch = CASES[name].play(NATIVE, [3, 1])
    print(name, batch.length.tolist(), float(batch.obs.sum()))
"""


@pytest.mark.slow
def test_what_several_processes_have_kept_can_be_loaded_by_one(tmp_path):
    names = ["cartpole", "pendulum", "corridor", "mountain car"]
    variables = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def played(*names):
        done = subprocess.run(
            [sys.executable, "-c", PLAY, *names], env=variables, cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    apart = [line for name in names for line in played(name)]
    assert played(*names) == apart
    assert played(*names[::-1]) == apart[::-1]
