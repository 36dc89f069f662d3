"""Runs of other programs are arms beside one's own, and never make pairs with them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pglab.errors import InputError
from pglab.report.command import main as report
from pglab.results import compare, describe_arms, read_runs, scores
from pglab.results.plots import learning_curves
from tests.report.made_study import write_grid
from tests.results.made import updates_of

OWN = updates_of(
    {(arm, seed): ("finished", [10.0 * (seed + 1), 20.0 + seed]) for arm in ("total", "rtg") for seed in range(8)}
)


def theirs(arms: int = 1, seeds: int = 7) -> pd.DataFrame:
    """Rows as CleanRL's logs have them."""
    rows = [
        {"exp_name": f"ppo{arm}", "seed": seed, "global_step": 500 * step, "charts/episodic_return": 30.0 + seed + step}
        for arm in range(arms)
        for seed in range(seeds)
        for step in (2, 1)
    ]
    return pd.DataFrame(rows)


def test_a_tidy_frame_becomes_arms_with_their_own_order_of_steps():
    frame = read_runs(theirs(arms=2))
    assert list(frame["arm"].unique()) == ["ppo0", "ppo1"]
    assert frame["their_seed"].unique().tolist() == list(range(7))
    assert frame.groupby("seed")["update"].apply(list).tolist() == [[1, 2]] * 14
    assert (frame["seed"] < 0).all()
    assert frame["seed"].nunique() == 14
    assert frame.groupby("seed")["env_steps"].apply(list).tolist() == [[500, 1000]] * 14
    assert set(frame["status"]) == {"finished"}


def test_they_are_described_compared_and_drawn_beside_ones_own_and_not_paired():
    both = read_runs(theirs(), beside=OWN)
    runs = scores(both)
    assert describe_arms(runs)["n"].tolist() == [8, 8, 7]
    table = compare(runs).set_index("arm")
    assert not table.loc["ppo0", "paired"]
    assert table.loc["weighting=rtg", "paired"]
    assert "7 and 8 seeds, not paired" in table.loc["ppo0", "verdict"]
    known = scores(read_runs(theirs()))["score"].mean() - scores(OWN)["score"][:8].mean()
    assert table.loc["ppo0", "difference"] == pytest.approx(known)
    assert learning_curves(both).axes


def test_two_sources_never_make_pairs_with_each_other():
    one = read_runs(theirs(), beside=OWN)
    both = read_runs(theirs(), arm="other", beside=one)
    assert not compare(scores(both), all_pairs=True).set_index(["arm", "control"]).loc[("other", "ppo0"), "paired"]


def test_columns_are_mapped_by_name():
    frame = theirs().rename(columns={"charts/episodic_return": "score", "exp_name": "what"})
    with pytest.raises(
        InputError, match="no column says return_mean; name it, such as return_mean=NAME: there are what"
    ):
        read_runs(frame)
    with pytest.raises(InputError, match="there is no column reward; there are: what, seed, global_step, score"):
        read_runs(frame, {"return_mean": "reward"})
    with pytest.raises(InputError, match="columns are given for return_mean"):
        read_runs(frame, {"loss": "score"})
    assert read_runs(frame, {"return_mean": "score", "arm": "what"})["arm"].unique().tolist() == ["ppo0"]
    assert read_runs(frame, {"return_mean": "score"}, arm="mine")["arm"].unique().tolist() == ["mine"]


def test_what_is_no_table_of_runs_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="is no file, no folder"):
        read_runs(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="has no event files of TensorBoard"):
        read_runs(tmp_path)
    with pytest.raises(InputError, match="is not all numbers"):
        read_runs(theirs().assign(**{"charts/episodic_return": "high"}))
    with pytest.raises(InputError, match="has no row with both"):
        read_runs(theirs().assign(**{"charts/episodic_return": np.nan}))
    with pytest.raises(InputError, match=r"an arm of one's own has that name"):
        read_runs(theirs(), arm="weighting=rtg".replace("=", ":"), beside=OWN.assign(arm="weighting:rtg"))
    several = pd.concat([OWN, OWN.assign(env="acrobot", arm="x")])
    with pytest.raises(InputError, match=r"name it by problem=…: cartpole; acrobot"):
        read_runs(theirs(), beside=several)
    assert set(read_runs(theirs(), beside=several, problem="acrobot")["env"][-1:]) == {"acrobot"}


@pytest.mark.parametrize(
    ("file", "content", "arm", "seed"),
    [
        ("PPO_3/progress.csv", "time/total_timesteps,rollout/ep_rew_mean\n2048,\n4096,21.5\n6144,30\n", "PPO", "3"),
        ("vpg_s10/progress.txt", "Epoch\tAverageEpRet\tTotalEnvInteracts\n0\t20\t4000\n1\t30\t8000\n", "vpg", "10"),
    ],
)
def test_a_pattern_of_files_has_a_run_in_each_folder(tmp_path: Path, file: str, content: str, arm: str, seed: str):
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(content)
    frame = read_runs(tmp_path / "*" / Path(file).name)
    assert frame[["arm", "their_seed"]].drop_duplicates().values.tolist() == [[arm, seed]]
    assert len(frame) == 2


WRITE = """
import sys
from torch.utils.tensorboard import SummaryWriter
for seed in (1, 2):
    with SummaryWriter(f"{sys.argv[1]}/CartPole-v1__ppo__{seed}__1700000000") as writer:
        for step in range(1, 1500):  # more than TensorBoard keeps unless it is asked for all
            writer.add_scalar("charts/episodic_return", step + seed, 10 * step)
            writer.add_scalar("losses/value_loss", 0.5, 10 * step)
"""


def test_event_files_of_tensorboard_are_read_to_the_last_row(tmp_path: Path):
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], check=True, capture_output=True)
    frame = read_runs(tmp_path)
    assert frame["arm"].unique().tolist() == ["ppo"]
    assert frame.groupby("their_seed")["return_mean"].agg(["size", "max"]).to_numpy().tolist() == [
        [1499, 1500],
        [1499, 1501],
    ]
    with pytest.raises(InputError, match="return_mean=TAG names them"):
        read_runs(tmp_path, {"return_mean": "eval/mean_reward"})


def test_the_report_has_them_as_a_further_arm(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = write_grid(tmp_path / "grid")
    theirs().rename(columns={"charts/episodic_return": "reward"}).to_csv(tmp_path / "cleanrl.csv", index=False)
    given = [str(study), "--with", str(tmp_path / "cleanrl.csv"), "--output", str(tmp_path / "page.html")]
    assert report(given) == 2
    assert "no column says return_mean" in capsys.readouterr().err
    assert report([*given, "--columns", "return_mean=reward"]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "ppo0" in page
    assert "not paired" in page
    assert "They share no random numbers with these" in page


def test_columns_without_a_file_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert report([str(tmp_path), "--columns", "return_mean=reward"]) == 2
    assert "--with FILE, which is not there" in capsys.readouterr().err
