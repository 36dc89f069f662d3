"""Arms that are one program are trained once, and said to be one."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pglab.build import simplest
from pglab.cli import compose_runs
from pglab.results import load, load_evaluation, load_twins, main_effects, scores
from pglab.results.one_program import told_of
from pglab.settings import used
from pglab.store.folder import arms_in
from pglab.studies import worker
from pglab.studies.known_twins import told_twins
from pglab.studies.messages import Check
from pglab.studies.plan import Plan, make_plan


def planned(*overrides: str, knowing: bool = False) -> Plan:
    """The plan of a sweep, without or with the programs of its arms."""
    plan = make_plan(composed := compose_runs(overrides))
    return make_plan(composed, "", {arm.name: used(simplest(arm.identity)) for arm in plan.asked}) if knowing else plan


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def test_a_baseline_that_nobody_uses_makes_no_other_arm():
    plan = planned("weighting=total,rtg,gae", "baseline=none,value", "seeds=3")
    assert [one.name for one in plan.arms] == [
        "baseline=none,weighting=total",
        "baseline=none,weighting=rtg",
        "baseline=none,weighting=gae",
        "baseline=value,weighting=gae",
    ]
    assert plan.missing == 12
    assert told_twins(plan) == (
        "baseline=none and baseline=value are one program under weighting=total and weighting=rtg: "
        "trained once, under the name that comes first"
    )


@pytest.mark.parametrize(
    ("sweep", "names"),
    [
        (("weighting=rtg_exponent_slip,rtg",), ["weighting=rtg"]),
        (("weighting=rtg_exponent_slip,rtg", "gamma=0.9"), ["weighting=rtg_exponent_slip", "weighting=rtg"]),
        (("weighting=baseline,rtg,total", "baseline=none"), ["weighting=rtg", "weighting=total"]),
        (
            ("weighting=baseline", "weighting.returns=rtg,total", "baseline=none,constant"),
            ["returns=rtg", "returns=total"],
        ),
        (("weighting=gae", "weighting.lam=0.5,1.0", "baseline=none,constant"), ["lam=0.5", "lam=1.0"]),
        (
            ("weighting=baseline,rtg", "baseline=constant", "baseline.value=2.0"),
            ["weighting=baseline", "weighting=rtg"],
        ),
    ],
    ids=str,
)
def test_parts_that_come_to_the_same_in_their_simplest_form_make_one_arm(sweep: tuple[str, ...], names: list[str]):
    plan = planned(*sweep, knowing=True)
    assert len(plan.arms) == len(names)
    assert all(name in one.name for name, one in zip(names, plan.arms, strict=True))


def test_equal_configurations_under_two_names_are_one_arm_with_the_seeds_of_both():
    (one,) = planned("gamma=1,1.0", "seed=0,1").arms
    assert one.seeds == (0, 1)
    assert [twin.name for twin in one.twins] == ["gamma=1.0"]


SWEEP = ("weighting=rtg_exponent_slip,rtg", "baseline=none,value", "seeds=2", "study=twins")


@pytest.fixture(scope="module")
def trained(command_line, tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A study of one program under four names, and what the command said."""
    folder = tmp_path_factory.mktemp("twins")
    done = command_line(["-m", *SWEEP, *tiny], folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_one_program_is_trained_once_and_said_to_be_one_in_one_line(trained: tuple[Path, str]):
    folder, output = trained
    assert [arm.path.name.rpartition(",")[2] for arm in arms_in(folder / "results" / "twins")] == ["weighting=rtg"]
    assert "Training 2 runs (1 arm, 1 worker)" in output
    assert sum("one program" in line for line in output.splitlines()) == 1


def test_the_study_knows_which_arms_are_one(trained: tuple[Path, str]):
    folder, output = trained
    study = folder / "results" / "twins"
    (arm,) = arms_in(study)
    record = arm.record()
    assert record is not None
    line = told_of([record])
    assert line is not None
    assert line.removesuffix("trained once, under the name that comes first") in " ".join(output.split())
    twins = load_twins(study)
    assert twins["weighting"].tolist() == ["rtg_exponent_slip", "rtg_exponent_slip", "rtg"]
    assert sorted(twins["baseline"]) == ["none", "value", "value"]
    assert set(twins["arm"]) == set(load(study)["arm"])


def test_a_grid_with_twins_has_no_gap(command_line, tiny, tmp_path: Path):
    asked = ["-m", "weighting=rtg,baseline", "baseline=none,leave_one_out", "seeds=2", "study=grid"]
    done = command_line([*asked, *tiny], tmp_path)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "results" / "grid"
    runs = scores(load(study), load_evaluation(study))
    table = main_effects(runs, twins=load_twins(study))
    assert table["factor"].tolist() == ["weighting", "baseline", "weighting × baseline"]
    assert np.isfinite(table["effect"]).all()


@pytest.mark.parametrize("asked", [SWEEP, ("weighting=rtg", "baseline=value", "seeds=2", "study=twins")], ids=str)
def test_neither_the_same_command_nor_one_for_a_twin_trains_again(command_line, tiny, trained, asked):
    folder, _ = trained
    done = command_line(["-m", *asked, *tiny], folder)
    assert "Finished before and kept as they are: 2 of 2 runs." in done.stdout
    assert "one program" in done.stdout
    assert len(arms_in(folder / "results" / "twins")) == 1


def test_further_seeds_of_a_twin_join_the_arm_that_is_stored_as_it_is(command_line, tiny, trained):
    folder, _ = trained
    (arm,) = arms_in(folder / "results" / "twins")
    before = arm.record()
    done = command_line(["weighting=rtg", "baseline=value", "seed=5", "study=twins", *tiny], folder)
    assert "Training 1 run " in done.stdout, done.stderr
    (arm,) = arms_in(folder / "results" / "twins")
    after = arm.record()
    assert before is not None
    assert after is not None
    assert set(after.runs) - set(before.runs) == {5}
    assert (after.choices, after.given, after.identity) == (before.choices, before.given, before.identity)


@pytest.mark.slow
def test_a_plan_says_what_is_one_program_and_that_nothing_is_left(command_line, tiny, trained):
    folder, _ = trained
    done = command_line(["-m", *SWEEP, *tiny, "plan=true"], folder)
    assert "0 runs" in done.stdout
    assert "one program" in done.stdout


OLD = ("weighting=baseline", "baseline=none", "seeds=2", "study=old")


@pytest.fixture
def earlier(command_line, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose one arm is not in its simplest form, as a version trained it that knew no twins."""
    done = command_line([*OLD, *tiny], tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.slow
def test_a_stored_arm_that_is_not_in_its_simplest_form_is_found_for_its_twin(command_line, tiny, earlier: Path):
    planned = command_line(["weighting=rtg", "seeds=3", "study=old", *tiny, "plan=true"], earlier)
    assert "one program" in planned.stdout
    done = command_line(["weighting=rtg", "seeds=3", "study=old", *tiny], earlier)
    assert "Training 1 run " in done.stdout, done.stderr
    assert "Finished before and kept as they are: 2 of 3 runs." in done.stdout
    (arm,) = arms_in(earlier / "results" / "old")
    assert "weighting=baseline" in arm.path.name
    here = load(earlier / "results" / "old")
    assert command_line(["weighting=rtg", "seeds=3", "study=new", *tiny], earlier).returncode == 0
    there = load(earlier / "results" / "new")
    numbers = ["seed", "update", "return_mean", "loss", "grad_norm"]
    assert here[numbers].equals(there[numbers])


@pytest.mark.slow
def test_a_stored_arm_that_was_computed_otherwise_is_refused_with_what_it_is(command_line, tiny, earlier: Path):
    (arm,) = arms_in(earlier / "results" / "old")
    about = json.loads((arm.path / "arm.json").read_text())
    about["provenance"][-1]["torch"] = "2.0.0"
    del about["checksum"]
    (arm.path / "arm.json").write_text(json.dumps(about))
    done = command_line(["weighting=rtg", "seeds=3", "study=old", *tiny], earlier)
    assert done.returncode == 2
    assert ", which is the same program as batch" in done.stderr
    assert "torch is 2.0.0 there" in done.stderr


def test_of_a_stored_arm_nothing_is_built_that_the_command_does_not_build_itself(tmp_path: Path):
    (tmp_path / "stranger.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Part:\n    simplest = None\n")
    (composed,) = compose_runs(["weighting=rtg"])
    identity = {"weighting": {"_target_": "stranger.Part"}}
    sys.path.insert(0, str(tmp_path))
    try:
        checked = worker._check(Check((composed.settings,), (identity,)))
        assert checked.programs[-1] == used(identity)
    finally:
        sys.path.remove(str(tmp_path))
    assert not (tmp_path / "ran").exists()
