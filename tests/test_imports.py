"""Imports point one way, and what must start fast stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pglab

PACKAGE = Path(pglab.__file__).resolve().parent
FILES = sorted(PACKAGE.rglob("*.py"))
MATHEMATICS = ("algorithms", "models", "envs")
COMMAND = ("cli", "errors", "studies")
MAY_IMPORT = {  # of pglab, besides itself; None: anything
    "errors": (),
    "settings": (),
    "processes": (),
    "bits": (),  # what keeps a run's bits needs nothing but torch
    "algorithms": (*MATHEMATICS, "bits"),
    "models": (*MATHEMATICS, "bits", "native"),
    "native": (),  # arrays in, arrays out
    "envs": (*MATHEMATICS, "native"),
    "exact": (*MATHEMATICS, "bits"),
    "testing": (*MATHEMATICS, "exact", "native"),
    "training": (*MATHEMATICS, "bits", "exact", "native"),
    "build": (*MATHEMATICS, "errors", "training"),
    "trust": ("build", "errors", "training"),
    "watching": (*MATHEMATICS, "errors", "training"),
    "store": ("errors",),
    "results": ("errors", "settings", "store", "shown"),
    "report": ("errors", "results", "settings", "shell", "start", "store", "shown"),
    "studies": (
        "build",
        "errors",
        "output",
        "processes",
        "results",
        "settings",
        "store",
        "tracking",
        "training",
        "trust",
        "watching",
        "shown",
    ),
    "tracking": ("errors", "processes", "report", "results", "settings", "shell", "store", "shown"),
    "shell": ("errors", "output", "shown"),
    "overrides": ("errors",),
    "arguments": ("errors", "overrides", "shell"),
    "compose": ("errors", "overrides", "studies"),
    "reference": ("compose",),
    "manual": ("compose", "errors", "reference"),
    "sweep": ("compose", "errors", "overrides", "studies"),
    "cli": ("arguments", "compose", "errors", "manual", "overrides", "shell", "studies", "sweep"),
    "confirm": ("cli", "errors", "results", "settings", "shell", "start", "store", "studies", "sweep", "shown"),
    "search": ("errors", "store"),
    "tune": (
        "cli",
        "confirm",
        "errors",
        "results",
        "search",
        "settings",
        "shell",
        "start",
        "store",
        "studies",
        "sweep",
    ),
    "worker": ("errors", "shell", "start", "store", "studies"),
    "study": ("arguments", "cli", "errors", "results", "shell", "start", "store", "studies", "shown"),
    "verify": (
        *MATHEMATICS,
        *COMMAND,
        "build",
        "exact",
        "processes",
        "results",
        "settings",
        "start",
        "training",
        "shown",
    ),
    "play": (*MATHEMATICS, "errors", "results", "shell", "start", "store", "trust", "watching", "shown"),
    "start": (),
    "shown": (),
    "output": (),
    "mirror": ("start",),
    "benchmark": None,
    "measuring": None,
    "textbook": (),
    "__main__": ("start",),
    "__init__": ("cli", "results"),
}
KNOWS_HYDRA = {"cli", "compose", "overrides", "sweep", "build"}


def part_of(file: Path) -> str:
    """The top-level module or subpackage of pglab that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, by its full name."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def test_the_parser_finds_imports_inside_functions_too():
    assert "pglab.build.check_components" in imported(PACKAGE / "studies" / "worker.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path):
    part = part_of(file)
    assert part in MAY_IMPORT, f"say in this test what {part} may import"
    if MAY_IMPORT[part] is None:
        return
    others = {module.split(".")[1] for module in imported(file) if module.startswith("pglab.")} - {part}
    assert others <= set(MAY_IMPORT[part])


def test_only_the_command_line_composition_and_building_know_hydra():
    knowing = {part_of(file) for file in FILES for module in imported(file) if module.split(".")[0] == "hydra"}
    assert knowing == KNOWS_HYDRA


def modules_after(code: str) -> set[str]:
    """What a fresh interpreter has loaded after some code."""
    program = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_store_imports_neither_torch_nor_anything_that_trains_or_judges():
    loaded = modules_after("import pglab.store.writer, pglab.store.folder")
    assert not {"torch", "hydra", "wandb", "gymnasium", "scipy", "pglab.results", "pglab.studies"} & loaded


def test_no_file_is_long():
    lengths = {str(file.relative_to(PACKAGE)): len(file.read_text().splitlines()) for file in FILES}
    assert {file: lines for file, lines in lengths.items() if lines > 300} == {}


def test_reading_results_imports_neither_torch_nor_hydra_nor_wandb():
    loaded = modules_after("import pglab, pglab.results")
    assert "pglab.results.load" in loaded
    assert not {"torch", "hydra", "wandb", "gymnasium", "scipy.stats", "statsmodels"} & loaded


def test_a_report_imports_neither_torch_nor_hydra_nor_wandb():
    assert not {"torch", "hydra", "wandb", "gymnasium"} & modules_after("import pglab.report.command")


def test_results_can_be_read_as_the_final_line_of_a_study_says():
    assert "pglab.results.load" in modules_after("import pglab\nassert callable(pglab.results.load)")


def test_planning_a_study_imports_neither_torch_nor_wandb(tmp_path: Path):
    plan = f"make_plan(compose_runs(['weighting=total,rtg', 'results_dir={tmp_path}']))"
    loaded = modules_after(f"from pglab.cli import compose_runs\nfrom pglab.studies.train import make_plan\n{plan}")
    assert "pglab.studies.train" in loaded
    assert not {"torch", "wandb", "gymnasium"} & loaded


def test_help_imports_neither_torch_nor_what_reads_results():
    loaded = modules_after("import pglab.cli, pglab.manual")
    assert "pglab.manual" in loaded
    assert not {"torch", "wandb", "gymnasium", "pandas", "scipy", "pglab.results", "pglab.studies.train"} & loaded


def test_looking_at_a_study_imports_neither_torch_nor_hydra_nor_wandb():
    loaded = modules_after("import pglab.study\nassert pglab.study.main(['nowhere']) == 2")
    assert "pglab.studies.overview" in loaded
    assert not {"torch", "hydra", "wandb", "gymnasium"} & loaded


def test_uploading_a_study_loads_what_draws_its_summary_only_when_there_is_one_to_draw():
    loaded = modules_after("import pglab.tracking.command")
    assert "pglab.tracking.summary_run" in loaded
    assert not {"torch", "hydra", "wandb", "matplotlib", "seaborn", "statsmodels", "pglab.report.page"} & loaded
