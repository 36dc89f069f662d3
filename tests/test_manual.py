"""`--help` lists every group, choice and key of `conf/`, each with its line, from the comments there."""

import inspect
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from hydra.utils import get_object

from pglab.cli import main
from pglab.compose import CONF, CONFIG, _parameters
from pglab.errors import InputError
from pglab.manual import manual
from pglab.reference import Entry, docstring, entries
from tests.test_imports import modules_after

OF_CONFIG = list(entries())


def keys_of(content: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every key that a user can set, with what its value is, as PyYAML reads the file."""
    for name, value in (content or {}).items():
        if name not in ("defaults", "hydra") and not name.startswith("_"):
            yield prefix + name, value
            yield from keys_of(value, f"{prefix}{name}.") if isinstance(value, dict) else ()


@pytest.mark.parametrize("config_name", [CONFIG, "verify"])
def test_every_group_choice_and_key_has_its_line(config_name: str):
    found = list(entries(config_name))
    assert [entry.name for entry in found if not entry.line] == []
    assert [entry.name for entry in found if entry.kind == "key" and not entry.allowed and entry.default is None] == []


known = cache(lambda config_name: list(entries(config_name)))


@pytest.mark.parametrize("file", sorted(CONF.rglob("*.yaml")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_no_key_of_a_file_is_left_out(file: Path):
    if file.parent.name == "experiment":  # sets keys that are described where they belong
        return
    of_run = file.parent == CONF
    content, prefix = yaml.safe_load(file.read_text()), "" if of_run else f"{file.parent.name}."
    listed = {entry.name: entry.default for entry in known(file.stem if of_run else CONFIG) if entry.file == file}
    there = dict(keys_of(content, prefix))
    in_one_line = {key for key in there if key.startswith("problems.") and key.count(".") > 1}
    assert {key: value for key, value in listed.items() if "=" not in key and key in there} == {
        key: value for key, value in there.items() if key not in in_one_line
    }


def literals(annotation: Any) -> set[str]:
    """The words and truth values that an annotation allows, as one types them."""
    if get_origin(annotation) is Literal:
        return {str(value).lower() if isinstance(value, bool) else value for value in get_args(annotation)}
    return {word for part in get_args(annotation) for word in literals(part)}


def with_components(config_name: str) -> Iterator[tuple[Entry, Any]]:
    """Keys that are arguments of a component, with the argument's annotation."""
    for entry in entries(config_name):
        content = yaml.safe_load(entry.file.read_text()) or {}
        names = entry.name.split(".") if not entry.choice else entry.name.split(".")[1:]
        for name in names[:-1]:
            content = content[name]
        if entry.kind == "key" and content.get("_target_"):
            yield entry, (_parameters(content["_target_"]) or {})[names[-1]].annotation


@pytest.mark.parametrize("config_name", [CONFIG, "verify"])
def test_words_that_are_said_to_be_allowed_are_those_that_the_component_takes(config_name: str):
    checked = 0
    for entry, annotation in with_components(config_name):
        if words := literals(annotation):
            checked += 1
            assert set(entry.allowed.split(", ")) == words, entry.name
        if type(None) in get_args(annotation) and not entry.name.startswith(("batch.", "env.kwargs")):
            assert "null" in entry.allowed, entry.name
    assert checked > 2


@pytest.mark.parametrize("columns", [60, 120])
def test_the_list_fits_the_terminal_and_names_everything(columns: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = manual([], CONFIG, [CONF])
    assert max(map(len, text.splitlines())) <= columns
    for entry in OF_CONFIG:
        name = entry.name.partition("=")[2] or entry.name
        if entry.kind != "key" or not entry.choice:
            assert name in text


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("weighting", ["gae", "weighting.lam=0.95", "[0 to 1]"]),
        (
            "weighting=gae",
            ["Schulman et al. 2016", "pglab.algorithms.weightings.GeneralizedAdvantage", "weighting.lam"],
        ),
        ("optimizer.lr", ["optimizer=adam", "optimizer=sgd", "learning rate", "[above 0]"]),
        ("estimator", ["estimator.reduction=steps", "steps, episodes, sum"]),
        ("experiment=ppo", ["Schulman et al. 2017", "override /surrogate: clip"]),
    ],
)
def test_more_is_told_of_a_topic(topic: str, said: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "120")
    text = manual([topic], CONFIG, [CONF])
    assert [words for words in said if words not in text] == []


def test_a_topic_that_there_is_not_is_answered_with_a_guess():
    with pytest.raises(InputError, match=r"lam is no group, choice or key; did you mean weighting\.lam\?"):
        manual(["lam"], CONFIG, [CONF])


def test_parts_of_ones_own_are_listed_with_their_docstring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "near_sighted.py").write_text('class NearSighted:\n    """The next `n` rewards only: Ψ_t."""\n')
    (tmp_path / "conf" / "weighting").mkdir(parents=True)
    (tmp_path / "conf" / "weighting" / "mine.yaml").write_text(
        "_target_: near_sighted.NearSighted\nn: 20  # how many\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("sys.argv", ["pglab", "--help", "weighting", "--config-dir", "conf"])
    monkeypatch.setattr("pglab.cli._listen_for_interruption", threading.Event)
    assert main() == 0
    out = capsys.readouterr().out
    assert "The next `n` rewards only: Ψ_t [weighting.n]" in out
    assert "weighting.n=20  how many [whole number]" in out


def test_docstrings_are_read_without_importing_anything():
    assert docstring("torch.optim.Adam") == ""
    assert docstring("nowhere.Nothing") == ""
    code = "import sys\nsys.argv = ['pglab', '--help', 'weighting=gae']\nfrom pglab.cli import main\nassert main() == 0"
    assert not {"torch", "wandb", "gymnasium"} & modules_after(code)
    target = "pglab.algorithms.weightings.RewardToGo"
    assert docstring(target) == inspect.getdoc(get_object(target))
