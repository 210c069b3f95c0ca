"""Which parts go together; what does not is refused by its name, before anything starts."""

from trainer.losses import LOSSES, Name
from trainer.networks.builder import Architecture
from trainer.networks.sizes import discriminator_is_lipschitz, discriminator_normalizes
from trainer.regularizers import REGULARIZERS, Regularizers, chosen, strength
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
        said = f"regularizers.{name}.weight is {strength(getattr(regularizers, name)):g}, expected 0 with"
        if REGULARIZERS[name].of_labels and (about.relative or not about.logistic):
            raise ValueError(f"{said} loss {loss}, which has no labels")
        if REGULARIZERS[name].of_one and discriminator_normalizes(network, image):
            raise ValueError(
                f"{said} batch normalization in the discriminator: a score there depends on the other images"
                f"{network.without_normalization}"
            )
