"""Overrides and options may come in any order; values of options stay with them."""

import pytest

from pglab.arguments import parse
from pglab.errors import InputError


@pytest.mark.parametrize(
    "line",
    [
        "weighting=rtg seed=0,1 -m --config-dir a=b",
        "weighting=rtg -m seed=0,1 --config-dir a=b",
        "--config-dir a=b weighting=rtg --multirun seed=0,1",
        "weighting=rtg -cd a=b seed=0,1 -m",
        "-m --config-dir=a=b --weighting=rtg seed=0,1",
        "--config-dir=a=b -m weighting=rtg -- seed=0,1",
    ],
)
def test_an_override_is_one_wherever_it_stands(line: str):
    asked = parse(line.split())
    assert sorted(asked.overrides) == ["seed=0,1", "weighting=rtg"]
    assert asked.options == {"multirun": True, "config_dir": "a=b"}
    assert (asked.sweeps, asked.trains) == (True, True)


def test_hydra_gets_all_overrides_in_one_piece_and_every_option_with_its_value():
    asked = parse(["gamma=1", "--cfg", "job", "~seed", "-m", "-cn", "other", "--package", "x", "+a=b"])
    options = ["--multirun", "--config-name=other", "--package=x", "--cfg=job"]
    assert asked.for_hydra() == ["gamma=1", "~seed", "+a=b", *options]
    assert not asked.trains


@pytest.mark.parametrize("key", ["experiment", "env", "plan", "init", "seeds", "weighting.lam"])
def test_a_sweep_agents_form_of_an_override_is_never_taken_for_an_option(key: str):
    assert parse([f"--{key}=1"]).overrides == (f"{key}=1",)
    assert parse([f"--{key}=None"]).overrides == (f"{key}=null",)
    assert parse([f"--{key}=a=b"]).overrides == (f"{key}=a=b",)


@pytest.mark.parametrize("option", ["--nonsense", "-x", "--config"])
def test_an_option_that_there_is_not_is_named(option: str):
    with pytest.raises(InputError, match=f"{option} is no option"):
        parse(["seed=0", option])


def test_an_option_without_its_value_is_named():
    with pytest.raises(InputError, match="--config-dir"):
        parse(["seed=0", "--config-dir"])
