"""Self-attention over a map (Zhang et al. 2019, SAGAN, arXiv:1805.08318, equations 1 to 3)."""

from trainer.networks.builder import GLOROT, Builder, T

_SHARE = 8  # of the channels that are compared and carried (section 3: C / 8)


def self_attention(builder: Builder[T], x: T, name: str, *, spectral: bool = False) -> T:
    """x + gamma v(sum_i beta_ji h(x_i)), beta_j the softmax over i of f(x_i)' g(x_j); gamma is 0 at first.

    Args:
        builder: makes the layers.
        x: [batch, height, width, channels], as is the output.
        name: before the layers' own.
        spectral: whether the four 1x1 convolutions f, g, h and v are spectrally normalized.
    """
    channels, (height, width) = builder.width(x), builder.map_size(x)
    few = max(1, channels // _SHARE)

    def pixels(which: str) -> T:
        made = _pointwise(builder, x, few, f"{name}_{which}", spectral)
        return builder.reshape(made, (height * width, few), f"{name}_{which}_pixels")

    keys, queries, values = pixels("f"), pixels("g"), pixels("h")
    found = builder.attention(queries, keys, values, f"{name}_mean")
    found = builder.reshape(found, (height, width, few), f"{name}_grid")
    found = _pointwise(builder, found, channels, f"{name}_v", spectral)
    return builder.sum(x, builder.scale(found, f"{name}_gamma"), f"{name}_sum")


def _pointwise(builder: Builder[T], x: T, filters: int, name: str, spectral: bool) -> T:
    return builder.convolution(x, filters, name, kernel=1, bias=False, weights=GLOROT, spectral=spectral)
