"""The ends of both networks, where labels come in: an architecture asks for them and so has every kind.

Without labels the layers are the ones that it would have made itself.
"""

from trainer.networks.builder import Builder, Shape, T, Weights
from trainer.networks.conditioning import Conditioning


def latents(builder: Builder[T], size: int, conditioning: Conditioning) -> T:
    """The generator's input: the latent [batch, size], with the one-hot label beside it if there is one."""
    x = builder.input((size,), "latents")
    if not conditioning.on:
        return x
    return builder.beside(x, builder.label(conditioning.classes), "latents_and_label")


def image(
    builder: Builder[T], shape: Shape, conditioning: Conditioning, *, flat: bool = False
) -> tuple[T, T | None]:
    """The discriminator's input, and the one-hot label that `logits` is to be given.

    With concatenation the label stands beside a `flat` image, and of a map beside the channels of each pixel.
    """
    x = builder.input(shape, "image")
    if flat:
        x = builder.flatten(x, "flat")
    if not conditioning.on or conditioning.says_class:
        return x, None
    label = builder.label(conditioning.classes)
    if conditioning.kind == "concatenation":
        return builder.beside(x, label, "image_and_label"), None
    return x, label


def logits(
    builder: Builder[T],
    features: T,
    label: T | None,
    conditioning: Conditioning,
    weights: Weights,
    *,
    bias: bool = True,
    spectral: bool = False,
) -> T:
    """Logits [batch, 1] of features [batch, n]; with acgan [batch, 1 + classes], that of real first.

    Args:
        builder: makes the layers.
        features: what the discriminator has made of the image.
        label: what `image` returned.
        conditioning: the kind.
        weights: first weights of all of it.
        bias: whether the first logit has one.
        spectral: whether all of them are spectrally normalized, embeddings too as in Miyato and Koyama 2018.
    """
    logit = builder.dense(features, 1, "logit", bias=bias, weights=weights, spectral=spectral)
    if conditioning.says_class:
        classes = builder.dense(features, conditioning.classes, "classes", weights=weights, spectral=spectral)
        return builder.beside(logit, classes, "logits")
    if label is None:
        return logit
    width = builder.width(features)
    embedded = builder.dense(label, width, "embedding", bias=False, weights=weights, spectral=spectral)
    return builder.sum(logit, builder.product(embedded, features, "projection"), "projected_logit")
