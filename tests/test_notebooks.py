"""The notebooks run from top to bottom, end in a figure and a sentence, and are stored without outputs."""

import ast
import io
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from pglab.studies.worker import Worker

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "analysis").glob("*.ipynb"))

ASKED = '"seeds=10", "updates=25"'

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def code_of(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_there_is_a_first_notebook():
    assert NOTEBOOKS[0].name == "01_first_study.ipynb"


@each
def test_a_notebook_is_valid_and_has_no_outputs(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


@each
def test_a_notebook_imports_nothing_but_what_users_are_given(path: Path):
    for node in ast.walk(ast.parse("\n".join(code_of(path)))):
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names} <= {"pglab"}
        elif isinstance(node, ast.ImportFrom):
            assert str(node.module).startswith("pglab.results")


@each
def test_the_code_of_a_notebook_runs_and_its_last_line_is_the_verdict(path, study, tiny, tmp_path, monkeypatch):
    """In this process, on the small study, of which nothing is left to train."""
    shutil.copytree(study, tmp_path / "results" / "first_study")
    monkeypatch.chdir(tmp_path)
    code, names = "\n".join(code_of(path)), {}
    assert ASKED in code
    code = code.replace(ASKED, f'"seeds=3", *{tiny}')
    *statements, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(statements, []), path.name, "exec"), names)
    verdict = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
    assert "3 paired seeds" in verdict
    assert (tmp_path / "results/first_study/seed_scores.pdf").stat().st_size > 1000


def test_a_worker_starts_where_standard_error_has_no_descriptor_as_in_a_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    worker = Worker()
    assert worker.alive
    worker.stop()


@pytest.mark.slow
@each
def test_a_notebook_runs_in_jupyter_and_shows_its_figures(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))  # no kernel that the user has installed
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import sys\nprint(sys.executable, pglab.__file__)"))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    *cells, asked = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert asked.outputs[0]["text"].split() == [sys.executable, str(ROOT / "pglab/__init__.py")]
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    figure, verdict = cells[-2].outputs[0].data, cells[-1].outputs[0].data
    assert "image/png" in figure
    assert "10 paired seeds" in verdict["text/plain"]
    curves = next(cell for cell in cells if "learning_curves" in cell.source and "import" not in cell.source)
    assert "image/png" in curves.outputs[0].data
