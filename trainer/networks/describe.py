"""What a configuration builds and costs, for people and programs: layers, parameters, FLOP, memory."""

from typing import Any, NamedTuple, Protocol

from trainer.networks.builder import Configuration
from trainer.networks.sizes import Sizes, sizes


class Batched(Configuration, Protocol):
    """A configuration that also knows its batch."""

    @property
    def images_per_step(self) -> int:
        """Real images that one step takes of the set, over all replicas together."""

    def per_replica_batch(self, replicas: int) -> int:
        """Images of each step that one of `replicas` replicas takes."""


class Description(NamedTuple):
    """A configuration's size and cost."""

    sizes: Sizes
    memory_bytes: dict[str, int]
    """Estimate for one replica: weights, optimizer, gradients, activations; the data set is not in it."""


def describe(config: Batched, replicas: int = 1) -> Description:
    """Count what `config` builds, with the global batch spread over `replicas`."""
    found = sizes(config)
    return Description(found, found.memory_bytes(config.per_replica_batch(replicas)))


def as_json(description: Description) -> dict[str, Any]:
    """The description as plain values."""
    found = description.sizes
    networks = {
        title: {
            "parameters": sum(layer.parameters for layer in layers),
            "layers": [
                {
                    "name": layer.name,
                    "kind": layer.kind,
                    "output_shape": layer.output_shape,
                    "parameters": layer.parameters,
                    "flop": layer.flop,
                }
                for layer in layers
            ],
        }
        for title, layers in (("generator", found.generator), ("discriminator", found.discriminator))
    }
    return {
        **networks,
        "flop_per_image": found.flop_per_image,
        "memory_bytes_per_replica": description.memory_bytes,
    }


def as_text(description: Description) -> str:
    """The description as a table for a terminal."""
    rows, found = [], description.sizes
    widest = max(20, *(len(layer.name) for layer in found.layers))
    for title, layers in (("generator", found.generator), ("discriminator", found.discriminator)):
        rows.append(f"{title}: {sum(layer.parameters for layer in layers):,} parameters")
        rows += [
            f"  {layer.name:<{widest}} {layer.kind:<24} {'x'.join(map(str, layer.output_shape)):<14} "
            f"{layer.parameters:>12,} {layer.flop:>16,} FLOP"
            for layer in layers
        ]
    rows.append(f"one step: {found.flop_per_image:,} FLOP per image")
    total = sum(description.memory_bytes.values()) / 2**20
    parts = ", ".join(f"{name} {size / 2**20:.1f}" for name, size in description.memory_bytes.items())
    rows.append(
        f"one replica: about {total:.0f} MiB ({parts}), TensorFlow itself and the data set not counted"
    )
    return "\n".join(rows)
