"""What Hydra composes is checked key by key, and a mistake is named in one line."""

from pathlib import Path

import pytest
import yaml

from pglab.cli import compose_runs
from pglab.compose import CONF
from pglab.errors import InputError
from pglab.studies.asked import Composed
from pglab.sweep import _ByChoices, plain_jobs

GROUPS = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir())


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Composes in an empty folder, and sees that it is still empty afterwards."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


def refusal(*overrides: str) -> str:
    """The one line with which overrides are refused."""
    with pytest.raises(InputError) as refused:
        compose_runs(overrides)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("overrides", "baselines"),
    [
        (["weighting=total,rtg,baseline,gae"], ["none", "none", "value", "value"]),
        (["weighting=baseline,gae", "baseline=none"], ["none", "none"]),
        (["weighting=gae", "experiment=corridor_reinforce,corridor_baseline"], ["none", "value_table"]),
        pytest.param(["experiment=weighting_ablation", "head=softmax"], ["value"] * 4, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_weighting_brings_its_baseline_unless_another_is_chosen(overrides: list[str], baselines: list[str]):
    composed = compose_runs(overrides)
    assert [one.choices["baseline"] for one in composed] == baselines
    for one in composed:
        assert one.settings["weighting"].get("baseline", one.settings["baseline"]) == one.settings["baseline"]


def test_a_weighting_of_ones_own_brings_a_baseline_in_the_same_way(tmp_path_factory: pytest.TempPathFactory):
    own = tmp_path_factory.mktemp("own")
    (own / "weighting").mkdir()
    (own / "weighting" / "mine.yaml").write_text(
        "defaults: [gae, _self_, {override /baseline@_global_.baseline: leave_one_out}]\nlam: 1.0\n"
    )
    (composed,) = compose_runs(["weighting=mine"], own)
    assert composed.choices["baseline"] == "leave_one_out"
    assert composed.settings["weighting"]["lam"] == 1.0


def test_a_defaults_list_in_which_a_weighting_cannot_bring_its_baseline_is_told_how_it_can(
    tmp_path_factory: pytest.TempPathFactory,
):
    own = tmp_path_factory.mktemp("own")
    (own / "mine.yaml").write_text("defaults: [{weighting: gae}, {baseline: none}, _self_]\n")
    with pytest.raises(InputError) as refused:
        plain_jobs([], own, "mine", sweeps=True)
    assert str(refused.value) == (
        "weighting=gae brings a choice of baseline along: in the defaults list baseline must come before it"
    )


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_choice_is_answered_with_the_choices_there_are(group: str):
    message = refusal(f"{group}=nonsense")
    assert message.startswith(f"{group}=nonsense is not a choice")
    assert "--config-dir" in message
    for option in (CONF / group).glob("*.yaml"):
        assert option.stem in message


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("value", ["null", "3", ""])
def test_a_choice_that_is_no_name_is_named(group: str, value: str):
    assert f"{group}={value}" in refusal(f"{group}={value}")


@pytest.mark.parametrize(
    ("prefix", "misspelt", "meant"),
    [
        ("", "gama", "gamma"),
        ("+", "gama", "gamma"),
        ("++", "gama", "gamma"),
        ("+", "update", "updates"),
        ("", "optimizer.learning_rate", "optimizer.lr"),
        ("+", "optimizer.learning_rate", "optimizer.lr"),
        ("+", "estimator.normalise", "estimator.normalize"),
        ("", "evaluation.episode", "evaluation.episodes"),
        ("+", "logger.modes", "logger.mode"),
        ("+", "network.size", "network.sizes"),
        ("+", "env.horizons", "env.horizon"),
    ],
)
def test_a_misspelt_key_is_named_with_a_guess(prefix: str, misspelt: str, meant: str):
    message = refusal(f"{prefix}{misspelt}=1")
    assert message.startswith(f"unknown key {misspelt};")
    assert meant in message


def test_an_argument_that_the_component_takes_may_be_added():
    (composed,) = compose_runs(["optimizer=sgd", "+optimizer.momentum=0.9"])
    assert composed.settings["optimizer"]["momentum"] == 0.9


def test_an_argument_of_another_component_may_not_be_added():
    assert "optimizer.momentum" in refusal("optimizer=adam", "+optimizer.momentum=0.9")


def test_a_mapping_that_is_empty_by_default_takes_any_key():
    (composed,) = compose_runs(["env=gymnasium", "+env.kwargs.render_mode=rgb_array"])
    assert composed.settings["env"]["kwargs"] == {"render_mode": "rgb_array"}


@pytest.mark.parametrize(
    "override",
    [
        "gamma=high",
        "gamma=true",
        "gamma=null",
        "gamma=nan",
        "optimizer.lr=fast",
        "optimizer.lr=-inf",
        "updates=many",
        "updates=1.5",
        "seed=one",
        "seed=0.5",
        "lanes=few",
        "batch.steps=abc",
        "network.sizes=32",
        "env.horizon=1.5",
        "fuse=1",
        "estimator.normalize=maybe",
        "estimator.clip_norm=nan",
        "evaluation=null",
        "evaluation.episodes=1.5",
        "logger.timeout=soon",
        "results_dir=null",
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_key(override: str):
    assert refusal(override).startswith(f"{override.partition('=')[0]}=")


@pytest.mark.parametrize("key", ["updates", "evaluation", "logger.mode", "weighting", "weighting._target_"])
def test_a_key_that_every_run_needs_cannot_be_taken_away(key: str):
    assert refusal(f"~{key}").startswith(f"{key} is missing")


def test_a_key_for_which_the_component_has_a_default_can_be_taken_away():
    (composed,) = compose_runs(["~optimizer.lr"])
    assert "lr" not in composed.settings["optimizer"]


@pytest.mark.parametrize("override", ["foo", "gamma=1=2"])
def test_what_is_no_override_at_all_is_refused(override: str):
    with pytest.raises(InputError):
        compose_runs([override])


def test_a_sweep_is_composed_job_by_job_with_the_last_key_fastest():
    composed = compose_runs(["weighting=total,rtg", "seed=range(0,3)"])
    asked = [(one.choices["weighting"], one.settings["seed"]) for one in composed]
    assert asked == [(weighting, seed) for weighting in ("total", "rtg") for seed in range(3)]


@pytest.mark.parametrize(
    "overrides",
    [
        ["weighting=gae,rtg", "weighting.gamma=0.5", "seed=0,1", "gamma=0.9,0.5"],
        ["experiment=simple_pg,corridor_reinforce", "study='a, b = c'", "optimizer.lr=1e-3,0.1", "lanes=64"],
        ["env=frozenlake,corridor", "network=tabular", "+optimizer.maximize=false", "render_every=null", "device=cpu"],
        ["network.sizes=[8,8],[4]", "optimizer=sgd,adam", "~optimizer.lr", "updates=7"],
        ["optimizer.lr=${gamma}", "gamma=0.5,1.0", "study='${hydra:job.num}'"],
        ["batch=episodes,steps", "optimizer={lr: 0.5}", "evaluation={episodes: 3}", "logger.entity=null,me"],
        ["weighting=gae,rtg", "weighting.discount=true", "seed=0,1"],
        ["optimizer.lr=2,3", "++optimizer.lr=1", "gamma=0.5", "++gamma=0.4", "seed=1,2", "++seed=5,6"],
        ["optimizer.lr=0.1", "optimizer={lr: 0.5}", "evaluation={episodes: 4}", "evaluation.episodes=3"],
        ["optimizer={lr: 0.5},{lr: 0.2}", "optimizer.lr=0.1,0.3", "weighting=gae", "weighting={lam: 0.5}"],
        ["optimizer={lr: abc}"],
        ["batch={steps: 1.5}", "seed=0,1"],
        ["network={sizes: abc}"],
        ["logger.entity=${hydra:job.override_dirname}", "gamma=0.1,0.2"],
        ["seed=3", "until=decided", "until.difference=20"],
    ],
    ids=lambda overrides: overrides[0],
)
def test_each_job_is_what_hydra_makes_of_it_alone(overrides: list[str], monkeypatch: pytest.MonkeyPatch):
    def outcome() -> list[Composed] | str:
        try:
            return compose_runs(overrides)
        except InputError as error:
            return str(error)

    here = outcome()
    monkeypatch.setattr(_ByChoices, "_is_value", lambda by_choices, override: False)
    assert here == outcome()


def test_a_sweep_in_a_file_goes_by_keys_of_the_command(tmp_path_factory: pytest.TempPathFactory):
    own = tmp_path_factory.mktemp("own")
    (own / "experiment").mkdir()
    swept = 'hydra: {sweeper: {params: {seed: "range(0,${updates})"}}}'
    (own / "experiment" / "ranged.yaml").write_text(f"# @package _global_\n{swept}\n")
    jobs = compose_runs(["experiment=ranged", "updates=3"], own)
    assert [one.settings["seed"] for one in jobs] == [0, 1, 2]


def test_groups_repeat_the_plain_keys_they_depend_on():
    (composed,) = compose_runs(["weighting=baseline", "gamma=0.5", "baseline=leave_one_out"])
    assert composed.settings["weighting"]["gamma"] == 0.5
    assert composed.settings["weighting"]["baseline"] == composed.settings["baseline"]


def test_an_experiment_may_sweep_and_a_key_that_is_given_takes_the_place_of_its_sweep():
    composed = compose_runs(["experiment=weighting_ablation", "weighting=rtg"])
    arms = [(one.choices["weighting"], one.choices["head"]) for one in composed]
    assert arms == [("rtg", "softmax"), ("rtg", "sigmoid")]


EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
SWEEPING = {"ppo_details", "weighting_ablation", "group_estimators", "continuous_heads"}


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(experiment: str):
    for composed in compose_runs([f"experiment={experiment}"]):
        assert composed.choices["experiment"] == experiment


@pytest.fixture
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder of YAML files with a weighting of their own."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "weighting").mkdir()
    own = {"_target_": "pglab.algorithms.weightings.TotalReturn", "gamma": "${gamma}"}
    (folder / "weighting" / "own.yaml").write_text(yaml.safe_dump(own))
    return folder


def test_a_users_own_choice_joins_those_there_are(own_folder: Path):
    own, rtg = compose_runs(["weighting=own,rtg", "gamma=0.25"], own_folder)
    assert own.settings["weighting"] == {"_target_": "pglab.algorithms.weightings.TotalReturn", "gamma": 0.25}
    assert rtg.choices["weighting"] == "rtg"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"- 1\n", "weighting=mine is [1], and not a mapping; its file is to hold lines of key: value"),
        (b"1: 2\n", "weighting=mine has the key 1, which is no text; begin a key with a letter"),
        (b"_target_: pglab.algorithms.weightings.RewardToGo\n1: 2\n", "weighting=mine has the key 1, which is no text"),
        (b"_target_: mine # \xff\n", "mine.yaml is not UTF-8; save it as such"),
    ],
)
def test_a_file_of_ones_own_that_is_no_mapping_of_names_is_named(content: bytes, told: str, tmp_path_factory):
    folder = tmp_path_factory.mktemp("conf")
    (folder / "weighting").mkdir()
    (folder / "weighting/mine.yaml").write_bytes(content)
    with pytest.raises(InputError) as refused:
        compose_runs(["weighting=mine"], folder)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_keys_of_a_users_own_choice_are_checked_like_any(own_folder: Path):
    with pytest.raises(InputError, match=r"unknown key weighting\.gama; did you mean weighting\.gamma"):
        compose_runs(["weighting=own", "weighting.gama=1"], own_folder)


@pytest.mark.parametrize("chosen", ["surrogate=clip", "surrogate=pg"])
def test_a_misspelt_key_is_sought_among_those_of_its_groups_choices(chosen: str):
    with pytest.raises(InputError, match=r"unknown key surrogate\.clp; did you mean surrogate\.clip\b"):
        compose_runs([chosen, "surrogate.clp=0.3"])


def test_a_key_that_holds_the_word_is_nearer_than_one_that_is_spelt_alike():
    with pytest.raises(InputError, match=r"unknown key env\.skip; did you mean env\.frame_skip\?"):
        compose_runs(["env=atari", "env.skip=2"])
