"""W&B gets what a study says as a whole, once, and anew when the study has changed."""

import json
import shutil
import signal
import threading
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from pglab.report.content import Content, Question, content
from pglab.report.page import page
from pglab.store.folder import studies_in
from pglab.tracking.client import MirrorError
from pglab.tracking.summary_run import SummarizedStudy, summarized
from tests.conftest import CommandLine
from tests.report.made_study import add_twin, write_arm
from tests.tracking.conftest import QUICK
from tests.tracking.stored_run import StoredRun
from tests.tracking.wandb_artifacts import StoredArtifact
from tests.tracking.wandb_server import Refused, WandbServer
from tests.waiting import HANG

RUNS = 3
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Seen:
    """What a study said when it was uploaded, and what the server held then."""

    content: Content
    summary: StoredRun
    tables: list[StoredArtifact]
    said: str


def write_study(study: Path, complete: bool = False) -> Path:
    """Two arms with two seeds each, of which one may be missing."""
    for place, (weighting, scores) in enumerate({"total": [100.0, 110.0], "rtg": [180.0, 191.0]}.items()):
        arm = write_arm(study, place, scores[: 1 + (complete or not place)], weighting=weighting)
        about = json.loads((arm / "arm.json").read_text())
        about["given"]["logger.project"] = "pglab"
        (arm / "arm.json").write_text(json.dumps(about))
    return study


def below(path: Path) -> list[SummarizedStudy]:
    """The studies of a folder that have summaries."""
    return summarized(path, studies_in(path))


def summary_of(study: Path) -> SummarizedStudy:
    """That of one study."""
    (found,) = below(study)
    return found


def upload(command: CommandLine, study: Path, server: WandbServer, variables: dict[str, str]) -> Seen:
    done = command([str(study)], study, **variables)
    assert done.returncode == 0, done.stderr
    found = content(study, Question())
    (summary,) = server.summaries().values()
    tables = server.artifacts.committed(summary.id)
    return Seen(found, deepcopy(summary), deepcopy(tables), done.stdout)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, mirror_command: CommandLine) -> Iterator[tuple[Seen, Seen]]:
    """The study uploaded as it was, and when it was complete."""
    folder = tmp_path_factory.mktemp("summary")
    study, server = write_study(folder / "results" / "made"), WandbServer()
    server.start()
    variables = server.variables(folder) | QUICK
    incomplete = upload(mirror_command, study, server, variables)
    for arm in study.glob("*/"):
        shutil.rmtree(arm)
    write_study(study, complete=True)
    yield incomplete, upload(mirror_command, study, server, variables)
    server.stop()
    assert not [file for name in ("cache", "data") for file in (folder / name).rglob("*")]  # copies of tables
    assert not server.unknown


def files(seen: Seen, kind: str) -> dict[str, bytes]:
    """The last files of a kind that the summary run shows, by the name of what they show."""
    parts = {name: part for name, part in seen.summary.summary.items() if isinstance(part, dict)}
    return {name: seen.summary.files[part["path"]] for name, part in parts.items() if part.get("_type") == kind}


def media(seen: Seen) -> dict[str, bytes]:
    """Every file of figures, tables and pages."""
    return {name: stored for name, stored in seen.summary.files.items() if name.startswith("media/")}


@pytest.mark.slow
def test_the_figures_and_the_page_of_the_report_arrive(seen):
    incomplete, complete = (files(one, "image-file") for one in seen)
    assert incomplete.keys() == {"learning_curves", "seed_scores", "performance_profile", "gradient_diagnostics"}
    assert complete.keys() == {*incomplete, "differences"}
    assert all(picture.startswith(PNG) for picture in (*incomplete.values(), *complete.values()))
    assert files(seen[1], "html-file") == {"report": page(seen[1].content).encode()}


def test_the_tables_are_those_of_the_report_with_every_digit(seen):
    for one in seen:
        tables = {"arms": one.content.arms, "comparisons": one.content.comparisons}
        tables["verdicts"] = pd.DataFrame([vars(verdict) for verdict in one.content.verdicts])
        kept = {table.name.rpartition("-")[2]: table for table in one.tables}  # the last versions
        assert files(one, "table-file").keys() == kept.keys() == tables.keys()
        for name, table in tables.items():
            rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
            for file in (files(one, "table-file")[name], kept[name].files[f"{name}.table.json"]):
                stored = json.loads(file)
                assert stored["columns"] == list(table.columns)
                assert stored["data"] == rows


def test_the_summary_run_says_the_verdict_and_whether_the_study_is_complete(seen):
    incomplete, complete = seen
    for one in seen:
        run = one.summary
        assert (run.name, run.group, run.job_type, run.tags) == ("summary", "made", "summary", ["made"])
        assert run.state == "finished"
        assert run.summary["verdict"] == one.content.verdicts[0].sentence
    assert not incomplete.summary.summary["complete"]
    assert incomplete.summary.summary["runs"] == "3 runs: 3 finished"
    assert "This study is incomplete" in files(incomplete, "html-file")["report"].decode()
    assert complete.summary.summary["complete"]
    assert "This study is incomplete" not in files(complete, "html-file")["report"].decode()


