"""Estimates of KL(π ‖ π_ref) from the actions that π took (Schulman 2020, "Approximating KL divergence").

With δ = log π_ref(a|s) - log π(a|s) all three have the mean KL(π ‖ π_ref) ≥ 0 over the actions of π, k2 nearly so:

    k1 = -δ      k2 = δ² / 2      k3 = e^δ - 1 - δ

Their *gradients*, as terms of a loss whose actions are given, have other means: of k2 that of KL(π ‖ π_ref), of k3
that of the divergence the other way round, KL(π_ref ‖ π), and of k1 nothing at all, for E[∇log π] = 0. In the reward,
where they are not differentiated, k1 and k3 have the right mean.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

KLForm = Literal["k1", "k2", "k3"]
FORMS: tuple[KLForm, ...] = get_args(KLForm)


def kl_estimate(form: KLForm, log_prob: Tensor, reference: Tensor) -> Tensor:
    """One of the estimates at each action, from log π and log π_ref of it; the shape of both."""
    delta = reference - log_prob
    if form == "k1":
        return -delta
    return delta.square() / 2 if form == "k2" else torch.expm1(delta) - delta
