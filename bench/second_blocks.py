"""Blocks of the networks once more, in PyTorch: ``PYTHON bench/second_blocks.py >bench/second_blocks.json``.

Run by a Python that has PyTorch and NumPy, and nothing of ours. Each block is written from its paper with
PyTorch's own functions, in float64, and says what it was given (input and weights, by the names and in the
layouts that ours have), what came out, and gradients: of the input, of weights, and of weights through the
squared gradient of the input, as penalties take them. `tests/trainer/test_second_blocks.py` compares ours.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Shape = tuple[int, ...]
_UPDATES, _RATE = 3, 0.05
_SLOPE, _EPSILON = 0.2, 2e-5


class Given:
    """Weights by name, and the singular vectors of those layers that are spectrally normalized."""

    def __init__(
        self, weights: dict[str, torch.Tensor], vectors: dict[str, tuple[torch.Tensor, ...]]
    ) -> None:
        self.weights, self.vectors = weights, vectors

    def learning(self) -> "Given":
        """The same, which gradients reach."""
        return Given(
            {name: value.clone().requires_grad_() for name, value in self.weights.items()}, self.vectors
        )

    def iterate(self) -> None:
        """Algorithm 1 of Miyato et al. 2018: v = W'u / |W'u|, then u = Wv / |Wv|."""
        for layer, (u, *_) in self.vectors.items():
            matrix = self._kernel(layer).flatten(1).detach()
            v = F.normalize(matrix.T @ u, dim=0)
            self.vectors[layer] = (F.normalize(matrix @ v, dim=0), v)

    def convolved(self, x: torch.Tensor, layer: str, groups: int = 1) -> torch.Tensor:
        """By a layer's kernel, divided by sigma = u'Wv where it is normalized, and its bias if it has one."""
        kernel = self._kernel(layer)
        if layer in self.vectors:
            u, v = self.vectors[layer]
            kernel = kernel / (u @ kernel.flatten(1) @ v)
        bias = self.weights.get(f"{layer}/bias")
        return F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2, groups=groups)

    def normalized(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        """Batch normalization by the batch's own statistics."""
        gamma, beta = (self.weights[f"{layer}/{name}"] for name in ("gamma", "beta"))
        return F.batch_norm(x, None, None, gamma, beta, training=True, eps=_EPSILON)

    def _kernel(self, layer: str) -> torch.Tensor:
        return self.weights[f"{layer}/kernel"].permute(3, 2, 0, 1)


Block = Callable[[torch.Tensor, Given], torch.Tensor]


def sngan_up(x: torch.Tensor, given: Given) -> torch.Tensor:
    """The generator's block of Miyato et al. 2018, figure 8 and table 3, right."""
    inner = F.relu(given.normalized(x, "b_1_normalize"))
    inner = given.convolved(F.interpolate(inner, scale_factor=2, mode="nearest"), "b_conv_1")
    inner = given.convolved(F.relu(given.normalized(inner, "b_2_normalize")), "b_conv_2")
    return given.convolved(F.interpolate(x, scale_factor=2, mode="nearest"), "b_shortcut") + inner


def sngan_first(x: torch.Tensor, given: Given) -> torch.Tensor:
    """The discriminator's first block, which begins with a convolution."""
    inner = given.convolved(F.relu(given.convolved(x, "down_1_conv_1")), "down_1_conv_2")
    return F.avg_pool2d(given.convolved(x, "down_1_shortcut"), 2) + F.avg_pool2d(inner, 2)


def sngan_down(x: torch.Tensor, given: Given) -> torch.Tensor:
    """The discriminator's other blocks that halve the map."""
    inner = given.convolved(F.relu(given.convolved(F.relu(x), "down_2_conv_1")), "down_2_conv_2")
    return F.avg_pool2d(given.convolved(x, "down_2_shortcut") + inner, 2)


def sngan_plain(x: torch.Tensor, given: Given) -> torch.Tensor:
    """Those that do not, with as many channels after as before."""
    inner = given.convolved(F.relu(given.convolved(F.relu(x), "down_3_conv_1")), "down_3_conv_2")
    return x + inner


def attention(x: torch.Tensor, given: Given) -> torch.Tensor:
    """Zhang et al. 2019, equations 1 to 3: beta of j is over i, and each j has a mean of h(x_i)."""
    f, g, h = (given.convolved(x, f"a_{name}").flatten(2) for name in "fgh")
    beta = torch.softmax(torch.einsum("bci,bcj->bij", f, g), dim=1)
    means = torch.einsum("bij,bci->bcj", beta, h).unflatten(2, x.shape[2:])
    return x + given.weights["a_gamma/kernel"] * given.convolved(means, "a_v")


