"""A generator's file of Keras as it stands, which may be of another program than Gantry.

It takes latents [n, size] first, drawn from N(0, 1), and after them a class where it takes any, as whole
numbers [n] or one-hot [n, classes]; it gives images [n, height, width, channels] in [-1, 1].
"""

from pathlib import Path
from typing import Any

import keras

from trainer.errors import UserError
from trainer.run import checkpoints
from trainer.sampling.drawing import About
from trainer.sampling.origin import Origin

_CHANNELS = (1, 3)


def load(origin: Origin) -> keras.Model:
    """The model in the file, as one that takes classes as whole numbers if it takes any.

    Raises:
        UserError: it is none, or takes or gives something else.
    """
    with checkpoints.scratch_folder() as folder:
        path = Path(folder) / "generator.keras"
        origin.store.download(origin.file, path)
        try:
            model = keras.models.load_model(path, compile=False)
        except Exception as error:  # whatever Keras raises of a file that is not its own
            line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise UserError(f"{origin.url}: Keras cannot load it: {line[:200]}") from None
    given, made = [tuple(each.shape) for each in model.inputs], [tuple(each.shape) for each in model.outputs]
    if not _takes_latents(given) or len(made) != 1 or len(made[0]) != 4 or made[0][-1] not in _CHANNELS:
        raise UserError(
            f"{origin.url}: takes {_shapes(given)} and gives {_shapes(made)}, expected latents [n, size] and "
            "perhaps a class, and images [n, height, width, 1 or 3]"
        )
    return _with_numbers(model)


def about(generator: keras.Model, origin: Origin) -> About:
    """What a generator that `load` has returned takes.

    Raises:
        UserError: it takes classes, and does not say how many there are.
    """
    size = int(generator.inputs[0].shape[1])
    if len(generator.inputs) == 1:
        return About(size)
    counts = [layer.num_tokens for layer in generator.layers if hasattr(layer, "num_tokens")]
    if len(counts) != 1 or not counts[0]:
        raise UserError(f"{origin.url}: takes a class, and does not say how many there are: expected one-hot")
    return About(size, int(counts[0]))


def _takes_latents(given: list[tuple[Any, ...]]) -> bool:
    latents, *label = given
    whole = len(latents) == 2 and latents[1] is not None
    return whole and len(label) < 2 and all(len(shape) in (1, 2) and shape[1:] != (1,) for shape in label)


def _with_numbers(model: keras.Model) -> keras.Model:
    """The same, whose second input is int32 [n], whatever the file's is."""
    if len(model.inputs) == 1 or len(model.inputs[1].shape) == 1:
        return model
    classes = model.inputs[1].shape[1]
    latents, label = keras.Input(model.inputs[0].shape[1:]), keras.Input((), dtype="int32")
    one_hot = keras.layers.CategoryEncoding(classes, output_mode="one_hot")(label)
    return keras.Model([latents, label], model([latents, one_hot]))


def _shapes(shapes: list[tuple[Any, ...]]) -> str:
    return ", ".join(f"[{', '.join('n' if size is None else str(size) for size in each)}]" for each in shapes)
