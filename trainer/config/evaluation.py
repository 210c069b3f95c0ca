"""When a run is judged while it trains, by what, and what follows of it."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.sections import Section

BEST_BY = Literal["fd", "kid", "precision", "recall"]
"""What the best checkpoint can be chosen by."""


class Evaluation(Section):
    """Figures of the images while the run trains, and the best checkpoint by one of them."""

    every_steps: Annotated[int, Field(ge=0)] = 0
    """Steps between two evaluations, a multiple of `metrics.every_steps`; the last step always has one; 0
    makes none. What they cost is said: 5 % of the time is a usual price."""
    samples: Annotated[int, Field(ge=2, le=1_000_000)] = 2000
    """Images that are drawn for each, more than the feature network has features (Karras et al. 2020: 50,000
    against all of the set)."""
    metric: BEST_BY = "fd"
    """By which the best checkpoint is chosen, on the first half of held-out images where there are any; kid
    (Binkowski et al. 2018) where these are fewer than the feature network has features."""
    stop_when_no_better: Annotated[int, Field(ge=0)] = 0
    """Evaluations in a row without a better one after which the run ends; 0 lets it take all its steps."""

    @property
    def on(self) -> bool:
        """Whether the run is judged while it trains."""
        return self.every_steps > 0

    def check(self, line_steps: int) -> None:
        """Refuse evaluations of steps that have no line of metrics, every `line_steps`.

        Raises:
            ValueError: with the key, its value and what is expected.
        """
        if self.every_steps % line_steps:
            raise ValueError(
                f"evaluation.every_steps is {self.every_steps}, expected a multiple of metrics.every_steps "
                f"({line_steps})"
            )
        if self.stop_when_no_better and not self.on:
            raise ValueError(
                f"evaluation.stop_when_no_better is {self.stop_when_no_better}, expected 0 without "
                "evaluation.every_steps"
            )
