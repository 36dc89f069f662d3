"""The command builds what is asked for, again and again the same, and only what is not there."""

import hashlib
import json
import re
import shutil
from dataclasses import replace

import pytest

from analysis.paper import command, manifest, stored
from analysis.paper.catalogue import FIGURES
from analysis.paper.marks import MARKED
from pglab import sweep
from pglab.store.sealed import seal_text, unseal_text
from tests.paper.conftest import FIGURE
from tests.slow import first


def test_an_unknown_figure_is_refused_in_one_line_that_names_those_there_are(build, capsys):
    assert build("--only", "small_figure", "smal_figure") == 2
    said = "error: --only smal_figure: there is no such figure; choose from small_figure\n"
    assert capsys.readouterr().err == said
    assert not build.figures.exists()
    assert not build.trained


def test_every_figure_has_its_own_name_and_studies_of_one_name_are_the_same():
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
    studies = [study for figure in FIGURES for study in figure.studies]
    assert all(one is other for one in studies for other in studies if one.name == other.name)
    assert all(study.quick < study.seeds for study in studies)


@pytest.mark.slow
def test_the_first_job_of_every_command_of_the_catalogue_composes_and_is_found_again(monkeypatch):
    jobs = sweep._jobs
    monkeypatch.setattr(sweep, "_jobs", lambda given: jobs(given)[:1])
    for study in {study.name: study for figure in FIGURES for study in figure.studies}.values():
        (composed,) = sweep.compose_runs(study.commands(quick=True)[-1])
        assert (composed.settings["study"], composed.settings["seeds"]) == (f"{study.name}_quick", study.quick)
        assert stored._fits(stored._of_arm(composed.overrides), stored._of_arm(study.sweeps[-1])), study.name


def test_files_table_page_and_manifest_are_written(build, capsys):
    assert build() == 0
    assert build.trained == [["small"]]
    assert build.files().keys() == {
        *(f"small_figure.{kind}" for kind in ("pdf", "png", "svg", "csv", "md", "tex")),
        "index.html",
        "manifest.json",
    }
    assert "small_figure: drawn; 1 of 2 agree" in capsys.readouterr().out


def test_drawn_again_from_stored_results_every_file_is_the_same_to_the_byte(build):
    build()
    first = build.files()
    (build.figures / "manifest.json").unlink()
    build()
    assert build.files() == first
    assert build.trained == [["small"], ["small"]]


def test_a_second_call_trains_and_draws_nothing(build, monkeypatch):
    build()
    first = build.files()
    monkeypatch.setattr(command, "draw", None)
    assert build() == 0
    assert build.trained == [["small"], []]
    assert build.files() == first


@pytest.mark.parametrize("lost", first(1, ["small_figure.pdf", "small_figure.csv"]))
def test_a_file_that_was_lost_or_changed_is_drawn_anew(build, lost):
    build()
    first = build.files()
    (build.figures / lost).unlink()
    build()
    assert build.files() == first
    (build.figures / lost).write_text("changed")
    build()
    assert build.files() == first


def test_changed_code_or_results_are_drawn_anew(build, monkeypatch):
    build()
    with monkeypatch.context() as patched:
        patched.setattr(manifest, "code", lambda: {"code": "another"})
        build()
    build()
    rows = build.arm("rtg") / "updates.parquet"
    rows.rename(rows.with_suffix(".away"))
    assert build() == 1
    assert build.trained == [["small"]] * 4


def test_the_manifest_tells_studies_settings_code_and_hashes(build):
    build()
    entry = json.loads((build.figures / "manifest.json").read_text())["figures"]["small_figure"]
    assert entry["quick"] is False
    assert entry["drawn_by"].keys() >= {"code", "matplotlib", "numpy"}
    small = entry["studies"]["small"]
    (command,) = small["commands"]
    assert command.startswith("python -m pglab -m weighting=total,rtg")
    assert "seeds=3 study=small results_dir=results/paper" in command
    arm = small["arms"][build.arm("rtg").name]
    assert arm["identity"]["weighting"]["_target_"] == "pglab.algorithms.weightings.RewardToGo"
    assert arm["provenance"][0].keys() >= {"pglab", "torch"}
    assert arm["runs"] == {"2 updates, finished": 3}
    for name, digest in entry["files"].items():
        assert hashlib.sha256((build.figures / name).read_bytes()).hexdigest() == digest


def test_a_quick_figure_says_so_and_lies_in_a_folder_of_its_own(build, monkeypatch):
    drawn = []
    mark = command.marked_quick
    monkeypatch.setattr(command, "marked_quick", lambda figure: drawn.append(mark(figure)) or drawn[-1])
    assert build("--quick") == 0
    assert [text.get_text() for text in drawn[0].texts] == [MARKED]
    page = (build.figures / "quick/index.html").read_text()
    assert "Quick:" in page
    assert "study=small_quick" in page
    assert not (build.figures / "index.html").exists()


