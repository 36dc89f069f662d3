"""The Fisher information of policies on their batches, and natural gradients by products with it.

For a run that has played n steps at θ

    F = 1/n Σ_t E_{a~π(·|s_t)}[∇log π(a|s_t) ∇log π(a|s_t)ᵀ] = ∇²_φ 1/n Σ_t KL(π_θ(·|s_t) ‖ π_φ(·|s_t)) at φ = θ,

which is never written out: a product F v is a derivative of the slope of the KL along v (Pearlmutter 1994).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pglab.training.update import Lesson

ENOUGH = 1e-10  # of the squared length of the right-hand side may remain

Product = Callable[[Tensor, np.ndarray], Tensor]


def natural_gradient(lesson: Lesson, gradient: Tensor, damping: float, iterations: int) -> Tensor:
    """(F + damping I)⁻¹ g of each run, `[K, P]`, by conjugate gradients.

    g is the gradient of the loss as a mean over the batch's steps, as F is one: the result is the same
    whatever the estimator's reduction.

    Args:
        lesson: at the parameters that played the batch.
        gradient: of the loss, its reduction included, `[K, P]`; runs with zeros get zeros.
        damping: in units of F.
        iterations: at most so many.
    """
    steps = torch.from_numpy(lesson.episodes.steps(len(gradient))).to(gradient)
    scale = (lesson.weights.reduction * steps).clamp(min=torch.finfo(gradient.dtype).tiny)
    return conjugate_gradients(damped_fisher(lesson, damping), gradient / scale[:, None], iterations)


def damped_fisher(lesson: Lesson, damping: float) -> Product:
    """The map from v `[K, P]` and rows to (F + damping I) v `[K, P]`, of which only those rows count."""

    def product(vector: Tensor, rows: np.ndarray) -> Tensor:
        return fisher_product(lesson.of_runs(rows), vector) + damping * vector

    return product


def fisher_product(lesson: Lesson, vector: Tensor) -> Tensor:
    """F v of the lesson's runs at its parameters, for v `[K, P]`; zeros for the others."""
    policy, episodes = lesson.policy, lesson.episodes
    layout = policy.model.layout
    product, steps = torch.zeros_like(vector), torch.zeros(len(vector), device=vector.device)
    for rows, index in lesson.blocks():
        mask = (index < len(episodes.reward) - 1).to(vector)
        leaves, along = layout.leaves(lesson.parameters[rows]), layout.unflatten(vector[rows])
        outputs = policy.model(leaves, episodes.obs[index])
        kl = (policy.head.kl(outputs.detach(), outputs) * mask).sum()
        slopes = torch.autograd.grad(kl, list(leaves.values()), create_graph=True, materialize_grads=True)
        slope = torch.stack([(one * along[name]).sum() for name, one in zip(leaves, slopes, strict=True)]).sum()
        # Summed over runs, never mixed: the slope of each depends on its own parameters alone.
        product.index_add_(0, rows, layout.gradient(slope, leaves))
        steps.index_add_(0, rows, mask.sum(-1))
    return product / steps.clamp(min=1)[:, None]


def conjugate_gradients(product: Product, right: Tensor, iterations: int) -> Tensor:
    """x with A x ≈ b for each row of b `[K, P]`, from x = 0; A is symmetric and positive definite.

    A row stays as it is once its residual is small, whatever the others still do. One whose product is not
    finite comes out as NaN. (Hestenes and Stiefel 1952.)

    Args:
        product: A of the rows that are named.
        right: b.
        iterations: at most so many.
    """
    x, residual, direction = torch.zeros_like(right), right, right
    remaining = dot(residual, residual)
    enough = ENOUGH * remaining
    for _ in range(iterations):
        going = remaining > enough
        if not going.any():
            break
        image = product(direction, np.flatnonzero(going.cpu().numpy()))
        curvature = dot(direction, image)
        going &= ~(curvature <= 0)  # 0 by rounding alone; NaN goes on, and spreads
        along = torch.where(going, remaining / curvature, 0.0)[:, None]
        x, residual = x + along * direction, residual - along * image
        left = dot(residual, residual)
        turned = residual + (left / remaining)[:, None] * direction
        direction = torch.where(going[:, None], turned, direction)
        remaining = torch.where(going, left, 0.0)
    return x


def dot(a: Tensor, b: Tensor) -> Tensor:
    """a · b of the rows `[K, P]`, `[K]`."""
    return (a * b).sum(-1)
