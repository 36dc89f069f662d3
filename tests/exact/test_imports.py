"""Imports point one way: exact stands on algorithms, models and envs, and none of them on it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pglab"


def imported(folder):
    """Second names of every `pglab.name` that the files of a folder import."""
    names = set()
    for file in (PACKAGE / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names |= {module.split(".")[1] for module in modules if module.startswith("pglab.")}
    return names


def test_exact_needs_nothing_of_training_studies_or_the_command_line():
    assert imported("exact") == {"exact", "algorithms", "models", "envs"}


@pytest.mark.parametrize("folder", ["algorithms", "models", "envs"])
def test_what_exact_stands_on_does_not_import_it(folder):
    assert imported(folder) <= {"algorithms", "models", "envs"}
