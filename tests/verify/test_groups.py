"""Estimators that compare the episodes of a group, judged: which is ∇J, which a multiple, which another direction."""

import io
import json
from dataclasses import asdict

import numpy as np
import pytest
from rich.console import Console

from pglab.sweep import plain_jobs
from pglab.verify.attribution import scale_of
from pglab.verify.estimator import build_effort, solved
from pglab.verify.estimator import found as one_finding
from pglab.verify.point import judge
from pglab.verify.report import _plain, show
from tests.slow import first
from tests.verify.test_verify import found, verify

POINT = ("env=stop_or_continue", "gamma=1", "network=tabular", "init=zeros", "seeds=1", "workers=1")
QUICK = ("effort.batches=300", "effort.cosine_episodes=[]")
FOUR = ("batch.prompts=1", "batch.group=4")


def judged(folder, *arguments):
    done = verify(folder, *arguments, "gamma=1", "network=tabular", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    return found(folder), done.stdout


def point(findings, *parts):
    (finding,) = [one for name, one in findings.items() if set(parts) <= set(name.split(","))]
    return finding, finding["points"][0]


@pytest.fixture(scope="module")
def grid():
    """Findings by their names, as the command makes them, and what it shows of them."""
    sweep = ("weighting=rloo,group_mean,grpo", "estimator.reduction=sequences,budget")
    jobs = plain_jobs([*FOUR, *sweep, *POINT, *QUICK], None, "verify", sweeps=True)
    assert jobs is not None
    made = []
    for job in jobs:
        point, _, _ = judge(solved(job.settings, "env", 0), build_effort(job.settings), 1)
        made.append(one_finding(",".join(job.overrides), job.settings, [point], [], []))
    console = Console(width=200, record=True, file=io.StringIO())
    show(made, console)
    return {
        finding.estimator: json.loads(json.dumps(_plain(asdict(finding)))) for finding in made
    }, console.export_text()


def test_each_has_its_verdict_and_its_exact_numbers(grid):
    findings, out = grid
    for weighting, reduction, verdict, cosine, norm in (
        ("rloo", "budget", "unbiased", 1.0, 1.0),
        ("rloo", "sequences", "biased as declared", 0.940428, 0.362756),
        ("group_mean", "budget", "unbiased up to scale", 1.0, 0.75),
        ("grpo", "budget", "unbiased up to scale", 1.0, 1.704857),
        ("grpo", "sequences", "biased as declared", 0.940428, 0.618447),
    ):
        finding, known = point(findings, f"weighting={weighting}", f"estimator.reduction={reduction}")
        assert finding["verdict"] == verdict
        assert known["exact_cosine"] == pytest.approx(cosine, abs=1e-6)
        assert known["exact_factor"] / known["exact_cosine"] == pytest.approx(norm, abs=1e-6)
        assert finding["scale"] == (pytest.approx(norm, abs=1e-6) if verdict == "unbiased up to scale" else None)
        assert known["z_of_mean"] < 5
        assert known["variance"] == pytest.approx(known["exact_variance"], rel=0.5)
    assert "its mean is 0.75 ∇J at 1 point, exactly" in out


def test_the_parts_of_a_bias_add_up_to_it(grid):
    findings, out = grid
    _, known = point(findings, "weighting=grpo", "estimator.reduction=sequences")
    shares = known["attribution"]
    assert [share["choice"] for share in shares] == ["none", "baseline", "divisor", "aggregation"]
    assert sum(share["along"] for share in shares) == pytest.approx(known["exact_factor"])
    assert [share["factor"] for share in shares[:3]] == pytest.approx([1.0, 0.75, 1.704857], abs=1e-6)
    assert [round(share["aside"], 6) > 0 for share in shares] == [False, False, False, True]
    assert shares[-1]["cosine"] == pytest.approx(known["exact_cosine"])
    assert "the exact mean, with one choice more in each line" in out
    plain, known = point(findings, "weighting=rloo", "estimator.reduction=budget")
    assert (plain["declared"], known["attribution"]) == ([], [])


def test_a_mean_is_a_multiple_only_if_it_points_the_same_way_and_uphill():
    gradient = np.array([3.0, 4.0])
    assert scale_of(2 * gradient, gradient) == pytest.approx(2.0)
    assert scale_of(-gradient, gradient) is None
    assert scale_of(np.array([3.0, 4.001]), gradient) is None
    assert scale_of(None, gradient) is None
    assert scale_of(gradient, 0 * gradient) is None


@pytest.mark.parametrize("form", first(2, ["k1", "k3", "k2"]))
def test_a_penalty_in_the_loss_is_told_by_its_form(form):
    penalty = ("estimator.kl_reference=0.2", f"estimator.kl_form={form}", "init=wide_gaussian")
    jobs = plain_jobs([*FOUR, "weighting=rloo", *POINT, *QUICK, *penalty], None, "verify", sweeps=False)
    assert jobs is not None
    point, _, _ = judge(solved(jobs[0].settings, "env", 0), build_effort(jobs[0].settings), 1)
    assert [share.choice for share in point.attribution] == ["none", "KL form"]
    assert point.z_of_mean is not None
    assert point.z_of_mean < 5
    assert point.verdict == ("unbiased up to scale" if form == "k1" else "biased as declared")
    if form == "k1":  # its gradient has mean 0: it adds noise, and no divergence
        assert point.scale == pytest.approx(1.0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["token_tree", "verifiable_bandit", "stop_or_continue"])
def test_every_weighting_of_groups_keeps_its_verdict(tmp_path, problem):
    weightings = "rloo,remax,group_mean,grpo,dapo,reinforce_pp,opo"
    few = ("batch.prompts=2", "batch.group=4", f"env={problem}", "init=wide_gaussian", "seeds=2", "workers=2")
    findings, out = judged(tmp_path, "-m", f"weighting={weightings}", *few)
    assert "unbiased up to scale" in out
    verdicts = {name.rpartition("=")[2]: finding["verdict"] for name, finding in findings.items()}
    assert [name for name, verdict in verdicts.items() if verdict == "unbiased"] == ["rloo", "remax"]
    assert verdicts["group_mean"] == "unbiased up to scale"
    assert "wrong" not in verdicts.values()
    one_prompt_and_binary = problem == "stop_or_continue"
    for name in ("grpo", "dapo"):
        assert verdicts[name] == ("unbiased up to scale" if one_prompt_and_binary else "biased as declared")


@pytest.mark.slow
def test_on_problems_of_any_kind_the_group_weightings_keep_their_promise(tmp_path):
    done = verify(tmp_path, "-m", "weighting=rloo,group_mean,grpo,remax", "seeds=1", *QUICK, "workers=2")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {name.rpartition("=")[2]: finding["verdict"] for name, finding in found(tmp_path).items()}
    assert verdicts == {
        "rloo": "unbiased",
        "group_mean": "unbiased up to scale",
        "grpo": "biased as declared",
        "remax": "unbiased",
    }
