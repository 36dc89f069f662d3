"""Any `torch.optim` class on the flat rows of an arm, provided that rows stay apart."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import Optimizer

MakeOptimizer = Callable[[list[Tensor]], Optimizer]
NEVER = -1.0  # the counter of a run that has never taken a step


class Rows:
    """The parameters of k runs, `[k, P]`, one row each, under one optimizer that changes them in place.

    What the optimizer keeps once for a tensor, such as Adam's step counter, is kept for each run: steps that
    a run does not take leave no trace in it.

    Args:
        fixed: columns that no step changes, weight decay included, `[P]`, boolean; None: there are none.
    """

    def __init__(self, parameters: Tensor, make: MakeOptimizer, fixed: Tensor | None = None) -> None:
        self._make, self._fixed = make, None if fixed is None else fixed.to(parameters.device)
        self._leaf = parameters.detach().requires_grad_()  # shares the memory: a slice of a bundle's table
        with _without_compiler():
            self._optimizer = make([self._leaf])
        self._step = inspect.unwrap(type(self._optimizer).step)
        self._rates, self._factor = [group.get("lr") for group in self._optimizer.param_groups], 1.0
        # Of each run by name, `[k]`, once they differ.
        self._counters: dict[str, Tensor] = {}

    @property
    def parameters(self) -> Tensor:
        return self._leaf.detach()

    def set_rate(self, factor: float) -> None:
        """Makes the learning rate `factor` times that which the optimizer was made with."""
        self._factor = factor
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            if rate is not None:
                group["lr"] = factor * rate

    def step(self, gradient: Tensor, may_change: Tensor) -> Tensor:
        """One optimizer step for the runs where `may_change` `[k]` is true.

        A run whose parameters or optimizer state would no longer be finite does not take it: its
        row and its optimizer state stay as they were, as for the runs that may not change.

        Returns:
            Which runs took the step, boolean `[k]`.
        """
        if not self._counters:
            return self._together(gradient, may_change)
        took = torch.zeros_like(may_change)
        for rows in self._abreast(may_change):
            part = Rows(self.parameters[rows], self._make, self._fixed)
            part.set_rate(self._factor)
            part.restore({name: tensor[rows] for name, tensor in self._kept().items()})
            took[rows] = part._together(gradient[rows], may_change[rows])
            after = part.state()
            for name, tensor in self._kept().items():
                tensor[rows] = after.get(name, tensor[rows])
        return took

    def state(self) -> dict[str, Tensor]:
        """Copies of the parameters and all optimizer state, by name; rows `[k, …]`."""
        runs = len(self._leaf)
        shared = {name: counter.repeat(runs) for name, counter in self._shared().items()}
        return {name: tensor.detach().clone() for name, tensor in (shared | self._kept()).items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes the place of what `state` was called on; shapes must agree."""
        with torch.no_grad():
            self._leaf.copy_(state["parameters"])
        kept = {name: tensor.clone() for name, tensor in state.items() if name != "parameters"}
        # Earlier versions had no axis.
        counters = {name: tensor.reshape(-1) for name, tensor in kept.items() if tensor.ndim < 2}
        if kept and not any((counter == NEVER).all() for counter in counters.values()):
            shared = {name: counter[0].cpu() for name, counter in counters.items()}
            self._optimizer.state[self._leaf] = kept | shared
        alike = all((counter == counter[0]).all() for counter in counters.values())
        self._counters = {} if alike else {name: counter.to(self._leaf.device) for name, counter in counters.items()}

    def _together(self, gradient: Tensor, may_change: Tensor) -> Tensor:
        """A step of runs that have the same counters; returns which took it."""
        before = {name: tensor.clone() for name, tensor in self._kept().items()}
        counted = {name: counter.clone() for name, counter in self._shared().items()}
        self._leaf.grad = gradient
        with torch.no_grad():
            self._step(self._optimizer)
            if self._fixed is not None:
                self._leaf[:, self._fixed] = before["parameters"][:, self._fixed]
        took = may_change & finite_rows(*self._kept().values())
        if not took.all():
            for name, tensor in self._kept().items():
                tensor[~took] = before[name][~took] if name in before else 0.0
            for name, counter in self._shared().items():
                earlier = counted.get(name, torch.full_like(counter, NEVER))
                self._counters[name] = torch.where(took, counter.to(took.device), earlier.to(took.device))
        return took

    def _abreast(self, may_change: Tensor) -> list[Tensor]:
        """The runs that may change, boolean `[k]`, in groups with the same counters."""
        if not may_change.any():
            return []
        counters = torch.stack(list(self._counters.values()), -1)
        return [may_change & (counters == those).all(-1) for those in counters[may_change].unique(dim=0)]

    def _kept(self) -> dict[str, Tensor]:
        """The rows of all runs: parameters, optimizer state and, where they differ, counters, `[k, …]`."""
        state, runs = self._optimizer.state.get(self._leaf, {}), len(self._leaf)
        rows = {name: x for name, x in state.items() if isinstance(x, Tensor) and x.ndim and len(x) == runs}
        return {"parameters": self.parameters} | rows | self._counters

    def _shared(self) -> dict[str, Tensor]:
        """Counters that the optimizer has once for all runs, while they have the same."""
        state = {} if self._counters else self._optimizer.state.get(self._leaf, {})
        return {name: value for name, value in state.items() if isinstance(value, Tensor) and not value.ndim}


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
