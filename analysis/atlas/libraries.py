"""Defaults of five libraries on each axis, read in the source of the version that is named."""

CLEANRL, SB3, SPINUP = "CleanRL, ppo.py (020cf0e)", "Stable-Baselines3 2.7.0, PPO", "Spinning Up 0.2, vpg.py"
TRL, VERL = "TRL 0.25, GRPO", "verl 0.9, GRPO"
LIBRARIES = (CLEANRL, SB3, SPINUP, TRL, VERL)

DEFAULTS: dict[str, tuple[str, str, str, str, str]] = {
    "weighting": (
        "GAE, λ = 0.95, γ = 0.99", "GAE, λ = 0.95, γ = 0.99", "GAE, λ = 0.97, γ = 0.99",
        "return of the episode, against its group", "return of the episode, against its group",
    ),
    "baseline": ("learned critic", "learned critic", "learned critic", "mean of the group", "mean of the group"),
    "surrogate": ("clip, 0.2", "clip, 0.2", "log π · Ψ", "clip, 0.2", "clip, 0.2"),
    "reuse": (
        "4 epochs of 4 minibatches", "10 epochs of minibatches of 64", "one step", "one epoch", "one epoch",
    ),
    "normalisation": (
        "within each minibatch", "within each minibatch", "over the batch", "deviation of the group",
        "deviation of the group",
    ),
    "discount_factor": ("left out", "left out", "left out", "γ = 1: nothing to leave out", "γ = 1 by default"),
    "truncation": (
        "taken for an end", "goes on by the critic", "goes on by the critic", "tokens that there are",
        "tokens that there are",
    ),
    "head": ("softmax over logits",) * 5,
    "init": (
        "orthogonal, √2, last layer 0.01", "orthogonal, √2, last layer 0.01", "PyTorch's", "the language model's",
        "the language model's",
    ),
    "optimizer": ("Adam, 2.5e-4, annealed", "Adam, 3e-4", "Adam, 3e-4", "AdamW, 1e-6", "AdamW, 1e-6"),
    "clipping": ("norm 0.5", "norm 0.5", "none", "norm 1.0", "norm 1.0"),
    "groups": ("no groups", "no groups", "no groups", "mean and deviation + 1e-4", "mean and deviation + 1e-6"),
    "reduction": (
        "mean over steps", "mean over steps", "mean over steps", "mean over the batch's tokens",
        "mean over the batch's tokens",
    ),
}  # fmt: skip
