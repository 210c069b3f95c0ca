"""Whether the game of generator and discriminator is still one, by the lines of metrics alone.

Two endings that no NaN tells of, and that a run can go on with to its last step:

- D has won: a discriminator that is right about everything has no gradient to teach with (Arjovsky and
  Bottou 2017, "Towards principled methods for training generative adversarial networks", arXiv:1701.04862,
  section 2).
- The losses have exploded: beyond 87.3 = -ln(1.2e-38) the probability that D gives is 0 in float32.

Either counts only when every line of the last steps (`STEPS`) says so: D is often right about everything for
a while at the beginning of a run that ends well.
"""

from collections.abc import Iterable, Mapping
from typing import Any

STEPS = {"won": 500, "exploded": 100}
"""How many steps it must last, and `LINES` lines of metrics."""
LINES = 2
RIGHT = 0.999
"""Share of the real and of the generated images that D tells from each other when it has won."""
NO_LOSS = 0.01
"""D's loss when it has won; guessing is 0.693."""
EXPLODED = 87.3
"""Magnitude of a loss, a mean over images."""


class Game:
    """Hears the lines of a run in their order, and says when it is over."""

    def __init__(self, step: int, lines: Iterable[Mapping[str, Any]] = (), logistic: bool = True) -> None:
        """Begin after `step` steps; `lines` are those before, of which the last ones count.

        `logistic`: whether the losses are cross-entropies. Of another loss's size nothing is known here: a
        Wasserstein critic's has no bounds.
        """
        self._logistic = logistic
        self._before, self._lines, self._since, self._kind = step, 0, step, ""
        for line in lines:
            self._before = min(self._before, line["step"])
            self.add(line)

    def add(self, line: Mapping[str, Any]) -> str | None:
        """Hear a line; what there is to say of the game, None while it goes on."""
        kind = _ending(line) if self._logistic else ""
        if kind != self._kind:
            self._kind, self._since, self._lines = kind, self._before, 0
        self._before, self._lines = line["step"], self._lines + 1
        steps = line["step"] - self._since
        if not kind or steps < STEPS[kind] or self._lines < LINES:
            return None
        return _WORDS[kind].format(since=self._since, d=line["d_loss"], g=line["g_loss"])


def _ending(line: Mapping[str, Any]) -> str:
    if max(abs(line["d_loss"]), abs(line["g_loss"])) > EXPLODED:
        return "exploded"
    sure = min(line["d_accuracy_real"], line["d_accuracy_fake"]) >= RIGHT
    return "won" if sure and line["d_loss"] < NO_LOSS else ""


_WAY_ON = "; a new run with a lower optimizer.learning_rate is the usual way out"
_WORDS = {
    "won": f"D has won since step {{since}}: its loss is {{d:.4f}} (guessing: 0.693) and it is right about "
    f"{100 * RIGHT:.1f} % of all images or more, so that G hardly learns from it any more{_WAY_ON}",
    "exploded": "the losses have exploded since step {since}: D loss {d:.4g}, G loss {g:.4g} (guessing: "
    f"0.693){_WAY_ON}",
}
