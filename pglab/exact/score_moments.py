"""Moments of the costs of an action's numbers together with the scores of a head, on a continuous bandit.

A number a_i of the action costs y_i = c_i (a_i - t_i)², and the numbers are independent. So is the score
s_w = ∂log π/∂(output w) of all numbers but its owner's. What an estimate of ∇J has in mean and covariance, is in
E[y^k], E[s_w y^k] and E[s_v s_w y^k] for k = 0, 1, 2, each with the y of the owner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import digamma, expit, gammaln, ndtr, polygamma
from torch import Tensor

from pglab.algorithms.beta import Beta
from pglab.algorithms.gaussian import Gaussian, StateGaussian
from pglab.envs.continuous_bandit import ContinuousBandit

HERMITE = np.polynomial.hermite_e.hermegauss(5)  # exact up to degree 9: s² y² has degree 8 in ε
FAR, POINTS = 8.2, 2**13 + 1  # of the standard normal on which quadrature goes, and how finely
SAME = 1e-9  # of scores
STEP = 1e-4  # of outputs, for central differences


@dataclass(frozen=True)
class ScoreMoments:
    """See the module; for W outputs and an action of D numbers.

    Attributes:
        owner: the number that an output belongs to, `[W]`.
        cost: E[y_i^k], `[D, 3]`.
        one: E[s_w y^k], `[W, 3]`.
        two: E[s_v s_w y^k], `[W, W, 3]`; 0 for outputs of different numbers.
    """

    owner: np.ndarray
    cost: np.ndarray
    one: np.ndarray
    two: np.ndarray

    @classmethod
    def of_nodes(cls, weight: np.ndarray, cost: np.ndarray, score: np.ndarray, owner: np.ndarray) -> "ScoreMoments":
        """From the values at nodes of a quadrature, the same for each number.

        Args:
            weight: of the nodes, `[q]`.
            cost: y_i, `[D, q]`.
            score: s_w, `[W, q]`.
            owner: `[W]`.
        """
        powers = cost[:, None] ** np.arange(3)[:, None]  # [D, 3, q]
        own = powers[owner]
        together = owner[:, None] == owner
        two = np.einsum("q,vq,wq,wkq->vwk", weight, score, score, own, optimize=True) * together[..., None]
        return cls(owner, powers @ weight, np.einsum("q,wq,wkq->wk", weight, score, own), two)


def score_moments(head: Any, outputs: np.ndarray, bandit: ContinuousBandit) -> ScoreMoments:
    """In closed form for Gaussian heads that cut nothing and for Beta, else by quadrature.

    Args:
        head: bound to the actions of the bandit.
        outputs: of network and head together, `[W]`.

    Raises:
        ValueError: the head's numbers are not independent, or take more than one uniform each.
    """
    closed: dict[type, Callable[[np.ndarray, ContinuousBandit], ScoreMoments]] = {
        Gaussian: of_gaussian, StateGaussian: of_gaussian, Beta: of_beta,
    }  # fmt: skip
    formula = closed.get(type(head))
    if formula is None or getattr(head, "clip", "none") != "none":
        return by_quadrature(head, outputs, bandit)
    return formula(outputs, bandit)


def of_gaussian(outputs: np.ndarray, bandit: ContinuousBandit) -> ScoreMoments:
    """For a_i = μ_i + σ_i ε: s = ε / σ in μ and ε² - 1 in log σ, so that all are moments of ε."""
    mean, log_sigma = np.split(outputs, 2)
    epsilon, weight = HERMITE
    sigma = np.exp(log_sigma)[:, None]
    cost = _cost(bandit, mean[:, None] + sigma * epsilon)
    score = np.concatenate((epsilon / sigma, np.broadcast_to(epsilon**2 - 1, cost.shape)))
    return ScoreMoments.of_nodes(weight / weight.sum(), cost, score, np.tile(np.arange(len(mean)), 2))


def of_beta(outputs: np.ndarray, bandit: ContinuousBandit) -> ScoreMoments:
    """For a_i = low + (high - low) x with x ~ B(α, β): from E[x^k], E[x^k log x], … of the Beta distribution.

    With E[x^k] = B(α + k, β) / B(α, β), a factor log x or log(1 - x) is a derivative in α or β.
    """
    first, second = np.split(outputs, 2)
    alpha, beta = 1 + np.logaddexp(0, first), 1 + np.logaddexp(0, second)
    slope = np.stack((expit(first), expit(second)))  # of α and β, [2, D]
    low, high = (np.array(bound) for bound in bandit.actions.bounds)
    size = len(alpha)
    # y = Σ_j coefficient_j x^j, and so are its powers.
    shift, curvature = low - np.array(bandit.target), np.array(bandit.curvature)
    square = curvature * np.stack((shift**2, 2 * shift * (high - low), (high - low) ** 2))
    powers = [np.ones((1, size)), square, np.stack([_coefficient(square, j) for j in range(5)])]
    cost, one, two = np.zeros((size, 3)), np.zeros((2, size, 3)), np.zeros((2, 2, size, 3))
    for k, coefficients in enumerate(powers):
        for j, coefficient in enumerate(coefficients):
            m0, m1, m2 = _beta_moments(alpha, beta, j)
            cost[:, k] += coefficient * m0
            one[..., k] += coefficient * m1
            two[..., k] += coefficient * m2
    one *= slope[..., None]
    two *= slope[:, None, :, None] * slope[None, :, :, None]
    pairs = np.zeros((2, size, 2, size, 3))
    number = np.arange(size)
    pairs[:, number, :, number] = two.transpose(2, 0, 1, 3)
    return ScoreMoments(np.tile(number, 2), cost, one.reshape(2 * size, 3), pairs.reshape(2 * size, 2 * size, 3))


def _beta_moments(alpha: np.ndarray, beta: np.ndarray, j: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E[x^j], E[x^j l] and E[x^j l l'] with l = ∂log density/∂(α, β), `[D]`, `[2, D]`, `[2, 2, D]`."""
    both = alpha + beta
    log_ratio = gammaln(alpha + j) - gammaln(alpha) - gammaln(both + j) + gammaln(both)
    # Mean and covariance of (log x, log(1 - x)) where the density is weighed by x^j.
    raised = np.stack((digamma(alpha + j), digamma(beta))) - digamma(both + j)
    plain = np.stack((digamma(alpha), digamma(beta))) - digamma(both)
    spread = np.stack((polygamma(1, alpha + j), polygamma(1, beta)))[:, None] * np.eye(2)[..., None]
    spread = spread - polygamma(1, both + j)
    centred = raised - plain
    ratio = np.exp(log_ratio)
    return ratio, ratio * centred, ratio * (centred[:, None] * centred[None] + spread)


