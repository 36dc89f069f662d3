"""Overrides hold what a user types; what cannot be read is said in the user's own terms, not in a grammar's."""

from pathlib import Path

import pytest

from pglab.cli import compose_runs
from pglab.errors import InputError
from pglab.overrides import parsed, quoted, typed
from pglab.studies.asked import study_name
from pglab.studies.plan import make_plan


@pytest.mark.parametrize(
    "value",
    ["été", "répertoire/à côté", "a=b", "/data/lr=0.1/run#2", "50%", "a&b", "#1", "研究", "a b", "$x", "it;s", "a\\,b"],
)
def test_a_value_holds_any_letter_and_further_equals_signs(value: str):
    (override,) = parsed([f"study={value}"])
    assert override.value() == value.replace("\\,", ",")
    assert typed(quoted(f"study={value}")) == f"study={value}"


def test_each_value_of_a_sweep_may_hold_any_letter():
    (override,) = parsed(["name=été,'a,b',lr=0.1"])
    assert list(override.sweep_string_iterator()) == ["'été'", "'a,b'", "'lr=0.1'"]


@pytest.mark.parametrize("text", ["seed=range(start=0,stop=2)", "a='b=c'", 'a="é,è"', "a=[1,2]", "a={b:1}", "a=${b}"])
def test_an_override_that_hydra_reads_stays_as_it_is(text: str):
    assert quoted(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("weighting=rtg,", "weighting=rtg,: a comma has no value beside it"),
        ("seed=0,,1", "seed=0,,1: a comma has no value beside it"),
        ("network.sizes=[32,]", "a comma has no value beside it"),
        ("network.sizes=[32", "a bracket is not closed"),
        ("study=it's", "a quotation mark is not closed"),
        ("results_dir=/tmp/a(b)", "put quotation marks around the value"),
        ("seed=range(0,x)", "seed=range(0,x) cannot be evaluated"),
        ("seed=foo(1)", "seed=foo(1) cannot be evaluated"),
        ("rtg", "rtg is no setting; write key=value"),
        ("weighting:rtg", "weighting:rtg is no setting; write key=value"),
        ("=rtg", "=rtg: nothing is no key"),
        ("clé=1", "clé is no key"),
        ("study=1.5", "study=1.5 is no name of a folder"),
        ("study=", "must be the name of a folder"),
        ("results_dir=~/x", "begins with ~"),
        ("lr=0.1", "unknown key lr; did you mean optimizer.lr"),
        ("~foo", "unknown key foo"),
        ("+gamma=1", "+gamma: the key is there already"),
        ("+experiment=simple_pg", "+experiment: the key is there already"),
        ("study=${foo}", "${foo}: there is no key foo"),
        ("weighting={a:1}", "weighting is set to one of its choices, by name: baseline"),
        ("weighting=[rtg,total]", "weighting=rtg,total with -m is a sweep"),
    ],
)
def test_what_cannot_be_read_is_one_line_in_the_users_terms(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        make_plan(compose_runs([text]))
    message = str(refused.value)
    assert said in message
    assert "\n" not in message
    assert not any(word in message for word in ("EOF", "Lexer", "input '", "Hydra", "override"))
    assert list(tmp_path.iterdir()) == []


def test_a_study_a_folder_and_a_choice_of_ones_own_may_have_any_name(tmp_path: Path):
    own = tmp_path / "mößig" / "weighting"
    own.mkdir(parents=True)
    (own / "schätzer.yaml").write_text("_target_: pglab.algorithms.weightings.TotalReturn\ngamma: ${gamma}\n")
    asked = ["weighting=schätzer", "study=été=2024", f"results_dir={tmp_path}/répertoire"]
    (composed,) = compose_runs(asked, tmp_path / "mößig")
    assert composed.choices["weighting"] == "schätzer"
    assert composed.overrides == tuple(asked)
    assert study_name([composed]) == "été=2024"
    (arm,) = make_plan([composed]).arms
    assert arm.files.folder == tmp_path / "répertoire" / "été=2024" / "weighting=schätzer"


def test_a_study_may_be_named_by_a_year():
    assert make_plan(compose_runs(["study=2024"])).folder == Path("results/2024")
