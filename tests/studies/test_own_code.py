"""The code behind a user's own components is found through every kind of import, read and never executed."""

import importlib.metadata
import os
import re
import sys
import time
from collections.abc import Callable
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from pglab.studies.chip import NAMES
from pglab.studies.provenance import changed, provenance

VERSIONS = {"python", "torch", "numpy", "gymnasium", *NAMES}
HASH = r"[0-9a-f]{16}"


def settings_of(*targets: str) -> dict:
    """Settings with components at several depths."""
    weighting, *others = targets
    return {"gamma": 0.9, "weighting": {"_target_": weighting, "parts": [{"_target_": other} for other in others]}}


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes files into a folder on the path: `put({"mypkg/sub.py": code})`; None takes one away."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(files: dict[str, str | None]) -> None:
        for name, code in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            if code is None:
                (tmp_path / name).unlink()
            else:
                (tmp_path / name).write_text(code)

    return write


def own(settings: dict) -> list[str]:
    """The user's own files in a provenance, every one with a hash."""
    found = {name: value for name, value in provenance(settings).items() if name not in VERSIONS | {"pglab"}}
    assert all(re.fullmatch(HASH, value) for value in found.values())
    return list(found)


def test_the_files_of_own_components_at_any_depth_are_hashed(put):
    put({"near.py": "class Near: ...", "deep.py": "class Deep: ...", "idle.py": "class Idle: ..."})
    assert own(settings_of("near.Near", "deep.Deep.make", "torch.optim.Adam")) == ["deep.py", "near.py"]


def test_an_edit_of_the_file_and_of_what_it_imports_shows_and_of_others_does_not(put):
    put({"near.py": "from helper import f\nclass Near: ...", "helper.py": "f = 1", "idle.py": "x = 1"})
    settings = settings_of("near.Near")
    first = provenance(settings)
    put({"idle.py": "x  =  1"})
    assert changed(first, provenance(settings)) == []
    put({"helper.py": "f = 2"})  # as long as before
    assert changed(first, provenance(settings)) == ["helper.py has changed"]
    put({"near.py": "from helper import f\nclass Near: pass"})
    assert changed(first, provenance(settings)) == ["helper.py has changed", "near.py has changed"]


def test_an_edit_that_keeps_size_and_time_shows(put, tmp_path: Path):
    put({"near.py": "n = 1"})
    settings, file = settings_of("near.Near"), tmp_path / "near.py"
    first, of = provenance(settings), file.stat()
    time.sleep(0.02)  # a file system's clock ticks every few milliseconds
    put({"near.py": "n = 2"})
    os.utime(file, ns=(of.st_atime_ns, of.st_mtime_ns))
    assert changed(first, provenance(settings)) == ["near.py has changed"]


def test_an_import_that_comes_or_goes_is_a_file_that_is_new_or_gone(put):
    put({"near.py": "import old", "old.py": "", "helper.py": ""})
    first = provenance(settings_of("near.Near"))
    put({"near.py": "import helper"})
    assert changed(first, provenance(settings_of("near.Near"))) == [
        "helper.py is new",
        "near.py has changed",
        "old.py is gone",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "import helper",
        "import helper as h, math",
        "from helper import f",
        "from helper import *",
        "def f():\n    import helper",
        "if True:\n    try:\n        from helper import f\n    except ImportError:\n        pass",
    ],
)
def test_every_kind_of_import_is_followed(put, statement: str):
    put({"near.py": statement, "helper.py": "import further", "further.py": ""})
    assert own(settings_of("near.Near")) == ["further.py", "helper.py", "near.py"]


def test_packages_come_with_those_around_them_and_with_relative_imports(put):
    put(
        {
            "mypkg/__init__.py": "",
            "mypkg/sub/__init__.py": "from ..shared import g",
            "mypkg/sub/mod.py": "from . import sibling\nfrom .. import cousin\nfrom ..other.leaf import f",
            "mypkg/sub/sibling.py": "",
            "mypkg/sub/idle.py": "",
            "mypkg/shared.py": "",
            "mypkg/cousin.py": "",
            "mypkg/other/__init__.py": "",
            "mypkg/other/leaf.py": "",
        }
    )
    reached = ["", "cousin", "other", "other/leaf", "shared", "sub", "sub/mod", "sub/sibling"]
    files = {f"mypkg/{name}.py" for name in reached if "/" in name or name in ("cousin", "shared")}
    files |= {"mypkg/__init__.py", "mypkg/other/__init__.py", "mypkg/sub/__init__.py"}
    assert own(settings_of("mypkg.sub.mod.Near")) == sorted(files)


