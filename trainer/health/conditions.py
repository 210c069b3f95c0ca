"""Every condition of a run's health: one row each."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from trainer.health import signs
from trainer.health.settings import Health
from trainer.health.signs import Line


class Condition(NamedTuple):
    """One thing that can be wrong with the game."""

    name: str
    title: str
    """For people."""
    threshold: str
    """When a line says so, for docs/health.md."""
    source: str
    """The paper that knows it."""
    reads: tuple[str, ...]
    """Metrics that a line must have to be heard."""
    says: Callable[[Line, Sequence[Line], Health], str]
    """What a line says of it after those before it that were heard, with its numbers; empty: it is well."""
    option: str
    """What to change."""
    advice: str
    """How."""
    steps: Callable[[Health], int]
    """For how many steps all lines have to say so."""
    lines: Callable[[Health], int]
    """And how many."""
    ends: bool = True
    """Whether the game is over, so that ``health.on_collapse`` acts."""
    logistic: bool = False
    """Whether it speaks of cross-entropies alone: a Wasserstein critic's losses have no bounds."""


def _window(health: Health) -> int:
    return health.window_steps


def _twice(health: Health) -> int:
    return 2 * health.window_steps  # a young generator's images are alike: mlp's for 500 steps


def _fifth(health: Health) -> int:
    return max(1, health.window_steps // 5)


def _two(health: Health) -> int:
    return 2  # one may be a spike


def _grids(health: Health) -> int:
    return health.grids


_GAME = ("d_loss", "g_loss", "d_accuracy_real", "d_accuracy_fake")
_RATE = ("optimizer.learning_rate", "a new run with a lower optimizer.learning_rate is the usual way out")
_FEWER = ("regularizers.r1.weight", "a new run with regularizers.r1.weight, or more images, holds D back")

CONDITIONS = (
    Condition(
        "losses_exploded", "The losses have exploded",
        f"a loss beyond {signs.EXPLODED} in magnitude", "IEEE 754: -ln of the least normal float32",
        ("d_loss", "g_loss"), signs.exploded, *_RATE, _fifth, _two, logistic=True,
    ),
    Condition(
        "discriminator_won", "D has won",
        f"D right about {100 * signs.RIGHT:.1f} % of real and of generated images, its loss under "
        f"{signs.NO_LOSS}",
        "Arjovsky and Bottou 2017, arXiv:1701.04862, section 2",
        _GAME, signs.won, *_RATE, _window, _two, logistic=True,
    ),
    Condition(
        "norms", "Weights diverge",
        f"the norm of a player's weights {signs.GROWN:g} times the least that it was",
        "Brock et al. 2019, arXiv:1809.11096, section 4",
        ("g_norm", "d_norm"), signs.diverging, *_RATE, _window, _grids,
    ),
    Condition(
        "generator_still", "G stands still",
        f"the norm of its weights changes by less than a share of {signs.STILL:g} from a grid to the next",
        "Arjovsky and Bottou 2017, arXiv:1701.04862, theorem 2.4",
        ("g_norm",), signs.still, "loss", "a new run with another loss (hinge, say), or a lower "
        "optimizer.learning_rate, gives G gradients again", _window, _grids,
    ),
    Condition(
        "collapse", "G has collapsed",
        "pixels spread less over a grid than `health.least_spread` of real images', or more than "
        "`health.most_repeats` of it has a twin",
        "Arora and Zhang 2017, arXiv:1706.08224 (twins by the birthday paradox)",
        ("spread", "repeats"), signs.alike, "packing", "a new run with packing=2, "
        "regularizers.r1.weight or a lower optimizer.learning_rate is the usual way out", _twice, _grids,
    ),
    Condition(
        "classes_missing", "Classes are missing",
        f"a balance of classes under {signs.UNBALANCED:g} times the best that it was",
        "Lin et al. 2018, arXiv:1712.04086, section 4",
        ("classes", "balance"), signs.missing, "packing", "a new run with packing=2, or conditioning.kind "
        "where there are labels, has G draw the others too", _twice, _grids,
    ),
    Condition(
        "overfitting", "D overfits",
        f"r_v over {signs.OVERFIT:g}", "Karras et al. 2020, arXiv:2006.06676, equation 1",
        ("d_overfit",), signs.overfits, *_FEWER, _window, _grids, ends=False,
    ),
    Condition(
        "memorisation", "G copies training images",
        f"samples {signs.COPIES:g} times as far from training images as held-out images are, or nearer",
        "Meehan et al. 2020, arXiv:2004.05675", ("copies",), signs.copies, *_FEWER, _window, _grids,
        ends=False,
    ),
)  # fmt: skip
"""In the order in which they are told: what explains others first."""
BY_NAME: Mapping[str, Condition] = {condition.name: condition for condition in CONDITIONS}
