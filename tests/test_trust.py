"""From a stranger's study only what may be built is built; nothing else is even imported."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from pglab.cli import compose_runs
from pglab.compose import CONF
from pglab.errors import InputError
from pglab.play.command import main
from pglab.trust import build_stored, check_trusted
from tests.results.edited import edit, rtg

MARK = """
from pathlib import Path

Path(__file__).with_suffix(".imported").touch()

def world(**_):
    raise RuntimeError("called")
"""


OF_NO_STUDY = "pglab.verify.point.Effort"
TARGETS = {target for file in CONF.rglob("*.yaml") for target in re.findall(r"_target_: ([\w.]+)", file.read_text())}
BUILT_IN = sorted(TARGETS - {OF_NO_STUDY})


@pytest.mark.parametrize("target", BUILT_IN)
def test_every_built_in_component_may_be_built(target: str):
    check_trusted({"_target_": target})


def test_the_yaml_files_name_components_of_every_kind():
    assert {"torch.optim.Adam", "pglab.envs.cartpole.CartPole", "pglab.models.networks.MLP"} <= set(BUILT_IN)


@pytest.mark.parametrize("name", ["SGD", "NAdam", "Adafactor"])
def test_every_optimizer_of_torch_may_be_built(name: str):
    check_trusted({"_target_": f"torch.optim.{name}", "_partial_": True})


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.load",
        "torch.hub.load",
        "torch.optim.lr_scheduler.LambdaLR",
        "torch.optim.Optimizer.step",
        "torch.optim.sgd.torch.load",
        "pglab.models.networks.torch.hub.load",
        "pglab.models.networks.Tensor",
        "pglab.models.networks.math",
        "pglab.models.networks.dataclass",
        "pglab.models.networks.MLP.shapes",
        "pglab.envs.gymnasium.gymnasium.make",
        "pglab.envs.gymnasium.np.load",
        "pglab.envs.nonsense.World",
        "pglab.envs",
        "pglab.store.atomic.write",
        "pglab.processes.start",
        "pglab.run",
        "pglab.algorithms...os.system",
        "hydra.utils.get_method",
        "",
        "near_sighted.NearSighted",
    ],
)
@pytest.mark.parametrize("place", ["at the top", "in an argument", "in _args_", "in a list", "partial"])
def test_nothing_else_is_built_at_any_depth(target: str, place: str):
    node: Any = {"_target_": target, "_partial_": True} if place == "partial" else {"_target_": target}
    around = {"_target_": "pglab.models.networks.MLP"}
    settings = {
        "at the top": node,
        "partial": node,
        "in an argument": {**around, "sizes": node},
        "in _args_": {**around, "_args_": [node]},
        "in a list": {**around, "sizes": [1, [node]]},
    }[place]
    before = set(sys.modules)
    with pytest.raises(InputError, match="no component of pglab"):
        check_trusted(settings)
    assert set(sys.modules) - before <= {name for name in sys.modules if name.startswith(("pglab.", "gymnasium."))}


@pytest.mark.parametrize("key", ["id", "env_id"])
def test_a_gymnasium_id_that_names_a_module_is_such_a_name(key: str):
    settings = {"_target_": "pglab.envs.gymnasium.GymnasiumWorld", "kwargs": {key: "this:Name-v0"}}
    with pytest.raises(InputError, match="--trust this"):
        check_trusted(settings)
    check_trusted(settings, ["this"])


def test_an_interpolation_could_become_anything():
    with pytest.raises(InputError, match="interpolation"):
        check_trusted({"_target_": "pglab.models.networks.MLP", "sizes": "${oc.decode:'{_target_: os.system}'}"})


def test_trust_in_a_module_is_not_trust_in_what_it_hands_on():
    by_name = {"_target_": "hydra.utils.get_method", "path": "os.system"}
    with pytest.raises(InputError, match="--trust os"):
        check_trusted(by_name, ["hydra"])
    check_trusted(by_name, ["hydra", "os"])


@pytest.fixture
def stranger(copied_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose world comes from a module that leaves a mark when it is imported."""
    (tmp_path / "somebodys.py").write_text(MARK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "somebodys", raising=False)
    edit(rtg(copied_study), lambda about: about["identity"].update(env={"_target_": "somebodys.world"}))
    return copied_study


def test_play_refuses_a_strangers_part_by_name_and_without_importing_it(stranger: Path, tmp_path: Path, capsys):
    assert main([str(stranger), "arm=rtg"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: the settings would call 'somebodys.world'")
    assert "--trust somebodys" in err
    assert not (tmp_path / "somebodys.imported").exists()


def test_play_builds_what_its_command_trusts(stranger: Path, tmp_path: Path, capsys):
    assert main([str(stranger), "arm=rtg", "--trust", "other", "--trust", "somebodys"]) == 2
    assert "called" in capsys.readouterr().err
    assert (tmp_path / "somebodys.imported").exists()


@pytest.mark.parametrize(
    ("group", "value", "said"),
    [
        ("env", ["pglab.envs.cartpole.CartPole"], "is no component"),
        ("env", None, "is no component"),
        ("network", {"sizes": [1]}, "is no component"),
        ("head", {"_target_": "pglab.models.networks.MLP"}, "make no policy"),
        ("env", {"_target_": "pglab.models.networks.MLP"}, "make no policy"),
        ("network", {"_target_": "pglab.models.networks.MLP", "sizes": [10**9]}, "its network here takes"),
        (
            "env",
            {"_target_": "pglab.envs.problems.random_mdp", "states": 10**9},
            "env (pglab.envs.problems.random_mdp)",
        ),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_settings_that_make_no_policy_are_one_error(copied_study: Path, capsys, group: str, value: Any, said: str):
    edit(rtg(copied_study), lambda about: about["identity"].update({group: value}))
    assert main([str(copied_study), "arm=rtg"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_lanes_that_nobody_plays_take_no_memory(copied_study: Path, capsys):
    edit(rtg(copied_study), lambda about: about["identity"].update(lanes=32 * 10**12))
    assert main([str(copied_study), "arm=rtg"]) == 0


def test_a_stored_network_sees_observations_as_it_did_in_training():
    for choice, buffers in (("raw", set()), ("normalized", {"observation_mean", "observation_scale"})):
        (composed,) = compose_runs([f"observations={choice}"])
        layout = build_stored(composed.settings).policy().model.layout
        assert {name for name in layout.shapes if name.startswith("observation")} == buffers
