"""Names of arms and studies are safe folder names, and two arms never share one."""

from pathlib import PurePosixPath

from hypothesis import example, given
from hypothesis import strategies as st

from pglab.settings import canonical
from pglab.studies.asked import Composed, runs_of, study_name

SETTINGS = {"seed": 0, "seeds": None, "study": None}

values = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters=","), max_size=150)


def arm_name(*overrides: str) -> str:
    (run,) = runs_of(Composed(SETTINGS, {}, {}, overrides))
    return run.arm.name


@given(st.lists(values, max_size=3))
def test_whatever_is_set_an_arm_is_one_visible_folder(some: list[str]):
    name = arm_name(*(f"env.id={value}" for value in some))
    assert PurePosixPath(name).parts == (name,)
    assert not name.startswith(".")
    assert len(name) <= 110


@given(values, values)
def test_different_values_have_different_names(one: str, other: str):
    assert (arm_name(f"env.id={one}") == arm_name(f"env.id={other}")) == (one == other)


@given(st.permutations(["gamma=0.5", "weighting=total", "optimizer.lr=1", "head=sigmoid"]))
def test_the_order_of_what_was_set_is_of_no_account(overrides: list[str]):
    assert arm_name(*overrides) == "gamma=0.5,head=sigmoid,optimizer.lr=1,weighting=total"


def test_the_prefix_of_an_added_key_is_no_part_of_the_name():
    assert arm_name("+optimizer.momentum=0.9") == arm_name("++optimizer.momentum=0.9") == "optimizer.momentum=0.9"


def test_a_study_is_named_after_the_keys_that_were_set_or_as_it_was_told():
    asked = ("weighting=total", "seed=3", "optimizer.lr=0.1", "workers=2")
    assert study_name([Composed(SETTINGS, {}, {}, asked)]) == "optimizer.lr,weighting"
    assert study_name([Composed({**SETTINGS, "study": "mine"}, {}, {}, asked)]) == "mine"


@given(st.lists(values, min_size=1, max_size=3))
@example(["é" * 150])
def test_whatever_the_problem_its_study_is_one_visible_folder_that_a_file_system_takes(some: list[str]):
    asked = tuple(f"env.id{number}={value}" for number, value in enumerate(some))
    name = study_name([Composed(SETTINGS, {}, {}, asked)])
    assert PurePosixPath(name).parts == (name,)
    assert not name.startswith(".")
    assert len(name.encode()) <= 255


def test_a_whole_number_has_the_text_of_the_same_decimal_but_not_of_a_truth():
    assert canonical({"gamma": 1}) == canonical({"gamma": 1.0})
    assert canonical({"gamma": 1}) != canonical({"gamma": True})


def test_the_order_of_keys_is_no_part_of_the_text():
    assert canonical({"a": [1, {"c": 2, "b": 3}]}) == canonical({"a": [1.0, {"b": 3, "c": 2}]})
    assert canonical({"a": [1, 2]}) != canonical({"a": [2, 1]})