def r3gan_block(x: torch.Tensor, given: Given) -> torch.Tensor:
    """The grouped inverted bottleneck of Huang et al. 2024."""
    inner = F.leaky_relu(given.convolved(x, "b_in"), _SLOPE)
    inner = F.leaky_relu(given.convolved(inner, "b_groups", groups=3), _SLOPE)
    return x + given.convolved(inner, "b_out")


def _triangle(x: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A map with its last row and column once more, and [1, 2, 1] x [1, 2, 1] for each channel by itself."""
    taps = torch.tensor([1.0, 2.0, 1.0]) * strength
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
    return F.pad(x, (0, 1, 0, 1), mode="replicate"), kernel


def triangle_up(x: torch.Tensor, given: Given) -> torch.Tensor:
    """Zeros between pixels, smoothed by the triangle: bilinear interpolation."""
    padded, kernel = _triangle(x, 1 / 2)
    made = F.conv_transpose2d(padded, kernel, stride=2, groups=x.shape[1])
    return made[:, :, 1 : 1 + 2 * x.shape[2], 1 : 1 + 2 * x.shape[3]]


def triangle_down(x: torch.Tensor, given: Given) -> torch.Tensor:
    """Every second pixel of the map, smoothed by the triangle."""
    padded, kernel = _triangle(x, 1 / 4)
    return F.conv2d(padded, kernel, stride=2, groups=x.shape[1])


def r3gan_spread(x: torch.Tensor, given: Given) -> torch.Tensor:
    """The generator's first map: one that is learned for each channel, as strong as the channel's input."""
    return torch.einsum("bc,hwc->bchw", x, given.weights["basis/kernel"])


def r3gan_gather(x: torch.Tensor, given: Given) -> torch.Tensor:
    """The discriminator's last map: a convolution for each channel, as large as the map."""
    kernel = given.weights["basis/kernel"].permute(2, 0, 1).unsqueeze(1)
    return F.conv2d(x, kernel, groups=x.shape[1]).flatten(1)


def sum_map(x: torch.Tensor, given: Given) -> torch.Tensor:
    """Global sum pooling."""
    return x.sum((2, 3))


def _layers(bias: bool = True, **kernels: Shape) -> dict[str, Shape]:
    """Shapes of kernels [height, width, in, out] and biases."""
    found: dict[str, Shape] = {}
    for layer, shape in kernels.items():
        found[f"{layer}/kernel"] = shape
        if bias:
            found[f"{layer}/bias"] = shape[-1:]
    return found


_UP = {f"b_{number}_normalize/{name}": (3 + number % 2,) for number in (1, 2) for name in ("gamma", "beta")}
_UP |= _layers(b_conv_1=(3, 3, 4, 3), b_conv_2=(3, 3, 3, 3), b_shortcut=(1, 1, 4, 3))
_FIRST = _layers(down_1_conv_1=(3, 3, 3, 4), down_1_conv_2=(3, 3, 4, 4), down_1_shortcut=(1, 1, 3, 4))
_DOWN = _layers(down_2_conv_1=(3, 3, 3, 3), down_2_conv_2=(3, 3, 3, 4), down_2_shortcut=(1, 1, 3, 4))
_PLAIN = _layers(down_3_conv_1=(3, 3, 3, 3), down_3_conv_2=(3, 3, 3, 3))
_POINTS: Shape = (1, 1, 16, 2)
_ATTENTION = _layers(False, a_f=_POINTS, a_g=_POINTS, a_h=_POINTS, a_v=(1, 1, 2, 16), a_gamma=(1, 1))
_BOTTLENECK = _layers(b_in=(1, 1, 6, 12), b_groups=(3, 3, 4, 12)) | _layers(False, b_out=(1, 1, 12, 6))

# By name: the block, the shape of its input [batch, channels, height, width] and those of its weights. Where
# a name ends with spectral, all of its kernels are normalized.
BLOCKS: dict[str, tuple[Block, Shape, dict[str, Shape]]] = {
    "sngan up": (sngan_up, (3, 4, 3, 2), _UP),
    "sngan first": (sngan_first, (2, 3, 6, 4), _FIRST),
    "sngan first spectral": (sngan_first, (2, 3, 6, 4), _FIRST),
    "sngan down": (sngan_down, (2, 3, 6, 4), _DOWN),
    "sngan down spectral": (sngan_down, (2, 3, 6, 4), _DOWN),
    "sngan plain": (sngan_plain, (2, 3, 3, 4), _PLAIN),
    "attention": (attention, (2, 16, 3, 2), _ATTENTION),
    "r3gan block": (r3gan_block, (2, 6, 4, 5), _BOTTLENECK),
    "triangle up": (triangle_up, (2, 3, 4, 5), {}),
    "triangle down": (triangle_down, (2, 3, 6, 4), {}),
    "r3gan spread": (r3gan_spread, (2, 5), _layers(False, basis=(4, 3, 5))),
    "r3gan gather": (r3gan_gather, (2, 5, 4, 3), _layers(False, basis=(4, 3, 5))),
    "sum map": (sum_map, (2, 3, 4, 5), {}),
}


def main() -> None:
    """Print all of them."""
    torch.set_default_dtype(torch.float64)
    told = {name: _told(name, *block) for name, block in BLOCKS.items()}
    print(json.dumps({"versions": {"torch": torch.__version__}, "blocks": told}, separators=(",", ":")))


def _told(name: str, block: Block, shape: Shape, shapes: dict[str, Shape]) -> dict[str, Any]:
    random = np.random.RandomState(sum(name.encode()))
    x, weights, vectors = _drawn(random, shape), {}, {}
    for weight, of in shapes.items():
        weights[weight] = _drawn(random, of, 0.5) + (1.0 if weight.endswith("gamma") else 0.0)
    if name.endswith("spectral"):
        kernels = [weight for weight in shapes if weight.endswith("kernel")]
        vectors = {weight.split("/")[0]: (_drawn(random, shapes[weight][-1:]),) for weight in kernels}
    given = Given(weights, vectors)
    told: dict[str, Any] = {
        "input": _map(x),
        "weights": {key: _list(value) for key, value in weights.items()},
    }
    told["u"] = {layer: _list(u) for layer, (u, *_) in vectors.items()}
    given.iterate()
    by = _drawn(random, tuple(block(x, given).shape))
    told |= {"by": _map(by), **_gradients(block, x, given, by)}
    if vectors:
        told["updates"] = [_map(_updated(block, x, given, by)) for _ in range(_UPDATES)]
    return told


def _gradients(block: Block, x: torch.Tensor, given: Given, by: torch.Tensor) -> dict[str, Any]:
    """What comes out, and gradients of the sum of outputs times `by`."""
    x, learning = x.clone().requires_grad_(), given.learning()
    output, learned = block(x, learning), [*learning.weights.values()]
    to_input, *to_weights = torch.autograd.grad((output * by).sum(), [x, *learned], create_graph=True)
    found: dict[str, Any] = {"output": _map(output), "to_input": _map(to_input)}
    found["to_weights"] = dict(zip(learning.weights, map(_list, to_weights), strict=True))
    if learned:
        again = torch.autograd.grad(
            to_input.square().sum(), learned, materialize_grads=True, allow_unused=True
        )
        found["of_penalty"] = dict(zip(learning.weights, map(_list, again), strict=True))
    return found


def _updated(block: Block, x: torch.Tensor, given: Given, by: torch.Tensor) -> torch.Tensor:
    """What comes out after one update more by gradient descent and the power iteration that follows it."""
    learning = given.learning()
    steps = torch.autograd.grad((block(x, learning) * by).sum(), [*learning.weights.values()])
    for name, step in zip(given.weights, steps, strict=True):
        given.weights[name] = given.weights[name] - _RATE * step
    given.iterate()
    return block(x, given)


def _drawn(random: np.random.RandomState, shape: Shape, stddev: float = 1.0) -> torch.Tensor:
    """Numbers of three places, which are the same as float32 and in JSON."""
    return torch.from_numpy(np.round(random.standard_normal(shape) * stddev, 3))


def _map(tensor: torch.Tensor) -> Any:
    """As lists, channels last as ours has them."""
    return _list(tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor)


def _list(tensor: torch.Tensor) -> Any:
    """As lists, to nine digits, of which float32 has seven."""
    return np.vectorize(lambda entry: float(f"{entry:.9g}"))(tensor.detach().numpy()).tolist()


if __name__ == "__main__":
    main()
