"""The benchmark on MuJoCo says what it could not compare with."""

import json

import pytest

from pglab import benchmark
from tests.mujoco_here import needs_mujoco


@needs_mujoco
@pytest.mark.slow
def test_without_other_libraries_pglab_is_measured_alone_and_the_commands_that_bring_them_are_said(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None)
    file = tmp_path / "speeds.json"
    arguments = ["benchmark", "--mujoco", "--updates", "1", "--repeats", "1", "--json", str(file)]
    monkeypatch.setattr("sys.argv", arguments)
    assert benchmark.main() == 0
    said = capsys.readouterr().out
    assert "stable_baselines3 is not installed here, and not measured: pip install stable-baselines3" in said
    assert "pip install 'pglab[envpool]'" in said
    (way,) = json.loads(file.read_text())
    assert way == "gymnasium"
