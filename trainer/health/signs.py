"""What one line says of each condition: a phrase with its numbers, or nothing where it is well.

Each has the line, the lines before it that have the same metrics, and the thresholds that a user may set; a
phrase holds ``{since}`` for the step of the last line that was well.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.health.settings import Health

Line = Mapping[str, Any]
"""Of metrics, as it lies in ``metrics/``."""

RIGHT = 0.999
"""Share of the real and of the generated images that D tells from each other when it has won."""
NO_LOSS = 0.01
"""D's loss when it has won; guessing is 0.693."""
EXPLODED = 87.3
"""Magnitude of a loss, a mean over images: beyond -ln(1.2e-38) a float32 has no probability."""
STILL = 1e-6
"""Change of the norm of G's weights, as a share of it; a step of Adam at 1e-5 changes it by more."""
GROWN = 10.0
"""Growth of a norm over the least that the run has had; `mlp` grows by 1.5 in 10,000 steps."""
UNBALANCED = 0.5
"""Balance of classes over the best that the run has had; a generator of one mode in ten has 0.1."""
OVERFIT = 0.8
"""Karras et al. 2020's r_v: 0 where D scores held-out images as training ones, 1 as generated ones."""
COPIES = 0.5
"""Distance of samples to the nearest training image, over held-out images' own."""


def won(line: Line, before: Sequence[Line], health: Health) -> str:
    """Whether D tells everything from everything."""
    if line["d_loss"] >= NO_LOSS or min(line["d_accuracy_real"], line["d_accuracy_fake"]) < RIGHT:
        return ""
    return (
        f"D has won since step {{since}}: its loss is {line['d_loss']:.4f} (guessing: 0.693) and it is right "
        f"about {100 * RIGHT:.1f} % of all images or more, so that G hardly learns from it any more"
    )


def exploded(line: Line, before: Sequence[Line], health: Health) -> str:
    """Whether a loss is beyond what a float can tell."""
    if max(abs(line["d_loss"]), abs(line["g_loss"])) <= EXPLODED:
        return ""
    losses = f"D loss {line['d_loss']:.4g}, G loss {line['g_loss']:.4g}"
    return f"the losses have exploded since step {{since}}: {losses} (guessing: 0.693)"


def still(line: Line, before: Sequence[Line], health: Health) -> str:
    """Whether G is what it was at the grid before."""
    if not before:
        return ""
    old, new = before[-1]["g_norm"], line["g_norm"]
    if abs(new - old) > STILL * old:
        return ""
    return (
        f"G has stood still since step {{since}}: the norm of its weights is {new:.8g}, and was {old:.8g} "
        f"at step {before[-1]['step']}"
    )


def alike(line: Line, before: Sequence[Line], health: Health) -> str:
    """Whether the images of a grid are one or few."""
    if line["spread"] < health.least_spread:
        return (
            f"G has collapsed since step {{since}}: the spread of its grid's pixels is {line['spread']:.3f} "
            f"of real images' (threshold {health.least_spread:g})"
        )
    if line["repeats"] > health.most_repeats:
        return (
            f"G has collapsed since step {{since}}: {100 * line['repeats']:.0f} % of its grid's images have "
            f"a twin in it (threshold {100 * health.most_repeats:.0f} %)"
        )
    return ""


def missing(line: Line, before: Sequence[Line], health: Health) -> str:
    """Whether samples are in fewer classes than they were; a young generator's are in few."""
    most = max((each["balance"] for each in before), default=0.0)
    if line["balance"] >= UNBALANCED * most:
        return ""
    return (
        f"classes are missing since step {{since}}: {line['classes']:.0f} are seen, and their balance is "
        f"{line['balance']:.2f}, and was {most:.2f} (threshold {UNBALANCED:g} times)"
    )


def diverging(line: Line, before: Sequence[Line], health: Health) -> str:
    """Whether weights grow without end."""
    for name, player in (("g_norm", "G"), ("d_norm", "D")):
        least = min((each[name] for each in before), default=line[name])
        if line[name] > GROWN * least:
            return (
                f"the weights of {player} diverge since step {{since}}: their norm is {line[name]:.4g}, and "
                f"was {least:.4g} (threshold {GROWN:g} times)"
            )
    return ""


def overfits(line: Line, before: Sequence[Line], health: Health) -> str:
    """Whether D has its training images by heart."""
    if line["d_overfit"] <= OVERFIT:
        return ""
    return (
        f"D overfits since step {{since}}: held-out images score {line['d_overfit']:.2f} of the way from "
        f"training images to generated ones (threshold {OVERFIT:g})"
    )


def copies(line: Line, before: Sequence[Line], health: Health) -> str:
    """Whether G has."""
    if line["copies"] >= COPIES:
        return ""
    return (
        f"G copies training images since step {{since}}: its samples are {line['copies']:.2f} times as far "
        f"from the nearest as held-out images are (threshold {COPIES:g})"
    )
