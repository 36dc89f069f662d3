"""Any `torch.optim` class on the flat rows of an arm, provided that rows stay apart."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import Optimizer

MakeOptimizer = Callable[[list[Tensor]], Optimizer]


class Rows:
    """The parameters of k runs, `[k, P]`, one row each, under one optimizer that changes them in place."""

    def __init__(self, parameters: Tensor, make: MakeOptimizer) -> None:
        self._leaf = parameters.detach().requires_grad_()  # shares the memory: a slice of a bundle's table
        with _without_compiler():
            self._optimizer = make([self._leaf])
        self._step = inspect.unwrap(type(self._optimizer).step)
        self._rates = [group.get("lr") for group in self._optimizer.param_groups]

    @property
    def parameters(self) -> Tensor:
        return self._leaf.detach()

    def set_rate(self, factor: float) -> None:
        """Makes the learning rate `factor` times that which the optimizer was made with."""
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            if rate is not None:
                group["lr"] = factor * rate

    def step(self, gradient: Tensor, may_change: Tensor) -> Tensor:
        """One optimizer step for the runs where `may_change` `[k]` is true.

        A run whose parameters or optimizer state would no longer be finite does not take it: its
        row and its optimizer state stay as they were, as for the runs that may not change. Only a
        step counter (Adam's, for its bias correction) is common to all rows and goes on.

        Returns:
            Which runs took the step, boolean `[k]`.
        """
        before = {name: tensor.clone() for name, tensor in self._row_tensors().items()}
        self._leaf.grad = gradient
        with torch.no_grad():
            self._step(self._optimizer)
        took = may_change & finite_rows(*self._row_tensors().values())
        if not took.all():
            for name, tensor in self._row_tensors().items():
                tensor[~took] = before[name][~took] if name in before else 0.0
        return took

    def state(self) -> dict[str, Tensor]:
        """Copies of the parameters and all optimizer state, by name; rows `[k, …]` but for what all share."""
        state = self._optimizer.state.get(self._leaf, {})
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        return {name: tensor.detach().clone() for name, tensor in ({"parameters": self._leaf} | tensors).items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes the place of what `state` was called on; shapes must agree."""
        with torch.no_grad():
            self._leaf.copy_(state["parameters"])
        if len(state) > 1:
            kept = {name: value.clone() for name, value in state.items() if name != "parameters"}
            self._optimizer.state[self._leaf] = kept

    def _row_tensors(self) -> dict[str, Tensor]:
        """The parameters and every piece of optimizer state that has a row for each run."""
        state = self._optimizer.state.get(self._leaf, {})
        tensors = {"parameters": self.parameters}
        return tensors | {
            name: value
            for name, value in state.items()
            if isinstance(value, Tensor) and value.shape[:1] == self._leaf.shape[:1]
        }


def finite_rows(*tensors: Tensor) -> Tensor:
    """Tells which rows of all tensors `[k, …]` have finite numbers only, `[k]`.

    Their extremes do, which takes a fraction of the time of looking at each number.
    """
    flat = [tensor.reshape(len(tensor), -1) for tensor in tensors]
    extremes = [extreme(rows, -1) for rows in flat for extreme in (torch.amin, torch.amax)]
    return torch.stack(extremes).isfinite().all(0)


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Makes optimizers without loading torch's compiler, which takes longer than many a training.

    Their methods are wrapped in calls that tell it to stay away; `inspect.unwrap` gives what is inside.
    """
    wrapped = Optimizer.add_param_group
    Optimizer.add_param_group = inspect.unwrap(wrapped)
    try:
        yield
    finally:
        Optimizer.add_param_group = wrapped


def check_rows_apart(make: MakeOptimizer) -> None:
    """Raises ValueError where a step on one run's row depends on another run's.

    Two stacks of rows that differ in the first row alone take three steps with the same
    gradients elsewhere: every other row must come out with the same bits.
    """

    def steps(scale: float) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        first = torch.tensor([scale, 1.0, 1.0])[:, None]
        rows = Rows(torch.randn(3, 64, generator=generator) * first, make)
        for _ in range(3):
            rows.step(torch.randn(3, 64, generator=generator) * first, torch.ones(3, dtype=torch.bool))
        return rows.parameters[1:]

    name = getattr(getattr(make, "func", make), "__name__", str(make))
    try:
        Rows(torch.zeros(3, 64), make)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error
    try:
        apart = torch.equal(steps(1.0), steps(100.0))
    except (TypeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{name} cannot take a step on stacked runs: {error}") from error
    if not apart:
        raise ValueError(
            f"{name} couples runs: its step on one run's parameters changes with another run's. "
            "Choose one that works element by element (SGD, Adam, AdamW, RMSprop, Adagrad, …)."
        )