def test_a_study_that_changed_shows_its_new_summary_as_the_next_step_of_the_same_run(seen):
    before, after = seen
    assert "Uploaded 1 of 1 summaries" in after.said
    assert after.summary.id == before.summary.id
    assert (before.summary.steps, after.summary.steps) == ([0], [0, 1])
    assert all(after.summary.files[name] == stored for name, stored in media(before).items())
    assert media(after).keys() > media(before).keys()


def test_the_summary_says_which_arms_are_one_program(tmp_path: Path):
    study = write_study(tmp_path / "made")
    before = summary_of(study)
    assert "one_program" not in before.drawn().said
    add_twin(study / "weighting=rtg", weighting="baseline")
    after = summary_of(study)
    assert str(after.drawn().said["one_program"]).startswith("weighting=rtg and weighting=baseline are one program")
    assert after.version != before.version


def test_only_a_study_that_changed_has_another_version(tmp_path: Path):
    study = write_study(tmp_path / "made")
    first = summary_of(study).version
    (study / "mirrored.json").write_text("{}")
    assert summary_of(study).version == first
    versions = [first]
    for file in ("arm.json", "updates.parquet", "evaluation.parquet", "checkpoint.bin"):
        with (study / "weighting=rtg" / file).open("ab") as stream:
            stream.write(b" ")
        versions.append(summary_of(study).version)
    assert len(set(versions)) == 5


def test_every_study_of_a_folder_has_a_summary_and_an_arm_alone_has_none(tmp_path: Path):
    study, other = write_study(tmp_path / "made"), write_study(tmp_path / "other")
    assert [found.study_folder for found in below(tmp_path)] == [study, other]
    assert [found.study_folder for found in below(study)] == [study]
    assert below(study / "weighting=rtg") == []
    assert summary_of(study).id != summary_of(other).id


def test_a_study_that_cannot_be_reported_on_is_named_with_the_reason(tmp_path: Path):
    study = write_study(tmp_path / "made")
    (study / "weighting=rtg" / "arm.json").write_text("{}")
    with pytest.raises(MirrorError, match=r"there is no summary of made: .*arm\.json is damaged"):
        summary_of(study).drawn()


def test_a_study_without_any_rows_has_a_page_that_says_so(tmp_path: Path):
    study = write_study(tmp_path / "made")
    for arm in study.glob("*"):
        for name in ("updates.parquet", "evaluation.parquet"):
            pd.read_parquet(arm / name).iloc[:0].to_parquet(arm / name, index=False)
    sent = summary_of(study).drawn()
    assert "No run has any rows yet" in sent.page
    assert (dict(sent.tables), dict(sent.pictures)) == ({}, {})


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["storage", "CommitArtifact"])
def test_a_summary_that_lost_a_file_is_not_called_uploaded(
    mirror_command, tmp_path: Path, wandb_server, variables, lost
):
    study = write_study(tmp_path / "made")

    def refuse(name: str) -> None:
        if name == lost:
            raise Refused(403)

    wandb_server.before = refuse
    done = mirror_command([str(study), "--timeout", "6"], tmp_path, **variables)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: W&B has an incomplete mirror: it does not hold ")
    assert line.endswith(f"of the summary of made; {RUNS} runs were uploaded, and the same command uploads the rest")
    wandb_server.before = lambda name: None
    again = mirror_command([str(study)], tmp_path, **variables)
    assert again.returncode == 0, again.stderr
    assert f"({RUNS} were there already)\nUploaded 1 of 1 summaries\n" in again.stdout
    assert len(wandb_server.summaries()) == 1


@pytest.mark.slow
def test_a_summary_that_is_interrupted_is_taken_up_in_the_same_run(
    mirror_command, tmp_path: Path, wandb_server, variables
):
    study = write_study(tmp_path / "made")
    reached, ended = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "CommitArtifact":
            reached.set()
            ended.wait(HANG)
            raise Refused(0)

    wandb_server.before = hold
    with mirror_command.started([str(study)], tmp_path, **variables) as process:
        assert reached.wait(HANG)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG)
        ended.set()
    assert process.returncode == 130
    assert f"error: interrupted; {RUNS} runs were uploaded" in err
    wandb_server.before = lambda name: None
    again = mirror_command([str(study)], tmp_path, **variables)
    assert again.returncode == 0, again.stderr
    (summary,) = wandb_server.summaries().values()
    assert summary.state == "finished"
    assert len(wandb_server.artifacts.committed(summary.id)) == 3
