"""The README does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pglab.algorithms.losses import Estimator
from pglab.cli import compose_runs
from pglab.results import load
from pglab.studies.plan import make_plan

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "pglab" / "GUIDE.md").read_text()
QUICK = ["updates=2", "batch.steps=200", "evaluation.episodes=3", "logger.mode=disabled"]


def block(language, beginning, page=GUIDE):
    """A page's code block of a language that begins like this."""
    blocks = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return next(code for code in blocks if code.startswith(beginning))


def pglab(folder, *arguments):
    command = [sys.executable, "-m", "pglab", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_weighting_of_ones_own_joins_the_fused_grid_as_shown(tmp_path):
    (tmp_path / "near_sighted.py").write_text(block("python", "from dataclasses"))
    (tmp_path / "my_conf/weighting").mkdir(parents=True)
    (tmp_path / "my_conf/weighting/near_sighted.yaml").write_text(block("yaml", "_target_: near_sighted"))
    command = block("bash", "python -m pglab --config-dir").split()
    ended = pglab(tmp_path, *command[3:], *QUICK)
    assert ended.returncode == 0, ended.stderr
    rows = load(tmp_path / "results")
    assert set(rows["weighting"]) == {"rtg", "near_sighted"}
    assert rows.groupby("arm")["seed"].nunique().tolist() == [3, 3]
    # Both arms begin with the same batch and learn from other weights.
    first = rows[rows["update"] == 1].pivot(index="seed", columns="weighting", values=["return_mean", "loss"])
    assert first["return_mean", "rtg"].tolist() == first["return_mean", "near_sighted"].tolist()
    assert (first["loss", "rtg"] > first["loss", "near_sighted"]).all()


def test_a_confirmation_is_asked_of_the_study_that_the_command_above_it_fills():
    grid, confirmation = block("bash", "python -m pglab -m weighting=rtg,total").splitlines()
    plan = make_plan(compose_runs(grid.split()[4:]))
    assert confirmation.split()[3] == str(plan.folder)
    assert len(plan.arms) == 6


def test_arms_with_settings_of_their_own_join_a_grid_as_experiments(tmp_path):
    (tmp_path / "my_conf/experiment").mkdir(parents=True)
    (tmp_path / "my_conf/experiment/slow_rtg.yaml").write_text(block("yaml", "# @package _global_"))
    (command,) = re.findall(r"`python -m pglab --config-dir my_conf -m (experiment=[^`]*)`", GUIDE)
    own, other = make_plan(compose_runs(command.split(), tmp_path / "my_conf")).arms
    assert (own.settings["optimizer"]["lr"], own.settings["batch"]["steps"]) == (0.003, 20000)
    assert [arm.name for arm in (own, other)] == ["experiment=slow_rtg", "experiment=ppo"]
    assert own.settings["env"] == other.settings["env"]  # one problem, so that they compare
    assert len(own.seeds) == len(other.seeds) == 5


def test_the_weighting_of_ones_own_passes_its_test_as_shown_and_fails_without_its_bias(tmp_path):
    weighting = block("python", "from dataclasses")
    (tmp_path / "test_near_sighted.py").write_text(block("python", "from near_sighted"))

    def passed(code):
        (tmp_path / "near_sighted.py").write_text(code)
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    as_shown, undeclared = passed(weighting), passed(re.sub("    bias = .*\n", "", weighting))
    assert "1 passed" in as_shown.stdout, as_shown.stdout
    assert "NearSighted is biased" in undeclared.stdout, undeclared.stdout


PARTS = {
    "head": (
        """
        from dataclasses import dataclass
        from pglab.algorithms.heads import Softmax

        @dataclass(frozen=True)
        class Cooled:
            temperature: float

            def width(self, actions):
                return actions.size

            def sample(self, logits, uniform):
                return Softmax().sample(logits / self.temperature, uniform)

            def log_prob(self, logits, action):
                return Softmax().log_prob(logits / self.temperature, action)

            def entropy(self, logits):
                return Softmax().entropy(logits / self.temperature)
        """,
        "_target_: mine.Cooled\ntemperature: 2.0\n",
        ["head=softmax,mine"],
    ),
    "baseline": (
        """
        from dataclasses import dataclass

        @dataclass(frozen=True)
        class Half:
            def __call__(self, batch, returns):
                return 0.5 * returns[..., :1].mean(-2, keepdim=True).expand_as(returns)
        """,
        "_target_: mine.Half\n",
        ["weighting=baseline", "baseline=none,mine"],
    ),
    "env": (
        """
        import torch
        from pglab.envs.world import Box, Step

        class Walk:
            observation, actions, horizon, reset_draws, step_draws = Box(1), 2, 50, 1, 0

            def reset(self, uniform):
                return (uniform[..., 0] - 0.5,)

            def observe(self, state):
                return state[0].float()[..., None]

            def step(self, state, action, uniform):
                position = state[0] + action - 0.5
                return Step((position,), -position.abs().float(), position.abs() > 3)
        """,
        "_target_: mine.Walk\n",
        ["env=cartpole,mine"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("group", list(PARTS))
def test_a_part_of_ones_own_trains_beside_the_built_in_ones(tmp_path, group):
    code, yaml, overrides = PARTS[group]
    (tmp_path / "mine.py").write_text(code.replace("\n        ", "\n"))
    (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf" / group / "mine.yaml").write_text(yaml)
    ended = pglab(tmp_path, "--config-dir", "conf", "-m", *overrides, "seeds=2", *QUICK)
    assert ended.returncode == 0, ended.stderr
    rows = load(tmp_path / "results")
    assert "mine" in set(rows[group])
    assert len(rows) == 2 * 2 * 2
    assert rows["status"].eq("finished").all()


def test_the_figure_is_that_of_the_command_beneath_it_and_has_its_score():
    first_screen = README[: README.index("## A tour")]
    figure = re.search(r"!\[.*\]\((.*)\)", first_screen)[1]
    caption, command = re.findall(r"python -m pglab -m ([\w=,]+) seeds?=", first_screen)[:2]
    assert caption == command == "weighting=total,rtg"
    assert "final return (95 % interval" in first_screen
    assert "final return: mean return of the final evaluation" in first_screen
    drawn = (ROOT / figure).read_text()
    assert "total (n = 24)" in drawn
    assert "rtg (n = 24)" in drawn


def test_the_one_bias_that_is_on_by_default_is_named():
    assert Estimator().bias == ("the sum is divided by the batch's steps, whose number is random",)
    (sentence,) = re.findall(r"a key of `estimator`, (.*?)\.\n", GUIDE, re.DOTALL)
    assert "but for one:\n`estimator.reduction=steps`" in sentence
    assert "a declared bias" in sentence


PAGES = [ROOT / "README.md", *(ROOT / name for name in ("conf/README.md", "analysis/README.md", "tests/README.md"))]
PAGES += [ROOT / "pglab" / "README.md", ROOT / "pglab" / "GUIDE.md", ROOT / "analysis" / "exercises" / "README.md"]


def test_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    text = page.read_text()
    titles = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")]
    headings = {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)#]*)(?:#([\w-]+))?\)", text):
        file, anchor = target
        assert (page.parent / file).exists(), file
        if not file:
            assert anchor in headings, anchor


def shown_on_readme(beginning):
    return block("bash", beginning, README)


FIRST, FIGURE, OWN = "(python3 -c", "python -m pglab -m weighting=total,rtg seeds=12", "mkdir -p my_conf"


def as_a_user(commands, folder):
    """Runs commands as README prints them, in a folder with this repository's parts; the output of all."""
    for name in ("analysis", "conf", "pglab", "pyproject.toml", "README.md", "LICENSE"):
        (folder / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "WANDB_MODE": "offline"}
    command = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def without_setup(commands):
    """The commands but for the first line, which makes the environment that tests run in already."""
    setup, rest = commands.split("\n", 1)
    assert setup.endswith("pip install -q -e .")
    return rest


@pytest.mark.slow
def test_the_first_verdict_comes_as_printed(tmp_path):
    said = as_a_user(without_setup(shown_on_readme(FIRST)), tmp_path)
    printed = README.split("```\n arm ")[1].split("```")[0].splitlines()
    here = said[said.index(" arm ") + 5 : said.index("Report:")].splitlines()
    words, numbers = ([line.split() for line in lines if line.strip()] for lines in (printed, here))
    assert without_numbers(words) == without_numbers(numbers)
    for one, other in zip(
        words[2:4], numbers[2:4], strict=True
    ):  # another chip rounds otherwise, and trains other runs
        mean, low, high = (float(other[place]) for place in (2, 3, 5))
        assert low <= float(one[2]) <= high
        assert float(one[3]) <= mean <= float(one[5])


def without_numbers(lines):
    return [[re.sub(r"[\d.,]+", "#", word) for word in line] for line in lines]


@pytest.mark.slow
def test_the_figure_for_a_paper_comes_as_printed(tmp_path):
    as_a_user(shown_on_readme(FIGURE), tmp_path)
    content = (tmp_path / "learning_curves.pdf").read_bytes()
    (width,) = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+)", content)
    assert float(width) == pytest.approx(3.5 * 72, rel=0.02)


@pytest.mark.slow
def test_the_weighting_of_ones_own_is_proven_as_printed(tmp_path):
    said = as_a_user(shown_on_readme(OWN), tmp_path)
    assert "biased as declared: later rewards are left out" in said
    assert "near_sighted" in said.partition("biased as declared")[2]


def test_the_paths_of_readme_compose_and_what_they_write_is_what_guide_explains(tmp_path):
    own = shown_on_readme(OWN)
    assert block("python", "from dataclasses").strip() in own
    for commands in map(shown_on_readme, (FIRST, FIGURE, OWN)):
        for line in re.findall(r"^python -m pglab (?:--config-dir \w+ )?-m (.*)$", commands, re.MULTILINE):
            assert len(compose_runs([part for part in line.split() if "near_sighted" not in part])) > 0


def test_the_test_line_is_what_continuous_integration_runs():
    assert "grep -m1 'python -m pytest$' README.md" in (ROOT / ".ci/run").read_text()
    assert len([line for line in README.splitlines() if line.endswith("python -m pytest")]) == 1


@pytest.mark.slow
def test_a_wheel_carries_the_configuration_and_runs_without_the_source(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(installed)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "pglab", "-m", "weighting=total,rtg", *QUICK]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    where = "import pglab; print(pglab.__file__)"
    shown = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert shown.stdout.startswith(str(installed))
    assert set(load(tmp_path / "results")["weighting"]) == {"total", "rtg"}
