"""A declared bias excuses nothing but itself."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import CommandLine
from tests.verify.test_verify import QUICK, found, verify
from tests.waiting import HANG, until

SMALL = ("env=random_mdp", "env.states=3", "env.actions=2", "env.horizon=6", "seeds=1", *QUICK[:1], "workers=1")
NO_COSINES = "effort.cosine_episodes=[]"

OWN = """
from dataclasses import dataclass
from pglab.algorithms.returns import rewards_to_go
from pglab.algorithms.weightings import RewardToGo


@dataclass(frozen=True)
class Peeking:
    def __call__(self, batch, returns):
        return batch.action.to(returns)


@dataclass(frozen=True)
class Scaled:
    gamma: float
    factor: float
    offers: bool = False
    bias = "a small bias"

    @property
    def without_bias(self):
        return (lambda: RewardToGo(self.gamma)) if self.offers else None

    def __call__(self, batch):
        return self.factor * RewardToGo(self.gamma)(batch)


@dataclass(frozen=True)
class NearSighted:
    n: int
    bias = "later rewards are left out"

    def __call__(self, batch):
        to_go = rewards_to_go(batch.reward.detach(), gamma=1.0)
        to_go[..., : -self.n] -= to_go[..., self.n :].clone()
        return to_go
"""
YAML = {
    "baseline/peeking": "_target_: own_parts.Peeking\n",
    "weighting/scaled": "_target_: own_parts.Scaled\ngamma: ${gamma}\nfactor: -0.1\noffers: false\n",
    "weighting/near_sighted": "_target_: own_parts.NearSighted\nn: 3\n",
}


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own_parts.py").write_text(OWN)
    for name, text in YAML.items():
        file = tmp_path / "conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return ("--config-dir", "conf")


@pytest.mark.parametrize(
    "declared",
    [
        ("weighting=gae",),
        *(
            pytest.param(("weighting=baseline", f"estimator.{choice}"), marks=pytest.mark.slow)
            for choice in ("reduction=steps", "normalize=true", "entropy_bonus=0.1")
        ),
    ],
    ids=lambda arguments: arguments[-1],
)
def test_no_declared_choice_excuses_a_baseline_that_peeks_at_the_action(own, tmp_path, declared):
    done = verify(tmp_path, *own, *declared, "baseline=peeking", *SMALL, NO_COSINES)
    assert done.returncode == 1, done.stdout + done.stderr
    (finding,) = found(tmp_path).values()
    assert finding["declared"]
    assert finding["because"].startswith("the baseline (own_parts.Peeking), subtracted from the return, ")
    assert "has another mean than ∇J and declares no bias" in finding["because"]


@pytest.mark.slow
def test_a_small_bias_that_points_downhill_is_wrong_whether_or_not_it_offers_a_setting_without(own, tmp_path):
    choices = ("weighting=scaled", "weighting.factor=-0.1,0.9", "weighting.offers=false,true")
    done = verify(tmp_path, *own, "-m", *choices, *SMALL, NO_COSINES)
    assert done.returncode == 1, done.stdout + done.stderr
    verdicts = {name: finding["verdict"] for name, finding in found(tmp_path).items()}
    downhill = {name for name in verdicts if "factor=-0.1" in name}
    assert len(downhill) == 2
    assert {name for name, verdict in verdicts.items() if verdict == "wrong"} == downhill
    assert "(own_parts.Scaled) declares a bias, but its mean does not point uphill at all" in done.stdout


@pytest.mark.slow
def test_an_honest_near_sighted_weighting_is_biased_as_declared_and_what_cannot_be_checked_is_said(own, tmp_path):
    done = verify(tmp_path, *own, "weighting=near_sighted", "seeds=1", *QUICK[:1], NO_COSINES)
    assert done.returncode == 0, done.stdout + done.stderr
    (finding,) = found(tmp_path).values()
    assert finding["verdict"] == "biased as declared"
    assert "later rewards are left out; relative bias " in finding["because"]
    assert "; cosine with ∇J " in finding["because"]
    assert (
        "more cannot be checked of “later rewards are left out”: there is no setting without it" in finding["because"]
    )


PLAIN_BASELINES = ("none", "constant", "leave_one_out", "running_mean", "value", "value_table")
BIASED_BASELINES = ("batch_mean", "running_mean_inclusive")
SOME = ("none", "batch_mean", "leave_one_out", "running_mean_inclusive", "value")
ALWAYS_BIASED = (
    "estimator.reduction=steps", "estimator.normalize=true", "estimator.entropy_bonus=0.1",
    "estimator.entropy_bonus=10", "estimator.clip_norm=0.5", "estimator.min_episode_length=3",
    "batch=steps batch.steps=50",
)  # fmt: skip
LAWFUL = ("estimator.reduction=sum", "batch.episodes=1", "batch.episodes=2")

# By which whole episodes mean something, and segments do not:
OF_SEGMENTS = "batch=segments batch.steps=20 estimator.reduction=steps estimator.discount_states=false"


def combinations():
    """Sweeps of pglab's own parts, and the choices whose estimators are unbiased in each of them."""
    every, some = f"baseline={','.join(PLAIN_BASELINES + BIASED_BASELINES)}", f"baseline={','.join(SOME)}"
    kept = [f"baseline={name}" for name in PLAIN_BASELINES]
    simple = "weighting=total,rtg,rtg_exponent_slip"
    yield simple, ["weighting=total", "weighting=rtg"]
    yield f"weighting=baseline weighting.returns=rtg,total {every}", kept
    yield f"weighting=gae weighting.lam=0.95 {every}", []
    yield f"weighting=gae weighting.lam=1.0 {every}", kept
    for choice in LAWFUL:
        yield f"{simple} {choice}", ["weighting=total", "weighting=rtg"]
        yield f"weighting=baseline {some} {choice}", kept
        yield f"weighting=gae {some} {choice}", []
    for choice in ALWAYS_BIASED:
        yield f"{simple} {choice}", []
        yield f"weighting=baseline,gae {some} {choice}", []
    yield f"{simple} estimator.discount_states=false", ["weighting=total"]
    yield f"weighting=baseline,gae {some} estimator.discount_states=false", []
    yield "weighting=baseline,gae baseline=value estimator.truncation=bootstrap", []
    yield "weighting=rtg surrogate=pg,ratio,clip,kl,kl_adaptive", ["weighting=rtg"]
    yield "weighting=rtg surrogate=clip,kl reuse=epochs", ["weighting=rtg"]
    yield "surrogate=clip reuse=epochs estimator.normalize=batch,minibatch", []
    yield "rewards=scaled,clipped,sign", []
    yield f"weighting=gae baseline=value rewards=scaled,sign {OF_SEGMENTS}", []


