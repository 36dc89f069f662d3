"""Who continues a study on kernels that round otherwise is told; torch's own answer is the measure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pglab import study as study_command
from pglab.results import load
from pglab.studies import chip
from pglab.studies.chip import NAMES, kernels
from pglab.studies.provenance import changed
from tests.results.edited import edit

ASK = "import torch; print(torch.backends.cpu.get_cpu_capability())"
INTEL = "vendor_id\t: GenuineIntel\nflags\t\t: fpu fma avx2 avx512f avx512bw avx512dq avx512vl\n"
CHIPS = {
    INTEL: ("GenuineIntel", "AVX512"),
    INTEL.replace("avx512vl", ""): ("GenuineIntel", "AVX2"),
    INTEL.replace("fma", ""): ("GenuineIntel", "DEFAULT"),
    INTEL.replace("GenuineIntel", "AuthenticAMD"): ("AuthenticAMD", "AVX512"),
}


OTHERS = (pytest.param(value, marks=pytest.mark.slow) for value in (None, "avx512", "avx2", "AVX2", "nonsense", ""))


@pytest.mark.parametrize("value", ["default", *OTHERS])
def test_the_capability_is_what_torch_says(value: str | None):
    variables = {name: text for name, text in os.environ.items() if name != "ATEN_CPU_CAPABILITY"}
    variables |= {} if value is None else {"ATEN_CPU_CAPABILITY": value}
    if value == "avx512" and kernels({})["cpu capability"] != "AVX512":
        pytest.skip("this chip has no AVX-512, and torch would end at its first such instruction")
    done = subprocess.run([sys.executable, "-c", ASK], env=variables, capture_output=True, text=True, check=True)
    assert kernels(variables)["cpu capability"] == done.stdout.strip()


@pytest.mark.parametrize("told", CHIPS, ids=lambda told: "-".join(CHIPS[told]))
def test_maker_and_own_capability_of_the_chip_are_kept_whatever_the_variable_says(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr(chip, "CPUINFO", tmp_path / "cpuinfo")
    maker, own = CHIPS[told]
    found = {"chip": f"{maker} {own}", "MKL_CBWR": "not set"}
    assert kernels({}) == {"cpu capability": own, **found}
    assert kernels({"ATEN_CPU_CAPABILITY": "default"}) == {"cpu capability": "DEFAULT", **found}


def test_a_machine_that_tells_nothing_of_its_chip_is_known_by_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chip, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert kernels({"ATEN_CPU_CAPABILITY": "avx2"}) == {
        "cpu capability": "arm64",
        "chip": "arm64",
        "MKL_CBWR": "not set",
    }


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_difference_by_its_name_unless_it_was_never_recorded(name: str):
    here = kernels({})
    assert changed({**here, name: "another"}, here) == [f"{name} is another there and {here[name]} here"]
    assert changed({key: value for key, value in here.items() if key != name}, here) == []


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ATEN_CPU_CAPABILITY": "default"}, "cpu capability is"),
        ({"MKL_CBWR": "COMPATIBLE"}, "MKL_CBWR is not set there"),
    ],
    ids=["ATen", "MKL"],
)
def test_continuing_under_other_kernels_is_refused_by_name(
    command_line, copied_study: Path, tmp_path: Path, tiny, variables: dict[str, str], named: str
):
    if kernels(variables) == kernels({}):
        pytest.skip("this chip has no other kernels")
    asked = ["-m", "weighting=total,rtg", "seed=0,1,2,3", "study=small", *tiny]
    done = command_line(asked, tmp_path, **variables)
    assert done.returncode == 2
    assert named in done.stderr


def test_a_study_that_never_recorded_its_kernels_goes_on(
    command_line, copied_study: Path, tmp_path: Path, tiny, capsys: pytest.CaptureFixture[str]
):
    def forget(about: dict) -> None:
        for made in about["provenance"]:
            for name in NAMES:
                del made[name]

    for arm in copied_study.glob("*weighting=*"):
        edit(arm, forget)
    done = command_line(["-m", "weighting=total,rtg", "seed=0,1,2,3", "study=small", *tiny], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(load(copied_study)["seed"]) == {0, 1, 2, 3}
    assert study_command.main([str(copied_study)]) == 0
    assert "computed in" not in capsys.readouterr().out