def test_a_figure_whose_study_failed_is_not_drawn_and_the_others_are(build, capsys):
    build.failed = {"other": "error: no"}
    other = replace(FIGURE, name="other", studies=[replace(FIGURE.studies[0], name="other")])
    assert build(catalogue=[other, FIGURE]) == 1
    assert "other: not drawn, for want of other" in capsys.readouterr().out
    assert (build.figures / "small_figure.pdf").exists()
    assert "Not drawn yet" in (build.figures / "index.html").read_text()


def test_an_incomplete_study_is_not_drawn(build, capsys):
    about = build.arm("rtg") / "arm.json"
    content = unseal_text(about, about.read_bytes())
    content["runs"]["0"]["status"] = "stopped"
    about.write_bytes(seal_text(content))
    assert build() == 1
    assert "small_figure: not drawn, for want of study small is incomplete" in capsys.readouterr().out


def test_arms_and_seeds_that_a_study_does_not_ask_for_are_not_drawn(build):
    build()
    first = build.files()["small_figure.csv"]
    other = build.arm("total")
    moved = shutil.copytree(other, other.with_name("former"))
    about = unseal_text(moved / "arm.json", (moved / "arm.json").read_bytes())
    about["arm"] = "former"
    about["overrides"] = [text.replace("weighting=total", "weighting=gae") for text in about["overrides"]]
    (moved / "arm.json").write_bytes(seal_text(about))
    (study,) = FIGURE.studies
    assert {file.path.name for file in stored.arms(study, False)} == {other.name, build.arm("rtg").name}
    assert "former" not in set(stored.read(study, False)["arm"])
    assert set(stored.read(replace(study, seeds=2), False)["seed"]) == {0, 1}
    build()
    assert build.files()["small_figure.csv"] == first
    assert build.trained == [["small"], []]


def test_lists_among_swept_values_are_told_apart():
    given = {"init.values": "[1.0,2.0]", "weighting": "rtg"}
    assert stored._fits(given, {"init.values": "[0.0,1.0],[1.0,2.0]", "weighting": "total,rtg"})
    assert stored._fits(given, {"init.values": "[1.000,2]", "weighting": "rtg"})
    assert not stored._fits(given, {"init.values": "[0.0,1.0],[1.0,2.5]", "weighting": "total,rtg"})
    assert not stored._fits(given, {"init.values": "[1.0,2.0]", "weighting": "total,rtg", "gamma": "1"})


def test_an_arm_that_is_not_there_keeps_the_figure_from_being_drawn(build, capsys):
    shutil.rmtree(build.arm("total"))
    assert build() == 1
    assert "results/paper/small holds 1 of the 2 arms that were asked for" in capsys.readouterr().out


def test_the_page_escapes_text_and_sets_ours_beside_what_was_published(build):
    build()
    page = (build.figures / "index.html").read_text()
    assert "A &lt;b&gt;small&lt;/b&gt; figure" in page
    assert "Nobody &amp; nowhere" in page
    assert "first &lt; last" in page
    assert "<b>" not in page
    assert page.count('<td class="yes">yes</td>') == page.count('<td class="no">no</td>') == 1
    assert "1 of 2 do not agree" in page
    assert "data:image/svg+xml;base64," in page


@pytest.mark.slow
def test_a_trained_figure_is_built_from_nothing_and_again_without_training(tmp_path, command_line):
    paper = type(command_line)("analysis.paper")
    ended = paper(["--quick", "--only", "total_against_reward_to_go"], tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "cartpole: complete" in ended.stdout
    first = {file.name: file.read_bytes() for file in (tmp_path / "analysis/figures/quick").iterdir()}
    again = paper(["--quick", "--only", "total_against_reward_to_go"], tmp_path)
    assert "up to date" in again.stdout
    assert "begun" not in again.stdout
    (tmp_path / "analysis/figures/quick/manifest.json").unlink()
    paper(["--quick", "--only", "total_against_reward_to_go"], tmp_path)
    assert {file.name: file.read_bytes() for file in (tmp_path / "analysis/figures/quick").iterdir()} == first


def test_what_takes_long_waits_until_it_is_asked_for(build):
    both = (FIGURE, replace(FIGURE, name="long", full="an hour"))
    assert build(catalogue=both) == 0
    assert not (build.figures / "long.svg").exists()
    assert "--only long</code> (an hour)" in (build.figures / "index.html").read_text()
    assert build("--full", catalogue=both) == 0
    assert (build.figures / "long.svg").exists()
