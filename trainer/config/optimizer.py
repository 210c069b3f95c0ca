"""How weights are updated: Adam's numbers, for both players or one, and how they change with the steps."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from trainer.sections import Fraction, Section

Rate = Annotated[float, Field(gt=0, le=1)]
Steps = Annotated[int, Field(ge=0)]
Norm = Annotated[float, Field(ge=0, le=1e6)]


class Schedule(Section):
    """How learning rates change; in steps and not in shares of the run, which may go on beyond its end."""

    kind: Literal["constant", "linear", "cosine"] = "constant"
    """constant; or falling from `decay_from` to `decay_to`, in a line or as half a cosine."""
    warm_up_steps: Steps = 0
    """First steps, in which the rate rises in a line to its height."""
    decay_from: Steps = 0
    """Steps after which it begins to fall."""
    decay_to: Steps = 0
    """Steps after which it has fallen to `final`, and stays there."""
    final: Fraction = 0.0
    """Share of the rate that is left then."""

    @model_validator(mode="after")
    def _falls(self) -> "Schedule":
        if self.kind != "constant" and self.decay_to <= self.decay_from:
            raise ValueError(
                f"optimizer.schedule.decay_to is {self.decay_to}, expected more steps than "
                f"decay_from ({self.decay_from}) for kind {self.kind}"
            )
        return self

    @property
    def is_constant(self) -> bool:
        """Whether the rate is the same at every step."""
        return self.kind == "constant" and not self.warm_up_steps


class Player(Section):
    """What is different for one network; null is as for both (two time scales: Heusel et al. 2017)."""

    learning_rate: Rate | None = None
    """Its step size."""
    beta1: Fraction | None = None
    """Decay of the first moment."""
    beta2: Fraction | None = None
    """Decay of the second moment."""
    clip_norm: Norm | None = None
    """Largest global norm of its gradients; 0 is any."""


class Rates(NamedTuple):
    """One player's numbers."""

    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    clip_norm: float
    schedule: Schedule


class Optimizer(Section):
    """Adam (Kingma and Ba 2014, arXiv:1412.6980)."""

    learning_rate: Rate = 2e-4
    """Step size (Radford et al. 2015: 0.0002)."""
    beta1: Fraction = 0.5
    """Decay of the first moment, for each update (Radford et al. 2015: 0.5)."""
    beta2: Fraction = 0.999
    """Decay of the second moment, for each update (Kingma and Ba 2014)."""
    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-7
    """Added to the root of the second moment (Keras: 1e-7)."""
    clip_norm: Norm = 0.0
    """Largest global norm of a network's gradients, summed over all replicas; 0 is any."""
    schedule: Schedule = Schedule()
    """How the learning rates change with the steps."""
    generator: Player = Player()
    """What is different for the generator."""
    discriminator: Player = Player()
    """What is different for the discriminator."""

    def of(self, player: str) -> Rates:
        """The numbers of ``generator`` or ``discriminator``."""
        own: Player = getattr(self, player)
        learning_rate, beta1, beta2, clip_norm = (
            getattr(self, name) if getattr(own, name) is None else getattr(own, name)
            for name in ("learning_rate", "beta1", "beta2", "clip_norm")
        )
        return Rates(learning_rate, beta1, beta2, self.epsilon, clip_norm, self.schedule)
