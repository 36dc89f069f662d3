"""Every setting has one role, told in one table."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

import pglab
from pglab.cli import compose_runs
from pglab.results import IncompleteStudy, compare, load, load_evaluation, scores
from pglab.settings import ARM, KEYS, Decides, as_now, decides, difference, naming
from tests.conftest import ROOT

CONF = ROOT / "conf"
GROUPS = {folder.name for folder in CONF.iterdir() if folder.is_dir()}


def keys_of(file: str) -> set[str]:
    """The top-level keys and groups of a file in conf/."""
    content = yaml.safe_load((CONF / file).read_text())
    named = [name for entry in content["defaults"] if isinstance(entry, dict) for name in entry]
    groups = {name.partition("@")[2].partition(".")[0] or name for name in named if not name.startswith("override ")}
    return groups | content.keys() - {"defaults", "hydra"}


def test_the_table_has_every_key_of_conf_and_no_other():
    assert keys_of("config.yaml") | keys_of("verify.yaml") == KEYS.keys()


def test_every_composed_key_is_in_the_table():
    (composed,) = compose_runs([])
    assert composed.settings.keys() <= KEYS.keys()
    assert composed.choices.keys() - {"experiment"} <= composed.settings.keys()


def test_a_key_decides_numbers_or_the_command_or_the_row_and_never_two_of_them():
    for key, role in KEYS.items():
        kinds = [kind for kind in (Decides.NUMBERS, Decides.COMMAND, Decides.ROW) if kind in role]
        assert len(kinds) == (0 if key == "experiment" else 1), key
        assert Decides.NAME not in role or Decides.COMMAND not in role, key
        assert Decides.SHAPES not in role or Decides.NUMBERS in role, key


def test_a_key_or_group_of_the_users_own_makes_an_arm():
    assert decides("my_group.lr") == ARM


def test_a_name_is_made_of_what_makes_an_arm():
    given = ["weighting=rtg", "~seed", "+optimizer.momentum=0.9", "workers=3", "logger.mode=offline", "my=1"]
    assert naming([*given, "hydra.sweep.dir=x", "evaluation.episodes=3"]) == [
        "my=1",
        "optimizer.momentum=0.9",
        "weighting=rtg",
    ]


def test_a_difference_is_told_by_its_dotted_key():
    assert difference({"a": {"b": 1}}, {"a": {"b": 2}}) == ("a.b", 1, 2)
    assert difference({"a": 1}, {}) == ("a", 1, "absent")


@pytest.mark.parametrize("kept", [False, True])
def test_a_retired_key_is_passed_over_only_where_it_says_what_its_successor_says(kept: bool):
    now = {"weighting": {"gamma": 0.9}, "estimator": {"discount_states": False}}
    before = {**now, "weighting": {"gamma": 0.9, "discount_states": kept}}
    told = ("weighting.discount_states", True, "absent")
    assert difference(as_now(before), as_now(now)) == (told if kept else None)


def test_a_setting_that_came_later_is_there_at_the_value_that_changes_nothing():
    value = "pglab.algorithms.baselines.Value"
    stored = {"weighting": {"baseline": {"_target_": value, "fit_steps": 10}}, "baseline": {"_target_": value}}
    now = as_now(stored)
    assert now["surrogate"]["_target_"].endswith(".Surrogate")
    assert now["weighting"]["baseline"]["fit"] == now["baseline"]["fit"] == "after"
    for key in ("surrogate", "reuse", "step", "schedule"):  # and so in the defaults of today
        assert compose_runs([])[0].settings[key] == now[key]
    assert as_now({"evaluation": {"episodes": 100}})["evaluation"] == compose_runs([])[0].settings["evaluation"]


OWN_INIT = """
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Small:
    scale: float

    def __call__(self, shape, fan_in, generator):
        return torch.empty(shape).normal_(generator=generator) * self.scale
"""


@pytest.fixture(scope="module")
def inits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three initialisations, one of them a user's own."""
    folder = tmp_path_factory.mktemp("inits")
    (folder / "conf" / "init").mkdir(parents=True)
    (folder / "my_init.py").write_text(OWN_INIT)
    (folder / "conf" / "init" / "small.yaml").write_text("_target_: my_init.Small\nscale: 0.5\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        grid = ["init=gaussian,centred_uniform,small", "seeds=3", "env=corridor", "batch=few_episodes", "updates=2"]
        pglab.run(
            [*grid, "workers=1", "logger.mode=disabled", "study=s", f"results_dir={folder}", "evaluation.episodes=5"],
            config_dir=folder / "conf",
        )
    return folder / "s"


@pytest.mark.filterwarnings(f"ignore::{IncompleteStudy.__module__}.IncompleteStudy")
def test_verdicts_name_choices_of_any_group_the_users_own_included(inits: Path):
    updates = load(inits)
    assert set(updates["init"]) == {"gaussian", "centred_uniform", "small"}
    assert not [column for column in updates.columns if "_target_" in column]
    verdicts = compare(scores(updates, load_evaluation(inits)))
    assert verdicts["label"].tolist() == ["centred_uniform", "small"]
    assert set(verdicts["control_label"]) == {"gaussian"}


def test_a_group_that_all_arms_chose_alike_is_no_column(study: Path):
    assert isinstance(load(study), pd.DataFrame)
    assert "init" not in load(study).columns
