"""Rows of results with what was measured beside the update."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, make_dataclass
from functools import cache
from typing import Any

import numpy as np

from pglab.training.measures import Measures


@dataclass(frozen=True)
class DiagnosedMeasures(Measures):
    """`Measures`, and what was measured about the gradient: `[R]` each, NaN where it does not apply.

    ĝ is the estimate of ∇J before clipping, its reduction and entropy bonus included; what needs
    two episodes is NaN for a batch with fewer. Episodes below the minimum length count in `kl` only.

    Attributes:
        grad_variance: estimate of tr Var(ĝ) over batches like this one (see `Groups.variance`).
        grad_snr: ‖E ĝ‖ / √tr Var(ĝ), estimated as √(max(‖ĝ‖² - V, 0) / V) with V = `grad_variance`;
            0 where the noise hides the signal, NaN where V is 0.
        half_cosine: cosine between the gradients of the first and the second half of the episodes.
        variance_removed: 1 - V / V₀, the share of the variance that the baseline removes: V₀ is
            that of the same weighting with `NoBaseline` on the same episodes. NaN without a baseline.
        explained_variance: of the critic, before it is fitted to this batch:
            1 - Var(G - V) / Var(G) over the batch's steps. NaN without a critic.
        kl: KL(π_old ‖ π_new) of the step in nats, the mean over the steps of the batch.
        objective: the exact J = E[Σ γ^t r_t] of the policy that played the batch. This and the next
            are NaN but on a finite MDP; truncation counts as the end.
        exact_cosine: cosine between ĝ and the exact ∇J.
        optimal_action: share of the batch's actions that have the highest mean reward. NaN but in a
            bandit (a world with `best_action`).

    The last four need actions that can be counted: they are NaN where an action is a Box.
    """

    grad_variance: np.ndarray
    grad_snr: np.ndarray
    half_cosine: np.ndarray
    variance_removed: np.ndarray
    explained_variance: np.ndarray
    kl: np.ndarray
    objective: np.ndarray
    exact_cosine: np.ndarray
    optimal_action: np.ndarray


COLUMNS = tuple(field.name for field in fields(DiagnosedMeasures) if field.name not in Measures.__dataclass_fields__)


@dataclass(frozen=True)
class UpdateMeasures(DiagnosedMeasures):
    """`DiagnosedMeasures`, and how far the update led from the policy that played the batch: `[R]` each.

    With r = π_new(a|s) / π_old(a|s) at the steps of the batch. There are two further columns for each epoch
    i = 1, 2, …, NaN where a run did not make it: `kl_epoch_i` and `approx_kl_epoch_i` are `kl` and `approx_kl`
    of the policy as that epoch left it. (`pandas.wide_to_long` makes rows of them.)

    Attributes:
        ratio_mean, ratio_max: mean and largest r. (Over actions that were not learnt from, the mean would be 1.)
        clip_fraction: share of the steps with |r - 1| above the surrogate's clip range; NaN where it has none.
        approx_kl: estimate of `kl` from the actions played, the mean of (r - 1) - log r (Schulman 2020).
        update_length: Euclidean norm of the change of the policy's parameters.
        explained_variance_after: `explained_variance` of the critic as the update left it, on the same steps.
    """

    ratio_mean: np.ndarray
    ratio_max: np.ndarray
    clip_fraction: np.ndarray
    approx_kl: np.ndarray
    update_length: np.ndarray
    explained_variance_after: np.ndarray


@cache
def measures_of(epochs: int | None) -> type[DiagnosedMeasures]:
    """The measures of updates of so many epochs; None: without what `UpdateMeasures` adds."""
    if epochs is None:
        return DiagnosedMeasures
    names = [f"{column}_epoch_{number}" for column in ("kl", "approx_kl") for number in range(1, epochs + 1)]
    columns = [(name, np.ndarray) for name in names]
    return make_dataclass("MeasuresOfEpochs", columns, bases=(UpdateMeasures,), frozen=True)


def diagnosed(
    plain: Measures, columns: Mapping[str, np.ndarray], due: np.ndarray, epochs: int | None = None
) -> DiagnosedMeasures:
    """The measures of an update with the columns of the runs where they are due, `[R]`, and NaN elsewhere.

    Args:
        epochs: of the update, where their columns are wanted.
    """
    kind, unknown = measures_of(epochs), np.full(len(due), np.nan)
    own = [field.name for field in fields(kind) if field.name not in Measures.__dataclass_fields__]
    measured: dict[str, Any] = {name: np.where(due, columns.get(name, unknown), np.nan) for name in own}
    return kind(**(vars(plain) | measured))