def _coefficient(square: np.ndarray, j: int) -> np.ndarray:
    """Of x^j in the square of the polynomial with coefficients `[3, D]`, `[D]`."""
    return sum((square[i] * square[j - i] for i in range(3) if 0 <= j - i < 3), np.zeros(square.shape[1]))


def by_quadrature(head: Any, outputs: np.ndarray, bandit: ContinuousBandit) -> ScoreMoments:
    """For any head with one uniform a number: the mean over u = Φ(z) of one number, all others at their medians.

    The trapezoidal rule in z: accurate to rounding where the cost is smooth, to 1e-7 where the head cuts actions.

    Raises:
        ValueError: as `score_moments`.
    """
    weight, uniform = nodes(len(bandit.target))
    cost, scores = [], []
    for number, of_one in enumerate(uniform):
        y, score = _costs_and_scores(head, outputs, bandit, of_one)
        cost.append(y[:, number])
        scores.append(score)
    score = np.stack(scores)  # [D, q, W]
    moves = np.ptp(score, axis=1) > SAME * (1 + np.abs(score).max((0, 1)))  # [D, W]
    if (moves.sum(0) > 1).any():
        raise ValueError(f"an output of {type(head).__name__} has a say in more than one number of an action")
    owner = moves.argmax(0)
    own = np.stack([score[number, :, w] for w, number in enumerate(owner)])
    return ScoreMoments.of_nodes(weight, np.stack(cost), own, owner)


def sampled_gradient(head: Any, outputs: np.ndarray, bandit: ContinuousBandit) -> np.ndarray:
    """∂J/∂outputs of what the head samples, `[W]`, whatever its `log_prob` says: by central differences.

    Raises:
        ValueError: as `score_moments`.
    """
    weight, uniform = nodes(len(bandit.target))

    def cost_of(moved: np.ndarray) -> float:
        played = (_costs_and_scores(head, moved, bandit, of_one, False)[0] for of_one in uniform)
        return sum(float(weight @ y[:, number]) for number, y in enumerate(played))

    aside = STEP * np.eye(len(outputs))
    return np.array([(cost_of(outputs - step) - cost_of(outputs + step)) / (2 * STEP) for step in aside])


def nodes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[q]`, and uniforms that vary in one number of the action after the other, `[D, q, D]`."""
    z = np.linspace(-FAR, FAR, POINTS)
    weight = np.exp(-(z**2) / 2)
    uniform = np.full((size, POINTS, size), 0.5)
    for number in range(size):
        uniform[number, :, number] = np.minimum(ndtr(z), 1 - 2.0**-53)
    return weight / weight.sum(), uniform


def _costs_and_scores(
    head: Any, outputs: np.ndarray, bandit: ContinuousBandit, uniform: np.ndarray, scores: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """y `[q, D]` and ∂log π/∂outputs `[q, W]` at uniforms `[q, D]`."""
    draws = head.draws(bandit.actions) if hasattr(head, "draws") else 1
    if draws != len(bandit.target):
        raise ValueError(f"{type(head).__name__} takes {draws} uniforms for {len(bandit.target)} numbers of an action")
    fed = torch.from_numpy(outputs).expand(len(uniform), -1).clone().requires_grad_(scores)
    action = head.sample(fed.detach(), torch.from_numpy(uniform))
    taken: Tensor = head.taken(action) if hasattr(head, "taken") else action
    cost = _cost(bandit, taken.double().numpy().T).T
    if not scores:
        return cost, np.zeros_like(outputs)
    (slope,) = torch.autograd.grad(head.log_prob(fed, action).sum(), fed)
    return cost, slope.numpy()


def _cost(bandit: ContinuousBandit, action: np.ndarray) -> np.ndarray:
    """c_i (a_i - t_i)² of numbers `[D, q]`."""
    target, curvature = (np.array(numbers)[:, None] for numbers in (bandit.target, bandit.curvature))
    return curvature * (action - target) ** 2
