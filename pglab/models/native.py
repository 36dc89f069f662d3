"""Networks of `backend=native`: the same functions, with outputs and slopes by compiled code."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.models.networks import MLP, Normalized
from pglab.native.gradients import SLOPES
from pglab.native.layers import stacked
from pglab.native.network import ACTIVATIONS
from pglab.native.vector import WIDTH


@dataclass(frozen=True)
class NativeMLP(MLP):
    """An `MLP` by compiled code, for numbers of single precision on the CPU; for others it is the `MLP`."""

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        single = x.dtype == torch.float32 and all(part.dtype == torch.float32 for part in parameters.values())
        if not single or x.device.type != "cpu" or x.dim() != 3 or x.shape[1] % WIDTH or x.requires_grad:
            return super().forward(parameters, x)
        layers = [parameters[f"{kind}_{n}"] for n in range(1, len(self.sizes) + 2) for kind in ("weight", "bias")]
        return _Layers.apply(MLP(self.sizes, self.activation), x.contiguous(), *layers).mT


class _Layers(torch.autograd.Function):
    """Outputs `[B, out, n]` of an MLP; slopes of slopes are torch's."""

    @staticmethod
    def forward(ctx: Any, network: MLP, x: Tensor, *layers: Tensor) -> Tensor:
        ctx.network = network
        ctx.save_for_backward(x, *layers)
        outputs = torch.empty(len(x), layers[-1].shape[-1], x.shape[1])
        outputs_of, _ = stacked(ACTIVATIONS[network.activation])
        outputs_of(_flat(layers), _sizes(layers), x.detach().numpy(), outputs.numpy())
        return outputs

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> Any:
        x, *layers = ctx.saved_tensors
        if torch.is_grad_enabled():
            names = [f"{kind}_{n}" for n in range(1, len(layers) // 2 + 1) for kind in ("weight", "bias")]
            outputs = ctx.network.forward(dict(zip(names, layers, strict=True)), x).mT
            return None, None, *torch.autograd.grad(outputs, layers, slopes, create_graph=True)
        flat = _flat(layers)
        gradient = torch.empty(flat.shape)
        _, slopes_of = stacked(ACTIVATIONS[ctx.network.activation])
        slopes_of(flat, _sizes(layers), x.detach().numpy(), slopes.detach().contiguous().numpy(), gradient.numpy())
        parts = gradient.split([layer[0].numel() for layer in layers], -1)
        return None, None, *(part.view(layer.shape) for part, layer in zip(parts, layers, strict=True))


def native_network(network: Any) -> Any:
    """The same network by compiled code, where there is such code; otherwise the network itself."""
    if isinstance(network, Normalized):
        return replace(network, network=native_network(network.network))
    if type(network) is MLP and ACTIVATIONS[network.activation] in SLOPES:
        return NativeMLP(network.sizes, network.activation)
    return network


def _flat(layers: Any) -> np.ndarray:
    return torch.cat([layer.detach().flatten(1) for layer in layers], -1).numpy()


def _sizes(layers: Any) -> np.ndarray:
    return np.array([layers[0].shape[-1], *(weight.shape[-2] for weight in layers[::2])])
