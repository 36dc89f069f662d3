"""The notebooks run from top to bottom, end in a figure and a sentence, and are stored without outputs."""

import ast
import io
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient

from pglab.settings import identity
from pglab.studies.pool import LocalPool
from pglab.sweep import compose_runs
from tests.waiting import HANG

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "analysis").glob("*.ipynb"))

GIVEN = ("results", "exact", "testing", "algorithms", "envs", "models")  # of pglab, beside pglab itself
TOOLS = {"dataclasses", "itertools", "matplotlib.pyplot", "numpy", "pandas", "pathlib", "torch"}
ASKED = re.compile(r'"seeds=(\d+)", "updates=\d+"')
SAID = {  # what a notebook prints, and its text relies on
    "01_first_study.ipynb": [],
    "02_is_my_estimator_right.ipynb": [
        "MyRewardToGo is biased",
        "corridor: ∇J = [0.008], mean of the estimate = [0.008]",
        "MyMendedRewardToGo keeps the contract",
    ],
    "03_softmax_or_sigmoid.ipynb": [
        "P(change) by the softmax [0.6682 0.3318], by the sigmoid [0.6682 0.3318]",
        "ActionBlindSigmoid: log_prob ignores the action",
        "10; to toss a coin is worth 10, and the best policy 20.",
        "The same final return in 3 of 3 seeds.",
    ],
    "04_which_baseline.ipynb": ["too few seeds to judge"],
    "05_reinforce_to_ppo.ipynb": [],
    "06_which_grpo.ipynb": [
        "others' mean (RLOO)                1.0000  1.0000",
        "group's mean (Dr. GRPO)            1.0000  0.7500",
        "… divided by the deviation (GRPO)  1.0000  1.7049",
        "GRPO, mean over tokens             0.9994  0.7611",
        "GRPO, mean over each sequence      0.9404  0.6184",
        "0.05    1.0  1.0582  1.3327  1.6892",
        "0.1756 on average, in place of 0.1",
    ],
    "07_continuous_actions.ipynb": [
        "the best possible J is -14.7",
        "gaussian: mean 0.72, 14% of the actions at a bound",
        "clip=action: E[∇log π] = (+0.000, -0.000)",
        "clip=log_prob: E[∇log π] = (-0.062, -0.226)",
    ],
}

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
LONG = {path.name for path in NOTEBOOKS if path.name[:2] in ("03", "04", "05", "07")}  # train many arms
short_ones = pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow if path.name in LONG else ()) for path in NOTEBOOKS],
    ids=lambda path: path.name,
)


def code_of(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def run(code: str, names: dict) -> object:
    """The value of the last line, which is an expression."""
    *statements, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(statements, []), "notebook", "exec"), names)
    return eval(compile(ast.Expression(last.value), "notebook", "eval"), names)


def test_the_notebooks_are_those_that_are_known_here_and_named_in_their_readme():
    assert [path.name for path in NOTEBOOKS] == [*SAID]
    readme = (ROOT / "analysis" / "README.md").read_text()
    assert all(path.stem in readme for path in NOTEBOOKS)


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
        names = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            package, *parts = name.split(".")
            assert name in TOOLS or (package == "pglab" and (not parts or parts[0] in GIVEN)), name


@short_ones
def test_the_code_of_a_notebook_runs_and_ends_in_a_figure_and_a_sentence(
    path, study, tiny, tmp_path, monkeypatch, capsys
):
    """In this process, on small studies: of that of the first notebook nothing is left to train."""
    shutil.copytree(study, tmp_path / "results" / "first_study")
    monkeypatch.chdir(tmp_path)
    first = path == NOTEBOOKS[0]
    shorter = f'"seeds=3", *{tiny if first else ("updates=2",)}'
    *cells, figure, sentence = [ASKED.sub(shorter, cell) for cell in code_of(path)]
    names = {}
    exec(compile("\n".join(cells), path.name, "exec"), names)
    assert isinstance(run(figure, names), Figure)
    said = run(sentence, names)
    assert isinstance(said, str)
    assert ("3 paired seeds" in said) == (shorter in "\n".join(cells))
    printed = capsys.readouterr().out
    assert [words for words in SAID[path.name] if words not in printed] == []
    if first:
        assert (tmp_path / "results/first_study/seed_scores.pdf").stat().st_size > 1000


def test_the_exact_table_of_baselines_is_what_the_text_says_of_it():
    names = {}
    imports, table, *_ = code_of(ROOT / "analysis/04_which_baseline.ipynb")
    exec(imports + "\n" + table, names)
    exact = names["exact"]
    assert dict(exact["mean along ∇J"]) == pytest.approx(
        {"none": 1, "batch_mean": 3 / 4, "leave_one_out": 1, "value": 1}
    )
    noise = exact["noise / signal"]
    assert noise["batch_mean"] == pytest.approx(noise["leave_one_out"])
    assert noise["value"] < noise["leave_one_out"] / 2 < noise["none"] / 3


def test_the_highest_rung_of_the_ladder_is_ppo_as_cleanrl_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, rungs, *_ = code_of(ROOT / "analysis/05_reinforce_to_ppo.ipynb")
    exec("from pathlib import Path\n" + rungs, names := {})
    highest = list(names["rungs"])[-1]
    ours, theirs = (
        identity(compose_runs([f"experiment={name}", "updates=100"], "ladder")[0].settings)
        for name in (highest, "ppo_cleanrl")
    )
    assert ours == theirs


def test_a_worker_starts_where_standard_error_has_no_descriptor_as_in_a_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    pool = LocalPool(1)
    pool.check([])
    pool.stop()


@pytest.mark.slow
@each
def test_a_notebook_runs_in_jupyter_and_shows_its_figures(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))  # no kernel that the user has installed
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import sys\nimport pglab\nprint(sys.executable, pglab.__file__)"))
    NotebookClient(notebook, timeout=HANG, resources={"metadata": {"path": tmp_path}}).execute()
    *cells, asked = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert asked.outputs[0]["text"].split() == [sys.executable, str(ROOT / "pglab/__init__.py")]
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    figure, sentence = cells[-2].outputs[0].data, cells[-1].outputs[0].data
    assert "image/png" in figure
    *_, seeds = [None, *ASKED.findall("\n".join(code_of(path)))]  # of the last study
    assert seeds is None or f"{seeds} paired seeds" in sentence["text/plain"]
    for cell in cells:
        if "plots.learning_curves(" in cell.source:
            assert "image/png" in cell.outputs[0].data
