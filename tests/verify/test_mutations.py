"""Each classic fault, put in on purpose, makes a test fail, and verify say *wrong* where it judges what is broken."""

import ast
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
JUDGED = [
    pytest.param(name, marks=() if name in EVERY_TIME else pytest.mark.slow)
    for name, mutation in MUTATIONS.items()
    if mutation.verify
]


def of_name(name):
    return name.replace(" ", "-")


@pytest.mark.parametrize("name", MUTATIONS, ids=of_name)
def test_the_package_still_has_what_a_fault_changes(name):
    for text in MUTATIONS[name].faulty(ROOT).values():
        ast.parse(text)


@pytest.fixture(scope="module")
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


@pytest.mark.parametrize("mutant", JUDGED, indirect=True, ids=of_name)
def test_verify_says_wrong(mutant):
    mutation, folder = mutant
    done = run(folder, "pglab.verify", *mutation.verify, *QUICK)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\nwrong: " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTATIONS, indirect=True, ids=of_name)
def test_a_test_fails(mutant):
    mutation, folder = mutant
    done = run(folder, "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", mutation.test)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "= FAILURES =" in done.stdout