def test_a_component_that_a_package_hands_on_comes_from_the_file_behind_it(put):
    put({"mypkg/__init__.py": "from .near import Near", "mypkg/near.py": "class Near: ..."})
    assert own(settings_of("mypkg.Near")) == ["mypkg/__init__.py", "mypkg/near.py"]


def test_namespace_packages_are_found_in_all_their_folders(put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path / "second")
    put({"space/in_first/near.py": "import space.in_second", "second/space/in_second.py": ""})
    assert own(settings_of("space.in_first.near.Near")) == ["space/in_first/near.py", "space/in_second.py"]


def test_a_package_hides_a_folder_of_its_name_that_comes_first(put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put({"mypkg/__init__.py": "", "first/mypkg/notes.txt": ""})
    monkeypatch.syspath_prepend(tmp_path / "first")
    assert own(settings_of("mypkg.Near")) == ["mypkg/__init__.py"]


def test_the_first_folder_on_the_path_wins_and_an_empty_one_is_the_working_directory(
    put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put({"near.py": "n = 1", "here/near.py": "n = 2"})
    behind = provenance(settings_of("near.Near"))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert changed(behind, provenance(settings_of("near.Near"))) == ["near.py has changed"]


def test_imports_in_a_circle_end(put):
    put({"a.py": "import b", "b.py": "import c", "c.py": "import a, c"})
    assert own(settings_of("b.B")) == ["a.py", "b.py", "c.py"]


def test_the_standard_library_pglab_and_installed_libraries_are_not_hashed(put):
    put({"near.py": "import os, sys, json, xml.dom, random\nimport torch.nn, numpy, pandas\nimport pglab.cli"})
    targets = ("near.Near", "functools.partial", "builtins.dict", "torch.optim.Adam", "pglab.algorithms.heads.Softmax")
    assert own(settings_of(*targets)) == ["near.py"]


def test_another_library_is_a_matter_of_its_version(put):
    found = provenance(settings_of("yaml.safe_load"))
    assert found.keys() == VERSIONS | {"pglab", "PyYAML"}
    assert found["PyYAML"] == importlib.metadata.version("PyYAML")


def test_what_is_installed_beside_its_metadata_is_not_hashed_wherever_that_is(
    put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put({"libs/theirs.py": "", "libs/theirs-1.0.dist-info/METADATA": "", "near.py": "import theirs"})
    monkeypatch.syspath_prepend(tmp_path / "libs")
    assert own(settings_of("near.Near")) == ["near.py"]


def test_an_editable_install_with_a_finder_of_its_own_is_the_users_own(
    put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            file = tmp_path / "project/mypkg/__init__.py"
            return spec_from_file_location(name, file) if name == "mypkg" else None

    put({"project/mypkg/__init__.py": "", "project/mypkg/near.py": ""})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert own(settings_of("mypkg.near.Near")) == ["mypkg/__init__.py", "mypkg/near.py"]


@pytest.mark.parametrize("target", ["nowhere.Near", "", ".", "..near", "mypkg/near.Near", "near..Near", "__main__.X"])
def test_a_component_that_cannot_be_found_is_left_out(put, target: str):
    put({"mypkg/near.py": "", "sub/x.py": ""})
    assert own(settings_of(target)) == []


@pytest.mark.parametrize(
    "code", ["def (", "\0", "x = '\\d'\nimport helper", "# coding: latin-1\nimport helper  # \xe9"]
)
def test_a_file_is_hashed_whether_or_not_it_is_good_python(put, tmp_path: Path, code: str):
    put({"helper.py": ""})
    (tmp_path / "near.py").write_bytes(code.encode("latin-1"))
    assert own(settings_of("near.Near")) == (["helper.py", "near.py"] if "helper" in code else ["near.py"])


def test_no_code_of_the_users_is_executed(put, tmp_path: Path):
    leaves_a_mark = f"open({str(tmp_path / 'mark')!r}, 'w')\nraise SystemExit"
    put({"mypkg/__init__.py": leaves_a_mark, "mypkg/near.py": "import helper", "helper.py": leaves_a_mark})
    assert own(settings_of("mypkg.near.Near")) == ["helper.py", "mypkg/__init__.py", "mypkg/near.py"]
    assert not (tmp_path / "mark").exists()
    assert not {"mypkg", "mypkg.near", "helper"} & sys.modules.keys()


def test_what_hydra_and_gymnasium_import_by_name_is_found(put):
    put({"near.py": "", "worlds.py": ""})
    by_name = {"_target_": "hydra.utils.get_class", "path": "near.Near"}
    env = {"_target_": "pglab.envs.gymnasium.GymnasiumWorld", "id": "worlds:Mine-v0"}
    assert {"near.py", "worlds.py"} <= provenance({"init": by_name, "env": env}).keys()
    assert own({"env": env | {"id": "Acrobot-v1"}}) == []
