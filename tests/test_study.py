"""`python -m pglab.study` says how far a study is, from its files alone, and changes none of them."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pglab.results.digits import in_bytes
from pglab.store.lock import claimed
from pglab.study import main
from tests.results import scale
from tests.results.edited import begin, checkpoint, edit, rtg
from tests.slow import first


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[dict[str, list[str]], list[str]]]:
    """The table of the command, by its first column, and the lines beneath."""

    def show(*arguments: object) -> tuple[dict[str, list[str]], list[str]]:
        assert main([str(argument) for argument in arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        cells = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines() if line.startswith(" ")]
        notes = [line for line in out.splitlines() if line.strip() and not line.startswith((" ", "Study"))]
        return {name: rest for name, *rest in cells if rest}, notes

    return show


def test_a_finished_study_has_a_line_for_each_arm_and_nothing_to_add(copied_study: Path, shown, contents):
    before = contents(copied_study)
    table, notes = shown(copied_study)
    assert table["arm"] == ["seeds", "updates", "finished", "disk"]
    assert table["rtg"][:3] == table["total"][:3] == ["3", "2", "3"]
    assert table["all arms"][:2] == ["6", "6"]
    assert notes == []
    assert contents(copied_study) == before


def test_the_size_is_that_of_the_arms_files(copied_study: Path, shown):
    size = sum(path.stat().st_size for path in rtg(copied_study).iterdir())
    table, _ = shown(copied_study)
    assert table["rtg"][-1] == in_bytes(size)


def test_every_seed_is_counted_once_under_what_became_of_it(copied_study: Path, shown):
    arm = rtg(copied_study)
    begin(arm, 3, 4, 5)
    checkpoint(arm, {3: 4, 4: 7})
    diverged = {"status": "diverged", "updates": 1, "asked": 2}
    failed = {"status": "failed", "updates": 0, "asked": 9, "error": "Traceback\n  …\nRuntimeError: my own mistake\n"}
    edit(arm, lambda about: about["runs"].update({"6": diverged, "7": failed, "8": failed}))
    table, notes = shown(copied_study)
    columns = ["seeds", "updates", "finished", "diverged", "unfinished", "missing", "failed", "at update", "disk"]
    assert table["arm"] == columns
    assert table["rtg"][:-1] == ["9", "2 to 9", "3", "1", "2", "1", "2", "4 to 7"]
    assert table["total"][2:8] == ["3", "-", "-", "-", "-", "-"]
    assert notes == [
        "rtg: seeds 7-8 failed: RuntimeError: my own mistake",
        "no seeds 3-8, which other arms have: total",
    ]


def test_runs_are_running_while_the_arm_is_held_and_it_is_said_by_whom(copied_study: Path, shown):
    arm = rtg(copied_study)
    begin(arm, 3, 4)
    checkpoint(arm, {0: 5, 3: 4})  # seed 0 was asked for more updates
    with claimed(arm):
        table, notes = shown(copied_study)
    assert dict(zip(table["arm"], table["rtg"], strict=True)) | {"disk": ""} == {
        "seeds": "5", "updates": "2 to 9", "finished": "2", "running": "3", "at update": "0 to 5", "disk": "",
    }  # fmt: skip
    assert notes[0].startswith(f"rtg: trained now by process {os.getpid()} on ")
    table, notes = shown(copied_study)
    assert dict(zip(table["arm"], table["rtg"], strict=True)) | {"disk": ""} == {
        "seeds": "5", "updates": "2 to 9", "finished": "3", "unfinished": "1", "missing": "1", "at update": "4",
        "disk": "",
    }  # fmt: skip
    assert notes[0] == (
        "rtg: seed 0 stopped at update 5 on the way to more updates; results are from before until the rest is trained"
    )


def test_an_arm_that_was_computed_in_more_than_one_way_says_in_which(copied_study: Path, shown):
    arm = rtg(copied_study)

    def mix(about: dict) -> None:
        about["provenance"].append(about["provenance"][0] | {"torch": "9.9"})
        about["runs"]["2"]["provenance"] = [1]

    edit(arm, mix)
    (note,) = shown(copied_study)[1]
    assert re.fullmatch(r"rtg: computed in 2 ways: seeds 0-1, then seed 2 \(torch is .* there and 9\.9 here\)", note)


def test_a_damaged_arm_is_said_to_be_and_the_others_are_shown(copied_study: Path, shown):
    (rtg(copied_study) / "arm.json").write_text("{")
    table, (note,) = shown(copied_study)
    assert table[rtg(copied_study).name][:3] == ["?", "?", "?"]
    (total,) = (cells for name, cells in table.items() if "weighting=total" in name)
    assert total[:3] == ["3", "2", "3"]
    assert "arm.json is damaged" in note


@pytest.mark.parametrize("name", ["updates.parquet", "evaluation.parquet", "policies.npz"])
@pytest.mark.parametrize("size", [None, 100], ids=["deleted", "truncated"])
def test_a_file_that_load_would_refuse_is_said_to_be_damaged(copied_study: Path, shown, name: str, size: int | None):
    file = rtg(copied_study) / name
    if size is None:
        file.unlink()
    else:
        os.truncate(file, size)
    table, (note,) = shown(copied_study)
    assert table["rtg"][:3] == ["3", "2", "3"]
    assert note.startswith(f"rtg: {file} is {'gone' if size is None else 'damaged'}")


def test_a_damaged_checkpoint_is_said_to_be(copied_study: Path, shown):
    arm = rtg(copied_study)
    begin(arm, 3)
    checkpoint(arm, {3: 2}, "checkpoint.previous.bin")
    (arm / "checkpoint.bin").write_bytes(b"torn")
    table, notes = shown(copied_study)
    assert table["rtg"][-2] == "2"
    assert "checkpoint.bin is damaged" in notes[0]


def test_a_folder_of_several_studies_shows_each(copied_study: Path, capsys: pytest.CaptureFixture[str]):
    rtg(copied_study).rename(copied_study.parent / "moved")
    (copied_study.parent / "other").mkdir()
    (copied_study.parent / "moved").rename(copied_study.parent / "other" / "rtg")
    assert main([str(copied_study.parent)]) == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Study")]
    assert [title.split("/")[-1].strip() for title in titles] == ["other", "small"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere"], "holds no study"),
        (["empty"], "holds no study"),
        (["nowhere", "--plan", "updates=2"], "holds no study"),
        (["results", "--plan", "updates=2"], "--plan is for one study"),
        (["results/small", "--plan", "+gama=1"], "unknown key gama"),
        (["results/small", "--plan", "--config-dir", "nowhere"], "config_dir=nowhere is not a folder"),
        (["results/small", "--config-dir", "nowhere"], "belongs to --plan"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_status_2(
    copied_study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments, named
):
    monkeypatch.chdir(copied_study.parent.parent)
    Path("empty").mkdir()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert named in err
    assert err.count("\n") == 1


def test_a_plan_says_what_the_command_would_do_there_and_writes_nothing(copied_study: Path, shown, tiny, contents):
    before = contents(copied_study.parent)
    begin(rtg(copied_study), 3)
    checkpoint(rtg(copied_study), {3: 1})
    edited = contents(copied_study.parent)
    assert edited != before
    table, notes = shown(copied_study, "--plan", "weighting=rtg,gae", "seeds=5", *tiny)
    assert table["arm"] == ["seeds", "finished", "to go on", "new", "updates", "env steps"]
    assert table["rtg"][:5] == ["5", "3", "1", "1", "3"]
    assert table["gae (baseline=value)"][:5] == ["5", "0", "0", "5", "10"]
    assert notes[0].startswith("Plan for ")
    assert notes[-2].startswith("7 runs, ")
    assert contents(copied_study.parent) == edited


@pytest.mark.slow
def test_a_plan_is_of_a_study_by_any_name_and_with_parts_of_ones_own(
    copied_study: Path, shown, tiny, own_weightings: list[str], monkeypatch: pytest.MonkeyPatch
):
    study = copied_study.rename(copied_study.parent / "a,b 'c'=1")
    monkeypatch.chdir(study)
    folder = study.parent.parent / "conf"
    table, notes = shown(".", "--plan", "weighting=rtg,counts", *tiny, "study=elsewhere", "--config-dir", folder)
    assert str(study) in notes[0]
    assert table["rtg"][:4] == ["1", "1", "0", "0"]
    assert table["counts"][:4] == ["1", "0", "0", "1"]


@pytest.mark.parametrize(
    "sweep", first(1, [["-m", "weighting=total,rtg", "seed=0,1"], ["weighting=rtg"]]), ids=["sweep", "run"]
)
def test_the_main_commands_plan_writes_nothing_at_all(command_line, tmp_path: Path, tiny, sweep: list[str]):
    done = command_line([*sweep, *tiny, "plan=true"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    runs = 4 if "-m" in sweep else 1
    assert "the largest worker takes about 35" in done.stdout  # MB, hardly more than without any run
    assert f"{runs} run{'s' * (runs > 1)}, 1 bundle, 1 shard, 1 worker to train" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_main_commands_plan_leaves_a_study_as_it_is(command_line, copied_study: Path, tiny, contents):
    folder = copied_study.parent.parent
    before = contents(folder)
    done = command_line(["-m", "weighting=total,rtg", "seeds=4", *tiny, "study=small", "plan=true"], folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 runs, 1 bundle" in done.stdout
    assert contents(folder) == before


def test_the_command_says_in_one_line_which_file_is_damaged(command_line, copied_study: Path, tiny):
    (rtg(copied_study) / "updates.parquet").write_bytes(b"torn")
    done = command_line(["weighting=rtg", *tiny, "study=small"], copied_study.parent.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "updates.parquet is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ten_thousand_runs_are_shown_in_seconds(tmp_path: Path):
    scale.write_study(tmp_path / "large", arms=20, seeds=500, updates=2, episodes=1)
    began = os.times()
    command = [sys.executable, "-m", "pglab.study", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ended = os.times()
    assert "10000" in done.stdout.splitlines()[-2]
    assert ended.children_user + ended.children_system - began.children_user - began.children_system < 3
