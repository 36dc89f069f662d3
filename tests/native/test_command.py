"""`backend=native` on the command line: what is played by what, and what a run's numbers depend on."""

import json
import os
from pathlib import Path

import pytest

import pglab
from pglab.errors import InputError
from pglab.native.compiling import cache_folder
from tests.slow import first

SMALL = ("batch.steps=200", "env.horizon=40", "updates=4", "evaluation.episodes=5", "logger.mode=disabled", "study=s")
NUMBERS = ("updates.parquet", "evaluation.parquet", "policies.npz")


def run(folder: Path, *overrides: str, config_dir: Path | None = None):
    return pglab.run([*SMALL, "workers=1", f"results_dir={folder}", *overrides], config_dir=config_dir)


def numbers(folder: Path, contents) -> dict[str, bytes]:
    return {name: content for name, content in contents(folder / "s").items() if name.endswith(NUMBERS)}


def test_how_the_work_is_shared_out_changes_no_bit(tmp_path: Path, contents):
    grid = ("backend=native", "weighting=total,rtg", "seed=0,1,2")
    run(tmp_path / "one", *grid)
    run(tmp_path / "many", *grid, "workers=2", "fuse=false")
    one, many = (numbers(tmp_path / name, contents) for name in ("one", "many"))
    assert len(one) == 6
    assert one == many


@pytest.mark.slow
def test_runs_that_go_on_have_the_bits_of_runs_that_were_never_stopped(tmp_path: Path, contents):
    run(tmp_path / "whole", "backend=native")
    run(tmp_path / "parts", "backend=native", "updates=2")
    run(tmp_path / "parts", "backend=native")
    assert numbers(tmp_path / "whole", contents) == numbers(tmp_path / "parts", contents)


def test_another_backend_under_the_same_name_is_refused_by_name(tmp_path: Path):
    choice = tmp_path / "conf" / "experiment" / "mine.yaml"
    choice.parent.mkdir(parents=True)
    choice.write_text("# @package _global_\nbackend: native\n")
    run(tmp_path, "experiment=mine", config_dir=tmp_path / "conf")
    choice.write_text("# @package _global_\nbackend: torch\n")
    with pytest.raises(InputError, match="backend was native there and is torch here"):
        run(tmp_path, "experiment=mine", config_dir=tmp_path / "conf")


def test_the_backend_and_its_compiler_are_recorded(tmp_path: Path):
    run(tmp_path, "backend=torch,native")
    abouts = [json.loads(file.read_text()) for file in (tmp_path / "s").glob("*/arm.json")]
    recorded = {about["identity"]["backend"]: about["provenance"][0].keys() for about in abouts}
    assert recorded["native"] - recorded["torch"] == {"numba", "llvmlite"}


@pytest.mark.parametrize("plan", first(1, [True, False]))
def test_it_says_what_compiled_code_plays_and_what_torch_does_and_why(tmp_path: Path, capfd, plan: bool):
    heads = ("env=pendulum", "head=gaussian,beta", "backend=native", f"plan={str(plan).lower()}", "batch.steps=80")
    run(tmp_path, *heads, "updates=1")
    (line,) = [line for line in capfd.readouterr().out.splitlines() if "backend=native" in line and "note" in line]
    assert "compiled code plays 1 of 2 arms (gaussian)" in line
    assert "torch plays 1 of 2 arms (beta)" in line
    assert "the head Beta has no native form" in line


def test_an_unknown_backend_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="backend=jax is not one of torch, native"):
        run(tmp_path, "backend=jax")
    assert not (tmp_path / "s").exists()


def test_without_numba_one_line_says_how_to_have_it(command_line, tmp_path: Path):
    (tmp_path / "without" / "numba").mkdir(parents=True)
    (tmp_path / "without" / "numba" / "__init__.py").write_text("raise ImportError('there is none')\n")
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.path.insert(0, {str(tmp_path / 'without')!r})\n")
    done = command_line([*SMALL, "backend=native"], tmp_path, PYTHONPATH=f"{tmp_path}:{Path.cwd()}")
    assert done.returncode == 2
    assert done.stderr.startswith("error: backend=native needs numba")
    assert "pip install 'pglab[native]'" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_what_is_compiled_once_is_loaded_later_also_where_no_home_can_be_written(command_line, tmp_path: Path):
    (tmp_path / "home").mkdir(mode=0o500)
    (tmp_path / "temporary").mkdir()
    places = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": "/proc/nowhere", "TMPDIR": str(tmp_path / "temporary")}
    said = [command_line([*SMALL, "backend=native", f"seed={n}"], tmp_path, **places) for n in range(2)]
    assert [done.returncode for done in said] == [0, 0]
    assert "Compiling for backend=native, once" in said[0].stderr
    assert "Compiling" not in said[1].stderr
    assert list((tmp_path / "temporary").glob(f"pglab-{os.getuid()}/*/*/*.nbc"))


def test_nothing_is_written_into_the_package():
    assert Path(pglab.__file__).parent not in cache_folder().parents
