"""Each classic fault, put in on purpose, makes verify say *wrong* and a test fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pglab
from tests.verify.mutations import MUTATIONS
from tests.waiting import HANG

ROOT = Path(pglab.__file__).resolve().parent.parent
QUICK = ("seeds=1", "effort.batches=1500", "effort.cosine_episodes=[]", "workers=1")


EVERY_TIME = ("reward-to-go shifted by one step",)
CHOSEN = [pytest.param(name, marks=() if name in EVERY_TIME else pytest.mark.slow) for name in MUTATIONS]


@pytest.fixture(scope="module", params=CHOSEN, ids=lambda name: name.replace(" ", "-"))
def mutant(request, tmp_path_factory):
    """A fault, and the folder of a copy of the project that has it."""
    mutation = MUTATIONS[request.param]
    folder = tmp_path_factory.mktemp("mutant")
    mutation.apply(ROOT, folder)
    return mutation, folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=HANG
    )


def test_verify_says_wrong(mutant):
    mutation, folder = mutant
    done = run(folder, "pglab.verify", *mutation.verify, *QUICK)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\nwrong: " in done.stdout


@pytest.mark.slow
def test_a_test_fails(mutant):
    mutation, folder = mutant
    done = run(folder, "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", mutation.test)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "= FAILURES =" in done.stdout
