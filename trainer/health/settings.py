"""The section ``health`` of a configuration."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.sections import Fraction, Positive, Section


class Health(Section):
    """What is done about a game that is over, and when it counts as such."""

    on_collapse: Literal["warn", "stop", "rollback"] = "warn"
    """warn: say so and go on; stop: leave with exit code 3, and the run is collapsed; rollback: go on from
    the newest checkpoint before it began, with other latents."""
    rollbacks: Annotated[int, Field(ge=1, le=100)] = 3
    """How often `rollback` is tried; then it is stop."""
    window_steps: Positive = 500
    """Steps that all lines have to say the same; twice as many of grids that are alike, a fifth of losses
    that explode."""
    grids: Annotated[int, Field(ge=1, le=100)] = 2
    """Grids, or evaluations, that have to say the same besides: one may be a young generator's."""
    least_spread: Fraction = 0.2
    """Spread of a grid's pixels over that of real images, below which its images are all alike."""
    most_repeats: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of a grid's images that have another of it as their twin, above which it repeats itself."""
