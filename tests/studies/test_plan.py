"""Everything that one command does is decided, and refused, before any of it is done."""

from dataclasses import replace
from pathlib import Path

import pytest

from pglab.cli import compose_runs
from pglab.errors import InputError
from pglab.settings import SHORT
from pglab.studies.asked import Composed, arm_name
from pglab.studies.plan import MOST_RUNS, Plan, make_plan


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Plans in an empty folder, and sees that it is still empty afterwards."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


def planned(*overrides: str) -> Plan:
    return make_plan(compose_runs(overrides))


def refusal(*overrides: str) -> str:
    """The one line with which overrides are refused."""
    with pytest.raises(InputError) as refused:
        planned(*overrides)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def default() -> Composed:
    (composed,) = compose_runs([])
    return composed


def changed(composed: Composed, **values: object) -> Composed:
    """The same configuration with other values; `group__key` is a key of a group."""
    settings = {key: dict(part) if isinstance(part, dict) else part for key, part in composed.settings.items()}
    for name, value in values.items():
        group, _, key = name.rpartition("__")
        (settings[group] if group else settings)[key] = value
    return replace(composed, settings=settings)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gamma", 1.01),
        ("gamma", -0.01),
        ("weighting__gamma", 7.0),
        ("updates", 0),
        ("updates", -1),
        ("seed", -1),
        ("seed", 2**63),
        ("seeds", 0),
        ("seeds", -1),
        ("seeds", 1.5),
        ("seeds", "many"),
        ("seeds", True),
        ("lanes", 0),
        ("lanes", -32),
        ("lanes", 31),
        ("workers", 0),
        ("workers", -1),
        ("workers", 1.5),
        ("workers", "all"),
        ("workers", True),
        ("evaluation__episodes", -1),
        ("logger__mode", "sometimes"),
        ("logger__timeout", -1),
        ("optimizer__lr", 0.0),
        ("optimizer__lr", -0.01),
        ("study", ""),
        ("study", ".."),
        ("study", "a/b"),
        ("study", True),
        ("results_dir", " "),
        ("device", "tpu"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_key(default: Composed, key: str, value: object):
    with pytest.raises(InputError) as refused:
        make_plan([changed(default, **{key: value})])
    message = str(refused.value)
    assert message.startswith(f"{key.replace('__', '.')}={value} ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "value"), [("gamma", 0.0), ("gamma", 1.0), ("evaluation__episodes", 0), ("seed", 2**63 - 1)]
)
def test_the_ends_of_a_range_belong_to_it(default: Composed, key: str, value: object):
    assert make_plan([changed(default, **{key: value})]).missing == 1


def test_the_last_of_several_seeds_must_be_in_range_too(default: Composed):
    with pytest.raises(InputError, match="seed="):
        make_plan([changed(default, seed=2**63 - 1, seeds=2)])


@pytest.mark.parametrize(("key", "values"), [("updates", (10, 50)), ("evaluation__episodes", (3, 4))])
def test_the_same_arm_twice_is_refused_with_the_difference(default: Composed, key: str, values: tuple[int, int]):
    with pytest.raises(InputError) as refused:
        make_plan([changed(default, **{key: value}) for value in values])
    for value in values:
        assert f"{key.replace('__', '.')}={value}" in str(refused.value)


@pytest.mark.parametrize("overrides", [["seed=0,0"], ["seed=0,1", "seeds=2"], ["gamma=0.5,5e-1"]], ids=str)
def test_a_seed_asked_for_twice_is_refused(overrides: list[str]):
    assert "is asked for twice" in refusal(*overrides)


LONG = [
    *("env.horizon=77", "baseline=value", "baseline.fit=before", "baseline.optimizer.lr=0.003,0.01", "batch.steps=123"),
    *("estimator.clip_norm=0.5", "estimator.normalize=batch"),
]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([*LONG, "seed=0,0"], "arm lr=0.003: seed 0 is asked for twice"),
        ([*LONG, "updates=5,6"], "updates=5 and updates=6 would both be written to arm lr=0.003: "),
    ],
    ids=["seed", "updates"],
)
def test_an_arm_whose_folders_name_would_be_cut_is_named_by_what_differs(overrides: list[str], said: str):
    assert len(arm_name(compose_runs(overrides)[0])) > SHORT
    assert refusal(*overrides).startswith(said)


