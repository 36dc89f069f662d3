"""Versions and the code that trains are the provenance of an arm, and differences are said by name."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pglab
from pglab.cli import compose_runs
from pglab.studies import provenance as module
from pglab.studies.chip import NAMES
from pglab.studies.provenance import changed, provenance

VERSIONS = {"python", "torch", "numpy", "gymnasium", *NAMES}
PACKAGE = Path(pglab.__file__).resolve().parent
HASH = r"[0-9a-f]{16}"


def test_an_arm_of_built_in_components_has_versions_and_one_hash():
    (composed,) = compose_runs([])
    found = provenance(composed.settings)
    assert found["python"] == ".".join(sys.version.split(".")[:2])
    for name in ("torch", "numpy", "gymnasium"):
        assert found[name] == importlib.metadata.version(name)
    assert re.fullmatch(HASH, found["pglab"])
    assert found.keys() == VERSIONS | {"pglab"}


def test_the_hash_of_pglab_is_of_what_trains_and_of_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for file in PACKAGE.rglob("*.py"):
        copy = tmp_path / file.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    trusted = provenance({})
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    assert provenance({}) == trusted

    def moves(name: str) -> bool:
        before = provenance({})
        with (tmp_path / name).open("a") as file:
            file.write("\n")
        return changed(before, provenance({})) == ["pglab's own code has changed"]

    trains = ["algorithms/returns.py", "models/networks.py", "envs/cartpole.py", "training/rollout.py", "build.py"]
    assert all(moves(name) for name in [*trains, "exact/stacked.py"])
    others = [
        "studies/console.py",
        "results/load.py",
        "verify/report.py",
        "testing/bias.py",
        "cli.py",
        "exact/moments.py",
    ]
    assert not any(moves(name) for name in others)


def test_the_hash_of_pglab_covers_all_that_its_trainer_imports():
    """Followed from build.py over every import, errors (which compute nothing) aside."""
    reached: set[Path] = set()
    waiting = [PACKAGE / "build.py"]
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        reached.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pglab."):
                base = PACKAGE.parent.joinpath(*str(node.module).split("."))
                candidates = [base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)]
                waiting += [candidate for candidate in candidates if candidate.exists()]
    names = {file.relative_to(PACKAGE).as_posix() for file in reached} - {"errors.py"}
    assert "exact/stacked.py" in names
    exact = {f"exact/{name}" for name in module.COMPUTES_EXACTLY}
    assert {name for name in names if name.split("/")[0] not in module.COMPUTES} == exact - {"exact/__init__.py"}


def test_differences_are_said_by_name():
    there = {
        "python": "3.11",
        "torch": "2.12.0",
        "pglab": "0" * 16,
        "old.py": "1" * 16,
        "same.py": "2" * 16,
        "lib": "1",
    }
    here = {"torch": "2.13.0", "python": "3.11", "pglab": "a" * 16, "helper.py": "1" * 16, "same.py": "2" * 16}
    assert changed(there, here) == [
        "helper.py is new",
        "lib is gone",
        "old.py is gone",
        "pglab's own code has changed",
        "torch is 2.12.0 there and 2.13.0 here",
    ]
    assert changed(here, dict(reversed(here.items()))) == []


def test_asking_is_light(tmp_path: Path):
    """No torch, no Hydra."""
    (tmp_path / "near.py").write_text("import torch, numpy, helper")
    (tmp_path / "helper.py").write_text("")
    program = """
import sys
from pglab.studies.provenance import provenance
settings = {"weighting": {"_target_": "near.Near"}, "optimizer": {"_target_": "torch.optim.Adam"}}
provenance(settings)
print(*sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PACKAGE.parent), str(tmp_path)))}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert not {"torch", "hydra", "omegaconf", "gymnasium", "wandb", "near", "helper"} & set(loaded)
