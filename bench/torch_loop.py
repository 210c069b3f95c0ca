"""Contestant: the same two GANs in PyTorch as one would write them for speed: eager, fused Adam.

Generated images are computed once for both updates and the discriminator's weights get no gradients in the
generator's, as in Gantry. The DCGAN is in channels_last with the 5x5 kernels of the preset `dcgan64`. On a
GPU where there is one, with TensorFloat-32 as TensorFlow has it.
"""

import argparse
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from bench.contestant import serve


class Networks(NamedTuple):
    """The two players."""

    generator: nn.Module
    discriminator: nn.Module


def mlp() -> Networks:
    """The preset `mlp`."""

    def stack(sizes: list[int]) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes[:-1]):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
        return [*layers, nn.Linear(sizes[-2], sizes[-1])]

    generator = nn.Sequential(
        *stack([100, 128, 256, 512, 1024, 784]), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))
    )
    return Networks(generator, nn.Sequential(nn.Flatten(), *stack([784, 1024, 512, 256, 1])))


def dcgan64(normalized: bool = True) -> Networks:
    """The preset `dcgan64`; not `normalized`: without batch normalization in the discriminator."""

    def up(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]

    def down(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 5, 2, 2, bias=not normalized)
        normalization = [nn.BatchNorm2d(outputs)] if normalized else []
        return [convolution, *normalization, nn.LeakyReLU(0.2)]

    generator = nn.Sequential(
        *(
            nn.Linear(100, 16 * 1024, bias=False),
            nn.Unflatten(1, (1024, 4, 4)),
            nn.BatchNorm2d(1024),
            nn.ReLU(),
        ),
        *(*up(1024, 512), *up(512, 256), *up(256, 128), nn.ConvTranspose2d(128, 3, 5, 2, 2, 1), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(3, 64, 5, 2, 2), nn.LeakyReLU(0.2), *down(64, 128), *down(128, 256), *down(256, 512)),
        *(nn.Flatten(), nn.Linear(16 * 512, 1)),
    )
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.02)
    layout = torch.channels_last
    return Networks(generator.to(memory_format=layout), discriminator.to(memory_format=layout))


class Loop:
    """Both updates on one batch after the other."""

    def __init__(self, networks: Networks, batch: int, images: np.ndarray, gamma: float = 0.0) -> None:
        """`gamma`: of R1, with which the generator's weights are averaged too."""
        self._generator, self._discriminator = networks
        self._gamma = gamma
        self._average = [weight.detach().clone() for weight in self._generator.parameters()]
        self._batch, self._device = batch, next(networks.generator.parameters()).device
        # In memory as [N, height, width, channels]: seen as [N, channels, …] this is channels_last.
        self._images = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2)
        self._optimizers = [
            torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), fused=True) for network in networks
        ]
        self._loss = nn.BCEWithLogitsLoss()
        self._ones = torch.ones(batch, 1, device=self._device)
        self._zeros = torch.zeros_like(self._ones)

    def run(self, count: int) -> None:
        """Take `count` steps."""
        for _ in range(count):
            self._step()
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def _step(self) -> None:
        discriminator, (for_generator, for_discriminator) = self._discriminator, self._optimizers
        chosen = torch.randint(0, len(self._images), (self._batch,), device=self._device)
        real = self._images[chosen].to(torch.float32) / 127.5 - 1
        fake = self._generator(torch.randn(self._batch, 100, device=self._device))
        for_discriminator.zero_grad(set_to_none=True)
        on_real = self._loss(discriminator(real), self._ones)
        on_fake = self._loss(discriminator(fake.detach()), self._zeros)
        ((on_real + on_fake) / 2 + self._r1(real)).backward()
        for_discriminator.step()
        for_generator.zero_grad(set_to_none=True)
        discriminator.requires_grad_(False)
        self._loss(discriminator(fake), self._ones).backward()
        for_generator.step()
        discriminator.requires_grad_(True)
        if self._gamma:
            with torch.no_grad():
                torch._foreach_lerp_(self._average, list(self._generator.parameters()), 0.005)

    def _r1(self, real: torch.Tensor) -> torch.Tensor | float:
        """gamma / 2 ||grad D||^2 at the real images, the mean over them."""
        if not self._gamma:
            return 0.0
        real = real.detach().requires_grad_(True)
        [gradient] = torch.autograd.grad(self._discriminator(real).sum(), real, create_graph=True)
        return self._gamma / 2 * gradient.square().sum((1, 2, 3)).mean()


def main() -> None:
    """Build, warm up, serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=["mlp", "dcgan64"])
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--images", required=True, help="uint8 images, .npy")
    parser.add_argument("--r1", type=float, default=0.0, help="gamma; the generator is averaged with it")
    parser.add_argument("--warm", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.set_float32_matmul_precision("high")
    networks = mlp() if options.preset == "mlp" else dcgan64(normalized=not options.r1)
    on_device = Networks(*(it.to(device) for it in networks))
    loop = Loop(on_device, options.batch, np.load(options.images), options.r1)
    loop.run(options.warm)
    serve({"run": loop.run}, {"device": device, "version": torch.__version__})


if __name__ == "__main__":
    main()
