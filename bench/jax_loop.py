"""Contestant: the preset `mlp` in JAX as one would write it for speed: a jitted `lax.scan` over many steps.

Optax's Adam, donated buffers. As in Gantry, generated images are computed once for both updates, real and
generated ones pass the discriminator together, an epoch is a permutation of the set, and the same five sums
come back from each call. It does not look for NaN in its gradients, and drops what is left of an epoch after
the last full batch.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bench.contestant import serve

LATENT = 100
_GENERATOR = (LATENT, 128, 256, 512, 1024, 784)
_DISCRIMINATOR = (784, 1024, 512, 256, 1)
softplus = jax.nn.softplus


class State(NamedTuple):
    """All that a step changes."""

    networks: Any
    """Weights and biases of the generator and of the discriminator."""
    moments: Any
    """Optax's state for each of them."""
    order: Any
    """int32 [images]: the epoch's permutation."""
    step: Any
    """int32 scalar: steps taken."""
    sums: Any
    """float32 [5]: D's losses on real and generated images, how many it was right about, G's loss."""


class Loop:
    """Calls of `call` steps each."""

    def __init__(self, batch: int, call: int, images: np.ndarray) -> None:
        self._batch, self._call, self._adam = batch, call, optax.adam(2e-4, b1=0.5, b2=0.999, eps=1e-7)
        self._images = jnp.asarray(images.reshape(len(images), -1))
        self._keys = jax.random.split(jax.random.key(0), 3)  # of weights, orders and latents
        networks = tuple(
            _first_weights(key, sizes)
            for key, sizes in zip(jax.random.split(self._keys[0]), (_GENERATOR, _DISCRIMINATOR), strict=True)
        )
        self._state = State(
            networks,
            tuple(map(self._adam.init, networks)),
            jnp.arange(len(images)),
            jnp.zeros((), jnp.int32),
            jnp.zeros(5),
        )
        self._take = jax.jit(self._steps, donate_argnums=0)

    def run(self, count: int) -> None:
        """Take `count` steps, a multiple of those of a call."""
        if count % self._call:
            raise SystemExit(f"{count} steps: expected a multiple of {self._call}")
        for _ in range(count // self._call):
            self._state = self._take(self._state, self._images)
            sums = np.asarray(
                self._state.sums
            )  # as a line of metrics wants them; it waits for the call's end
            if not np.isfinite(sums).all():
                raise SystemExit(f"after {int(self._state.step)} steps the sums are {sums}")

    def _steps(self, state: State, images: Any) -> State:
        state = state._replace(sums=jnp.zeros(5))
        return jax.lax.scan(partial(self._step, images), state, length=self._call)[0]

    def _step(self, images: Any, state: State, _: None) -> tuple[State, None]:
        (generator, discriminator), (for_generator, for_discriminator) = state.networks, state.moments
        order, real = self._real(images, state)
        noise = jax.random.normal(jax.random.fold_in(self._keys[2], state.step), (self._batch, LATENT))
        fake, to_generator = jax.vjp(lambda weights: jnp.tanh(_apply(weights, noise)), generator)

        gradients, d_sums = jax.grad(self._d_loss, has_aux=True)(discriminator, real, fake)
        changes, for_discriminator = self._adam.update(gradients, for_discriminator)
        discriminator = jax.tree.map(jnp.add, discriminator, changes)

        g_sum, to_fake = jax.value_and_grad(lambda fake: softplus(-_apply(discriminator, fake)).sum())(fake)
        changes, for_generator = self._adam.update(to_generator(to_fake / self._batch)[0], for_generator)
        generator = jax.tree.map(jnp.add, generator, changes)
        sums = state.sums + jnp.append(d_sums, g_sum)
        moments = (for_generator, for_discriminator)
        return State((generator, discriminator), moments, order, state.step + 1, sums), None

    def _real(self, images: Any, state: State) -> tuple[Any, Any]:
        """The epoch's order, anew where one begins, and the step's images in [-1, 1]."""
        steps = len(images) // self._batch
        place = state.step % steps
        order = jax.lax.cond(
            place == 0,
            lambda: jax.random.permutation(jax.random.fold_in(self._keys[1], state.step), len(images)),
            lambda: state.order,
        )
        chosen = jax.lax.dynamic_slice(order, (place * self._batch,), (self._batch,))
        return order, images[chosen].astype(jnp.float32) / 127.5 - 1

    def _d_loss(self, weights: Any, real: Any, fake: Any) -> tuple[Any, Any]:
        on_real, on_fake = jnp.split(_apply(weights, jnp.concatenate([real, fake]))[:, 0], 2)
        losses = softplus(-on_real).sum(), softplus(on_fake).sum()
        return sum(losses) / 2 / self._batch, jnp.stack([*losses, (on_real > 0).sum(), (on_fake <= 0).sum()])


def _first_weights(key: Any, sizes: Sequence[int]) -> list[tuple[Any, Any]]:
    draw, keys = jax.nn.initializers.glorot_uniform(), jax.random.split(key, len(sizes) - 1)
    return [(draw(one, pair), jnp.zeros(pair[1])) for one, pair in zip(keys, pairwise(sizes), strict=True)]


def _apply(layers: Sequence[tuple[Any, Any]], x: jax.Array) -> jax.Array:
    """Dense layers with LeakyReLU between them."""
    for number, (kernel, bias) in enumerate(layers):
        x = (jax.nn.leaky_relu(x, 0.2) if number else x) @ kernel + bias
    return x


def main() -> None:
    """Compile, warm up, serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=["mlp"])
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--images", required=True, help="uint8 images, .npy")
    parser.add_argument("--call", type=int, default=50, help="steps of one call")
    options = parser.parse_args()
    loop = Loop(options.batch, options.call, np.load(options.images))
    loop.run(options.call)
    serve({"run": loop.run}, {"device": jax.default_backend(), "version": jax.__version__})


if __name__ == "__main__":
    main()