def combinations_of_numbers():
    """The same where actions are numbers, for each head on the problems that it can be judged on."""
    heads = "head=gaussian,gaussian_state,tanh_gaussian,beta network=linear"
    kept = ["baseline=leave_one_out", "weighting=total", "weighting=rtg"]
    yield f"weighting=total,rtg {heads}", kept
    yield f"weighting=baseline baseline=leave_one_out,batch_mean,running_mean_inclusive {heads}", kept
    yield f"weighting=gae weighting.lam=0.95,1.0 baseline=constant,value {heads}", ["weighting.lam=1.0"]
    yield f"weighting=rtg surrogate=pg,ratio,clip,kl {heads}", kept
    yield f"weighting=rtg rewards=scaled,clipped,sign {heads}", []
    for choice in ("reduction=steps", "normalize=true", "entropy_bonus=0.1,10", "clip_norm=0.5"):
        yield f"weighting=rtg estimator.{choice} {heads}", []
    yield f"weighting=rtg batch=steps batch.steps=50 {heads}", []
    few = "head=gaussian network=linear env=lqr"
    yield f"weighting=rtg,total estimator.discount_states=false {few}", ["weighting=total"]
    yield f"weighting=rtg estimator.min_episode_length=3,20 {few}", []
    cut = "env=continuous_bandit head=gaussian,gaussian_state network=linear head.clip=none,action,log_prob"
    sound = ["head.clip=none", "head.clip=action"]
    yield f"weighting=rtg {cut}", sound
    yield f"weighting=baseline baseline=batch_mean {cut}", []


def is_up_to_scale(choices: set[str], sweep: str) -> bool:
    """Tells of a mean that it is ∇J times one less the episode's own share of its baseline."""
    inclusive = {f"baseline={name}" for name in BIASED_BASELINES}
    if "env=continuous_bandit" in sweep or choices & {"head=gaussian_state", "head=tanh_gaussian", "head=beta"}:
        # Episodes of one step, in which every return is total and λ means nothing.
        shrunk = "weighting=baseline" in choices and bool(inclusive & choices) and "head.clip=log_prob" not in choices
        return shrunk or "weighting.lam=0.95" in choices
    return "weighting.returns=total" in choices and bool(inclusive & choices) and "estimator" not in sweep


def check_verdicts(folder: Path, sweep: str, unbiased: list[str], *problem: str) -> None:
    done = verify(folder, "-m", *sweep.split(), "seeds=1", "effort.batches=200", NO_COSINES, *problem)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, finding in found(folder).items():
        choices = set(name.split(","))
        expected = "unbiased" if any(set(some.split()) <= choices for some in unbiased) else "biased as declared"
        if is_up_to_scale(choices, sweep):
            expected = "unbiased up to scale"
        assert finding["verdict"] == expected, (name, finding["because"])


def of_sweep(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.slow
def test_a_dozen_built_in_combinations_keep_their_verdicts(tmp_path):
    sweep = "weighting=baseline,gae baseline=leave_one_out,batch_mean,value estimator.normalize=false,true"
    as_it_is = "weighting=baseline estimator.normalize=False baseline="
    kept = [as_it_is + "leave_one_out", as_it_is + "value"]
    check_verdicts(tmp_path, sweep, kept, "env=two_state_loop", "workers=1")


@pytest.mark.slow
@pytest.mark.parametrize(("sweep", "unbiased"), [*combinations(), *combinations_of_numbers()], ids=of_sweep)
def test_every_built_in_combination_keeps_its_verdict(tmp_path, sweep, unbiased):
    check_verdicts(tmp_path, sweep, unbiased)


@pytest.mark.slow
@pytest.mark.parametrize("later", [0.0, 0.3])
def test_an_interruption_while_the_children_start_shows_no_traceback(tmp_path, later):
    with CommandLine("pglab.verify").started(["workers=2"], tmp_path) as verifying:
        assert until(lambda: children(verifying.pid) == 2, verifying)
        time.sleep(later)  # seconds in which the children import
        os.killpg(verifying.pid, signal.SIGINT)
        printed, said = verifying.communicate(timeout=HANG)
    assert (verifying.returncode, printed, said) == (130, "", "Interrupted; nothing was written.\n")


def children(parent: int) -> int:
    """Counts the judging processes of a process."""
    count = 0
    for task in Path("/proc").glob("[0-9]*"):
        try:
            ours = int(task.joinpath("stat").read_text().rpartition(")")[2].split()[1]) == parent
            count += ours and b"be_child" in task.joinpath("cmdline").read_bytes()
        except OSError:
            continue  # ended meanwhile
    return count