@pytest.mark.parametrize("overrides", [["seed=range(0,0)"], ["weighting=total,rtg", "seed=range(3,3)"]], ids=str)
def test_an_empty_sweep_is_refused(overrides: list[str]):
    assert "empty" in refusal(*overrides)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("study", ("a", "b")),
        ("results_dir", ("a", "b")),
        ("workers", (1, 2)),
        ("fuse", (True, False)),
        ("logger__mode", ("offline", "disabled")),
        ("diagnostics__every", (1, 2)),
    ],
)
def test_what_a_command_has_only_once_cannot_be_swept(default: Composed, key: str, values: tuple):
    with pytest.raises(InputError) as refused:
        make_plan([changed(default, **{key: value}) for value in values])
    for value in values:
        assert f"{key.replace('__', '.')}={value}" in str(refused.value)


def test_a_sweep_over_seeds_gives_one_arm_with_a_row_for_each():
    plan = planned("weighting=total,rtg", "seed=3,1,2")
    assert [arm.name for arm in plan.arms] == ["weighting=total", "weighting=rtg"]
    assert [arm.seeds for arm in plan.arms] == [(3, 1, 2), (3, 1, 2)]


def test_seeds_counts_on_from_seed():
    plan = planned("seed=5", "seeds=3")
    assert [arm.seeds for arm in plan.arms] == [(5, 6, 7)]
    assert plan.arms[0].name == "default"


def test_an_arm_is_named_after_what_was_set_whatever_the_order():
    first, second = (planned(*order) for order in (["gamma=0.5", "head=sigmoid"], ["head=sigmoid", "gamma=0.5"]))
    assert first.arms[0].name == second.arms[0].name == "gamma=0.5,head=sigmoid"
    assert first.folder == second.folder == Path("results/gamma,head")


def test_how_and_where_to_train_is_no_part_of_a_name():
    plan = planned(
        "workers=1",
        "fuse=false",
        "logger.mode=disabled",
        "seed=4",
        "updates=3",
        "diagnostics=gradient",
        "results_dir=there",
    )
    assert plan.arms[0].name == "default"
    assert plan.folder == Path("there/default")


def test_runs_of_the_same_shapes_share_a_bundle():
    plan = planned("weighting=total,rtg", "optimizer.lr=0.1,0.2", "seeds=2", "workers=1")
    (shard,) = plan.shards
    assert shard.runs == 8


def test_runs_of_different_shapes_do_not():
    plan = planned("env=cartpole,corridor", "head=softmax,sigmoid", "workers=1")
    assert sorted(number for shard in plan.shards for number, _ in shard.arms) == [0, 1, 2, 3]
    assert len(plan.shards) == 4


@pytest.mark.parametrize("workers", [1, 3, 12])
def test_every_run_is_in_one_shard_and_shards_are_of_nearly_equal_size(workers: int):
    plan = planned("weighting=total,rtg", "seeds=5", f"workers={workers}")
    runs = [(number, seed) for shard in plan.shards for number, seeds in shard.arms for seed in seeds]
    assert sorted(runs) == [(number, seed) for number in range(2) for seed in range(5)]
    sizes = [shard.runs for shard in plan.shards]
    assert max(sizes) - min(sizes) <= 1
    assert plan.workers == len(plan.shards) == min(workers, 10)


def test_bundles_are_cut_no_finer_than_keeps_workers_busy():
    # Four networks are four bundles of 20 runs.
    networks = ("network.sizes=[4],[8],[16],[32]", "seeds=20")
    for workers, sizes in ((1, [20] * 4), (2, [20] * 4), (4, [10] * 8), (16, [2, 3] * 16)):
        plan = planned(*networks, f"workers={workers}")
        assert sorted(shard.runs for shard in plan.shards) == sorted(sizes)
        assert plan.workers == workers


def test_thousands_of_runs_train_in_shards_that_a_cache_and_a_memory_hold():
    plan = planned("weighting=total,rtg", f"seeds={MOST_RUNS}", "workers=1")
    assert [shard.runs for shard in plan.shards] == [MOST_RUNS] * 2
    plan = planned("weighting=total,rtg", f"seeds={MOST_RUNS + 1}", "workers=2")
    assert [shard.runs for shard in plan.shards] == [250, 251] * 2


def test_without_fusion_every_run_is_a_shard_of_its_own():
    plan = planned("weighting=total,rtg", "seeds=3", "fuse=false")
    assert [shard.runs for shard in plan.shards] == [1] * 6
