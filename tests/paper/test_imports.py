"""What the figures of the paper are made with: what users are given, and the exact side where a figure is exact."""

import ast
from pathlib import Path

import pytest

import analysis.paper

PAPER = Path(analysis.paper.__file__).parent
EXACT = ("pglab.algorithms", "pglab.envs", "pglab.exact", "pglab.models.networks")
STORED = ("pglab.errors", "pglab.settings", "pglab.store")
COMMAND_LINE = ("pglab.errors", "pglab.shell")
READ_STORED = ("stored", "manifest")  # which arms a study asks for, and what computed them
COLOURS_BY_PLACE = (
    "code_level",
    "continuous_control",
    "pong",
    "ppo_details",
    "same_policy",
)  # of no choice: tasks, actions
ARE_EXACT = ("exact_variance", "group_estimators", "loss_value", "same_policy")


@pytest.mark.parametrize("file", sorted(PAPER.rglob("*.py")), ids=lambda file: str(file.relative_to(PAPER)))
def test_only_figures_with_exact_values_import_more_than_results(file):
    allowed = ("pglab.results",)
    allowed += STORED if file.stem in READ_STORED else ()
    allowed += COMMAND_LINE if file.stem == "command" else ()
    allowed += ("pglab.start",) if file.stem == "__main__" else ()
    allowed += EXACT if file.stem in ARE_EXACT else ()
    for node in ast.walk(ast.parse(file.read_text())):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            ours = name.split(".")[0] == "pglab"
            assert not ours or name == "pglab" or name.startswith(allowed), name


@pytest.mark.parametrize("file", sorted((PAPER / "figures").glob("*.py")), ids=lambda file: file.stem)
def test_a_choice_has_the_colour_that_it_has_in_every_figure(file):
    imported = {
        name.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert "colours" not in imported or file.stem in COLOURS_BY_PLACE
