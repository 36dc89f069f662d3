"""The axes of the atlas, and the problems on which each is tried."""

from collections.abc import Sequence
from dataclasses import dataclass

RATES = "optimizer.lr=0.003,0.03"  # crossed with every axis but the optimizer


@dataclass(frozen=True)
class Problem:
    """A problem, by the overrides that choose it and how long it is trained on.

    Attributes:
        kind: in words, what sort of problem it is.
    """

    name: str
    kind: str
    overrides: Sequence[str]


CARTPOLE = Problem("cartpole", "control", ("env=cartpole", "batch.steps=2000", "updates=30"))
CORRIDOR = Problem(
    "corridor", "states that look alike", ("env=corridor", "env.horizon=100", "batch.steps=500", "updates=30")
)
LAKE = Problem("frozenlake", "chance, and one reward at the end", ("env=frozenlake", "batch.steps=1000", "updates=30"))
CONTEXTS = Problem("contextual_bandit", "one step", ("env=contextual_bandit", "batch.steps=50", "updates=30"))
LOOP = Problem("two_state_loop", "a loop", ("env=two_state_loop", "batch.steps=100", "updates=30"))
TREE = Problem("binary_tree", "credit at the end", ("env=binary_tree", "batch.steps=100", "updates=30"))
FOUR, TWO_ACTIONS = (CARTPOLE, CORRIDOR, LAKE, CONTEXTS), (CARTPOLE, CORRIDOR, LOOP, TREE)
GROUPED = tuple(
    Problem(name, kind, (f"env={name}", "batch.prompts=4", "batch.group=4", "updates=40"))
    for name, kind in (
        ("token_tree", "sequences, graded at the end"), ("verifiable_bandit", "one token from each prompt"),
        ("stop_or_continue", "sequences of any length"), ("contextual_bandit", "one step"),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """One choice in a policy gradient.

    Attributes:
        name: of the page.
        key: the group or key that is swept; the factor of its studies.
        values: the first one is the control.
        always: overrides beside it, in training and verification.
        verified: overrides of verification alone.
        crossed: a second sweep, whose interaction with the axis is told.
    """

    name: str
    title: str
    question: str
    equation: str
    key: str
    values: Sequence[str]
    always: Sequence[str] = ()
    verified: Sequence[str] = ()
    problems: Sequence[Problem] = FOUR
    crossed: str = RATES

    @property
    def sweep(self) -> str:
        return f"{self.key}={','.join(self.values)}"


AXES = (
    Axis(
        "weighting", "Weighting", "Which rewards should the weight of an action have in it?",
        "Ψ = R(τ) · Ψ_t = Σ_{k≥t} γ^{k−t} r_k · Ψ_t = Σ_{k≥t} (γλ)^{k−t} δ_k",
        "weighting", ("total", "rtg", "gae"),
    ),
    Axis(
        "baseline", "Baseline", "What should be taken off the return to make the estimate less noisy?",
        "Ψ_t = G_t − b · b = 0 · b = mean return of the other episodes · b = V(s_t)",
        "baseline", ("none", "leave_one_out", "value"), ("weighting=baseline",),
    ),
    Axis(
        "surrogate", "Surrogate objective", "Whose gradient should be followed when a batch is used several times?",
        "log π Ψ · (π/π_old) Ψ · min(r Ψ, clip(r, 1−ε, 1+ε) Ψ)",
        "surrogate", ("pg", "ratio", "clip"), ("reuse=epochs", "reuse.epochs=4", "reuse.minibatches=1"),
    ),
    Axis(
        "reuse", "Reuse of a batch", "How often should a batch be used before it is thrown away?",
        "θ ← θ + α ĝ once, or K times over minibatches of the same batch",
        "reuse", ("once", "epochs"), ("surrogate=clip",),
    ),
    Axis(
        "normalisation", "Normalisation of weights", "Should the weights of a batch be standardised?",
        "Ψ ← (Ψ − mean Ψ) / sd Ψ",
        "estimator.normalize", ("false", "batch"),
    ),
    Axis(
        "discount_factor", "The factor γᵗ", "Should later states count less, as the discounted objective says?",
        "∇J = E[Σ_t γ^t Ψ_t ∇log π(a_t|s_t)], usually without γ^t",
        "estimator.discount_states", ("false", "true"), ("gamma=0.95",), ("gamma=0.9",),
    ),
    Axis(
        "truncation", "Truncation", "What does a time limit mean: an end, or that nobody watched any longer?",
        "δ_T = r_T − V(s_T) · δ_T = r_T + γ V(s_{T+1}) − V(s_T)",
        "estimator.truncation", ("end", "bootstrap"), ("weighting=gae", "gamma=0.99"),
    ),
    Axis(
        "head", "Head", "Softmax over two numbers, or sigmoid of one?",
        "π(1|s) = e^{z₁} / (e^{z₀} + e^{z₁}) · π(1|s) = 1 / (1 + e^{−z})",
        "head", ("softmax", "sigmoid"), problems=TWO_ACTIONS,
    ),
    Axis(
        "init", "Initialisation", "Where should the policy begin?",
        "W ~ U(−1/√n, 1/√n) · orthogonal · N(0, 1)",
        "init", ("pytorch", "orthogonal_scaled", "gaussian"),
    ),
    Axis(
        "optimizer", "Optimizer", "What should be made of a gradient?",
        "θ ← θ + α ĝ · θ ← θ + α m̂ / (√v̂ + ε)",
        "optimizer", ("adam", "rmsprop", "sgd"), crossed="gamma=0.95,1.0",
    ),
    Axis(
        "clipping", "Clipping of gradients", "Should the norm of a gradient be limited?",
        "ĝ ← min(1, c / ‖ĝ‖) ĝ",
        "estimator.clip_norm", ("null", "0.5"),
    ),
    Axis(
        "groups", "Group estimators", "With what should an episode of a group be compared, and divided?",
        "R_i − Σ_{j≠i} R_j / (G−1) · R_i − m · (R_i − m) / (s + ε)",
        "weighting", ("rloo", "group_mean", "grpo"), problems=GROUPED,
    ),
    Axis(
        "reduction", "Reduction of the loss", "By what should the sum over a batch be divided?",
        "(1/Σ_i T_i) Σ · (1/N) Σ · (1/N) Σ_i (1/T_i) Σ_t",
        "estimator.reduction", ("episodes", "steps", "sequences"),
    ),
)  # fmt: skip
