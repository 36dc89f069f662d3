"""A study that a stranger made, or a disk spoiled: one clear error from every command, and nothing else happens."""

import io
import json
import os
import resource
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from pglab import study as study_command
from pglab.errors import DamagedError
from pglab.play.command import main as play
from pglab.report.command import main as report
from pglab.results import IncompleteStudy, load
from tests.results.edited import edit, rtg

MOST = 500_000  # kB of memory that refusing may take


def deeper(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def replaced(arm: Path, name: str, content: bytes | str) -> None:
    """Puts a file in the place of one of ours; the arm's record knows nothing of checksums."""
    (arm / name).write_bytes(content.encode() if isinstance(content, str) else content)
    edit(arm, lambda about: about.pop("files"))


def huge_npz(arm: Path) -> None:
    """A gigabyte of zeros in a few megabytes."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("0/weight.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (2**28,)})
        for _ in range(1024):
            file.write(bytes(2**20))
    replaced(arm, "policies.npz", content.getvalue())


def claiming_npz(arm: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40,)})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        packed.writestr("0/weight.npy", header.getvalue())
    replaced(arm, "policies.npz", content.getvalue())


def object_npz(arm: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed, packed.open("0/weight.npy", "w") as file:
        np.lib.format.write_array(file, np.array([print, {}], dtype=object), allow_pickle=True)
    replaced(arm, "policies.npz", content.getvalue())


def huge_parquet(arm: Path) -> None:
    """A quarter of a billion numbers of one value, in a few kilobytes."""
    rows = 2**24
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int8)), pa.array([0]))
    content = io.BytesIO()
    table = pa.table({"seed": column, **{f"c{n}": column for n in range(15)}})
    parquet.write_table(table, content, compression="gzip")
    replaced(arm, "updates.parquet", content.getvalue())


def text_parquet(arm: Path) -> None:
    """A million times the same long text, which a table of numbers never holds."""
    content = io.BytesIO()
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**6, dtype=np.int32)), pa.array(["x" * 10**5]))
    parquet.write_table(pa.table({"seed": text}), content)
    replaced(arm, "updates.parquet", content.getvalue())


def object_parquet(arm: Path) -> None:
    frame = pd.DataFrame({"seed": [0], "update": [1], "return_mean": [[1.0, 2.0]]})
    content = io.BytesIO()
    frame.to_parquet(content)
    replaced(arm, "updates.parquet", content.getvalue())


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def forge(arm: Path) -> None:
        (arm / name).rename(arm.parent.parent / "away")
        make(arm / name)

    return forge


def linked(path: Path) -> None:
    path.symlink_to(path.parent.parent.parent / "away")


def changed(**changes: object) -> Callable[[Path], None]:
    return lambda arm: edit(arm, lambda about: about.update(changes))


ABOUT = {
    "nested mappings": lambda arm: (arm / "arm.json").write_text(deeper(100_000)),
    "nested lists": lambda arm: (arm / "arm.json").write_text('{"runs": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "a few hundred levels": lambda arm: edit(arm, lambda about: about["identity"].update(json.loads(deeper(400)))),
    "a list": lambda arm: (arm / "arm.json").write_text("[]"),
    "no text at all": lambda arm: (arm / "arm.json").write_bytes(bytes(range(256))),
    "runs are a list": changed(runs=[]),
    "runs are texts": changed(runs={"0": "finished"}),
    "a seed is no number": changed(runs={"x": {}}),
    "a seed is negative": lambda arm: edit(arm, lambda about: about["runs"].update({"-1": about["runs"]["0"]})),
    "a seed is huge": lambda arm: edit(arm, lambda about: about["runs"].update({"9" * 30: about["runs"]["0"]})),
    "updates are text": lambda arm: edit(arm, lambda about: about["runs"]["0"].update(updates="2")),
    "updates are negative": lambda arm: edit(arm, lambda about: about["runs"]["0"].update(updates=-2)),
    "identity is a text": changed(identity="x"),
    "choices are a list": changed(choices=["rtg"]),
    "the name is a number": changed(arm=7),
    "the format is a list": changed(format=[2]),
    "the format is to come": changed(format=99),
    "provenance holds numbers": changed(provenance=[1]),
    "a directory": instead("arm.json", Path.mkdir),
    "a pipe": instead("arm.json", os.mkfifo),
    "a link": instead("arm.json", linked),
}
UPDATES = {
    "huge parquet": huge_parquet,
    "text parquet": text_parquet,
    "objects in parquet": object_parquet,
    "updates.parquet a pipe": instead("updates.parquet", os.mkfifo),
    "updates.parquet a link": instead("updates.parquet", linked),
    "updates.parquet a directory": instead("updates.parquet", Path.mkdir),
}
POLICIES = {
    "huge npz": huge_npz,
    "npz that claims much": claiming_npz,
    "objects in npz": object_npz,
    "policies.npz a pipe": instead("policies.npz", os.mkfifo),
    "policies.npz a link": instead("policies.npz", linked),
    "policies.npz a directory": instead("policies.npz", Path.mkdir),
}


@pytest.fixture(autouse=True)
def little_memory():
    """Sees that refusing a file does not take much more memory than there was in use."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    return err


def assert_refused_by_load(study: Path, file: Path) -> None:
    with pytest.raises(DamagedError) as refused:
        load(study)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def assert_told_by_study(study: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study_command.main([str(study)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert sum(str(file) in line for line in out.splitlines()) == 1


@pytest.mark.parametrize("forgery", ABOUT)
def test_a_forged_record_is_one_error_of_every_command(copied_study: Path, capsys, forgery: str):
    ABOUT[forgery](rtg(copied_study))
    file = rtg(copied_study) / "arm.json"
    assert_refused_by_load(copied_study, file)
    assert report([str(copied_study)]) == 2
    assert str(file) in one_line(capsys)
    assert play([str(copied_study), "arm=rtg"]) == 2
    assert str(file) in one_line(capsys)
    assert_told_by_study(copied_study, file, capsys)


@pytest.mark.parametrize("forgery", UPDATES)
def test_a_forged_table_is_one_error(copied_study: Path, capsys, forgery: str):
    UPDATES[forgery](rtg(copied_study))
    file = rtg(copied_study) / "updates.parquet"
    assert_refused_by_load(copied_study, file)
    assert report([str(copied_study)]) == 2
    assert str(file) in one_line(capsys)


@pytest.mark.parametrize("forgery", POLICIES)
def test_forged_policies_are_one_error(copied_study: Path, capsys, forgery: str):
    POLICIES[forgery](rtg(copied_study))
    assert play([str(copied_study), "arm=rtg"]) == 2
    assert str(rtg(copied_study) / "policies.npz") in one_line(capsys)


def test_a_pipe_as_lock_or_checkpoint_keeps_nobody_waiting(copied_study: Path, capsys):
    arm = rtg(copied_study)
    edit(arm, lambda about: about["runs"]["0"].update(status="running"))
    os.mkfifo(arm / "checkpoint.bin")
    with pytest.warns(IncompleteStudy):
        assert len(load(copied_study)) == 12
    assert_told_by_study(copied_study, arm / "checkpoint.bin", capsys)
    (arm / "lock").unlink()
    os.mkfifo(arm / "lock")
    assert_refused_by_load(copied_study, arm / "lock")
    assert_told_by_study(copied_study, arm / "lock", capsys)


NASTY = "\x1b[31m\u202e\nred"
SPELT = r"\x1b[31m\u202e\nred"


def test_escapes_in_names_errors_and_commands_are_shown_and_not_sent(copied_study: Path, capsys):
    arm = rtg(copied_study)
    failed = {"status": "failed", "updates": 0, "asked": 2, "error": f"Traceback\nValueError: {NASTY[:-4]}"}
    edit(arm, lambda about: about.update(commands=[f"python {NASTY}"], runs={**about["runs"], "7": failed}))
    assert report([str(copied_study)]) == 0
    page = (copied_study / "report" / "index.html").read_text()
    capsys.readouterr()
    edit(arm, lambda about: about.update(arm=NASTY))
    arm.rename(arm.parent / NASTY)
    assert study_command.main([str(copied_study)]) == 0
    study = capsys.readouterr().out
    assert play([str(copied_study), f"arm={NASTY}", "seed=0"]) == 0
    played = capsys.readouterr().out
    assert play([str(copied_study), "arm=nonsense"]) == 2
    refused = capsys.readouterr().err
    for text in (study, played, refused, page):
        assert SPELT in text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_formulas_and_markup_in_a_name_are_text(copied_study: Path, capsys):
    name = r"$\frac{1}$ [bold]<b>"
    arm = rtg(copied_study)
    edit(arm, lambda about: about.update(arm=name))
    arm.rename(arm.parent / name)
    assert study_command.main([str(copied_study)]) == 0
    assert name in capsys.readouterr().out
    assert play([str(copied_study), f"arm={name}"]) == 0
    assert capsys.readouterr().out.startswith(f"{name}, seed 0")


@pytest.fixture(params=["in the study", "in one of several"])
def folder(request: pytest.FixtureRequest, copied_study: Path) -> Path:
    """The folder that is read: of a study, or of two studies."""
    if request.param == "in the study":
        return copied_study
    shutil.copytree(copied_study, copied_study.parent / "second")
    return copied_study.parent


def test_a_backup_inside_a_study_is_named_and_counts_nothing(copied_study: Path, folder: Path, capsys):
    before = load(folder)
    arm = rtg(copied_study)
    shutil.copytree(arm, arm.with_name(f"{arm.name}.bak"))
    with pytest.warns(IncompleteStudy, match=r"\.bak: a copy of arm .*weighting=rtg"):
        pd.testing.assert_frame_equal(load(folder), before)
    assert study_command.main([str(folder)]) == 0
    assert f"{arm.name}.bak: a copy of arm {arm.name}" in capsys.readouterr().out
    assert report([str(copied_study)]) == 0
    assert "6 runs: 6 finished" in capsys.readouterr().out
    assert ".bak: a copy of arm" in (copied_study / "report" / "index.html").read_text()


def test_an_arm_whose_record_is_gone_is_named_and_counts_nothing(copied_study: Path, folder: Path, capsys):
    everything = load(folder)
    arm = rtg(copied_study)
    (arm / "arm.json").unlink()
    with pytest.warns(IncompleteStudy, match=r"weighting=rtg: its arm\.json is gone"):
        left = load(folder)
    gone = (everything["study"] == copied_study.name) & (everything["arm"] == arm.name)
    assert left["seed"].tolist() == everything.loc[~gone, "seed"].tolist()
    assert study_command.main([str(folder)]) == 0
    assert f"{arm.name}: its arm.json is gone" in capsys.readouterr().out
    assert report([str(copied_study)]) == 0
    assert "3 runs: 3 finished; the study is incomplete" in capsys.readouterr().out
    assert "its arm.json is gone" in (copied_study / "report" / "index.html").read_text()
