"""Exercises are unsolved as they stand, their judges say why, and their solutions pass."""

import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module

import pytest
import torch

from analysis.exercises import judges
from pglab.algorithms.baselines import BatchMean
from pglab.algorithms.weightings import TotalReturn
from tests.conftest import ROOT

EXERCISES = {
    "reward_to_go": ("check_reward_to_go", "RewardToGo", "fill in the hole"),
    "leave_one_out": ("check_leave_one_out", "LeaveOneOut", "fill in the hole"),
    "tanh_gaussian": ("check_tanh_gaussian", "log_prob", "fill in the hole"),
    "clipping": ("check_clip", "loss", "has gone the wrong way"),
    "grpo": ("check_group_weighting", "OfGroup", "is biased"),
}


def answer(module: str, name: str):
    found = getattr(import_module(f"analysis.exercises.{module}"), name)
    return found() if isinstance(found, type) else found


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_exercise_is_not_solved_as_it_stands_and_its_solution_is(exercise: str, capsys: pytest.CaptureFixture[str]):
    check, name, said = EXERCISES[exercise]
    judge = getattr(judges, check)
    assert judges.judged(judge, answer(exercise, name)) == judges.WRONG
    assert said in capsys.readouterr().out
    assert judges.judged(judge, answer(f"solutions.{exercise}", name)) == judges.SOLVED
    assert capsys.readouterr().out == "solved\n"


def test_a_file_judges_itself():
    command = [sys.executable, "-m", "analysis.exercises.clipping"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stdout.startswith("not yet: where Ψ = 2 and π/π_old = 0.5 ")


@dataclass(frozen=True)
class Shifted:
    """A reward-to-go that starts one step too late."""

    def __call__(self, batch):
        to_go = batch.reward.detach().flip(-1).cumsum(-1).flip(-1)
        return to_go - batch.reward.detach()


def without_slope(x, mean, log_sigma):
    return torch.distributions.Normal(mean, log_sigma.exp()).log_prob(x).sum(-1)


@pytest.mark.parametrize(
    ("judge", "wrong", "said"),
    [
        (judges.check_reward_to_go, TotalReturn(1.0), "rewards of the past"),
        (judges.check_reward_to_go, Shifted(), "should be"),
        (judges.check_leave_one_out, BatchMean(), "should be"),
        (judges.check_tanh_gaussian, without_slope, "log_prob"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(judge, wrong, said: str):
    with pytest.raises(AssertionError, match=said):
        judge(wrong)
