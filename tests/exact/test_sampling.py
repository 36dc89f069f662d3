"""What a head plays, read off its samples."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid, Softmax
from pglab.envs.problems import random_mdp
from pglab.envs.spaces import Discrete
from pglab.exact.policy import policy_on, policy_table, score_table
from pglab.exact.sampling import head_fault, sampled_distribution, sampled_tables
from pglab.models.networks import MLP
from tests.exact.exact_cases import case_on


@given(st.lists(st.lists(st.floats(-6, 6), min_size=4, max_size=4), min_size=1, max_size=3))
def test_a_softmax_plays_its_probabilities(rows):
    logits = torch.tensor(rows, dtype=torch.float64)
    assert sampled_distribution(Softmax(), logits, 4) == pytest.approx(torch.softmax(logits, -1).numpy(), abs=1e-14)


def test_an_action_rarer_than_the_grid_is_found_between_its_neighbours():
    logits = torch.tensor([[0.0, -12.0, 0.0]], dtype=torch.float64)
    expected = torch.softmax(logits, -1).numpy()
    assert expected[0, 1] < 1e-5
    assert sampled_distribution(Softmax(), logits, 3) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("head", "actions"), [(Softmax(), 2), (Softmax(), 5), (Sigmoid(), 2)])
def test_sound_heads_have_no_fault(head, actions):
    assert head_fault(head, Discrete(actions)) is None


def test_the_action_blind_head_is_named_for_what_it_does():
    fault = head_fault(ActionBlindSigmoid(), Discrete(2))
    assert fault is not None
    assert "the score leaves out which action was taken" in fault
    assert "E[∇log π] is not 0" in fault


@dataclass(frozen=True)
class OtherAction(Softmax):
    def log_prob(self, logits, action):
        return super().log_prob(logits, logits.shape[-1] - 1 - action)


@dataclass(frozen=True)
class Unnormalised(Softmax):
    def log_prob(self, logits, action):
        return logits.gather(-1, action[..., None])[..., 0]


@pytest.mark.parametrize(
    ("head", "said"),
    [(OtherAction(), "another action or another policy"), (Unnormalised(), "it is no log-probability")],
    ids=["other action", "unnormalised"],
)
def test_a_log_prob_that_is_not_of_what_was_sampled_is_named(head, said):
    fault = head_fault(head, Discrete(3))
    assert fault is not None
    assert said in fault


@pytest.mark.parametrize(("head", "actions"), [(Softmax(), 3), (Sigmoid(), 2)])
def test_of_a_sound_head_the_sampled_tables_are_those_of_its_log_prob(head, actions):
    case = case_on(random_mdp(2, states=4, actions=actions), 3, MLP((5,)), head)
    pi, score = sampled_tables(case.mdp, case.policy, case.parameters)
    assert pi == pytest.approx(case.pi, abs=1e-13)
    assert score == pytest.approx(case.score, abs=1e-7)


def test_the_action_blind_head_plays_what_a_sigmoid_plays():
    mdp = random_mdp(2, states=4, actions=2)
    blind, sound = (case_on(mdp, 3, MLP((5,)), head) for head in (ActionBlindSigmoid(), Sigmoid()))
    pi, score = sampled_tables(mdp, blind.policy, blind.parameters)
    assert pi == pytest.approx(policy_table(mdp, sound.policy, sound.parameters), abs=1e-13)
    assert score == pytest.approx(score_table(mdp, policy_on(mdp, MLP((5,)), Sigmoid()), sound.parameters), abs=1e-7)
    assert np.abs(blind.score - score).max() > 0.1
