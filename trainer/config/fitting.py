"""Which parts go together; what does not is refused by its name, before anything starts."""

from trainer.losses import LOSSES, Name
from trainer.networks.builder import Architecture
from trainer.networks.conditioning import Conditioning
from trainer.networks.sizes import discriminator_is_lipschitz, discriminator_normalizes, generator_normalizes
from trainer.regularizers import REGULARIZERS, ByNoise, Regularizers, chosen, strength, strength_key
from trainer.sections import Image


def check_parts(loss: Name, regularizers: Regularizers, network: Architecture, image: Image) -> None:
    """Refuse a loss and regularizers that mean nothing together, or with the networks.

    Raises:
        ValueError: with the key, its value and what is expected.
    """
    on, about = chosen(regularizers), LOSSES[loss]
    held = any(REGULARIZERS[name].lipschitz for name in on) or discriminator_is_lipschitz(network, image)
    if about.critic and not held:
        raise ValueError(
            f"loss is {loss}, expected regularizers.gradient_penalty.weight or "
            "regularizers.weight_clipping.limit above 0, or network.discriminator_normalization=spectral, "
            "with it: its critic has to be Lipschitz"
        )
    for name in on:
        numbers = getattr(regularizers, name)
        key = f"regularizers.{name}.{strength_key(numbers)}"
        said = f"{key} is {strength(numbers):g}, expected 0 with"
        if REGULARIZERS[name].of_labels and (about.relative or not about.logistic):
            raise ValueError(f"{said} loss {loss}, which has no labels")
        if REGULARIZERS[name].of_one and discriminator_normalizes(network, image):
            raise ValueError(
                f"{said} batch normalization in the discriminator: a score there depends on the other images"
                f"{network.without_normalization}"
            )


def check_precision(precision: str, regularizers: Regularizers) -> None:
    """Refuse a penalty that is lost in a narrow type's rounding.

    Raises:
        ValueError: with the key, its value and what is expected.
    """
    for name in chosen(regularizers):
        numbers = getattr(regularizers, name)
        if precision != "float32" and isinstance(numbers, ByNoise):
            raise ValueError(
                f"regularizers.{name}.weight is {numbers.weight:g}, expected 0 with precision {precision}: "
                f"noise of {numbers.sigma:g} changes a score by less than its rounding; r1 and r2 go with it"
            )


def check_holdout(share: float, own: str | None, placement: str, source: str) -> None:
    """Refuse images held out in two ways, or in one that their source does not have.

    Raises:
        ValueError: with the key, its value and what is expected.
    """
    if share and own:
        raise ValueError(f"data.holdout is {share:g}, expected 0 beside data.holdout_source")
    if share and placement == "stream":
        raise ValueError(
            f"data.holdout is {share:g}, expected 0 with data.placement stream: name a set of its own by "
            "data.holdout_source"
        )
    if own == "test" and not source.startswith("idx:"):
        raise ValueError(f"data.holdout_source is test, expected a source: {source} has no test files")


def check_packing(packing: int, batch_size: int, microbatch: int, conditioning: Conditioning) -> None:
    """Refuse packs that do not fill a batch, or have no one label.

    Raises:
        ValueError: with the key, its value and what is expected.
    """
    for name, images in (("batch_size", batch_size), ("microbatch", microbatch)):
        if images % packing:
            raise ValueError(f"packing is {packing}, expected a divisor of {name} ({images})")
    if packing > 1 and conditioning.on:
        raise ValueError(
            f"packing is {packing}, expected 1 with conditioning.kind {conditioning.kind}: the images of a "
            "pack are of different classes"
        )


def check_microbatch(microbatch: int, batch_size: int, network: Architecture, image: Image) -> None:
    """Refuse parts of a batch that do not fill it, and networks for which they are not the same as the whole.

    Raises:
        ValueError: with the key, its value and what is expected.
    """
    if not microbatch:
        return
    if batch_size % microbatch:
        raise ValueError(f"microbatch is {microbatch}, expected a divisor of batch_size ({batch_size})")
    for player, normalizes, out in (
        ("generator", generator_normalizes, network.without_generator_normalization),
        ("discriminator", discriminator_normalizes, network.without_normalization),
    ):
        if normalizes(network, image):
            raise ValueError(
                f"microbatch is {microbatch}, expected 0 with batch normalization in the {player}, whose "
                f"statistics are those of the whole batch{out}"
            )
