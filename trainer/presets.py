"""Every preset: what it trains, on what, what that costs, and whether a run of it is shown in docs."""

from typing import NamedTuple

from trainer import config as configuration
from trainer.config import RunConfig
from trainer.networks.duration import seconds_per_1000_images
from trainer.networks.sizes import sizes

CORES = 2
"""That `Cost` is for."""


class Cost(NamedTuple):
    """What a run of it takes on 2 cores."""

    images: int
    """Real images that the discriminator is shown."""
    minutes: float
    measured: bool
    """Whether a whole run took so long; else it is estimated (`trainer.networks.duration`)."""
    cores: int = CORES


class Preset(NamedTuple):
    """One of them."""

    name: str
    description: str
    data: str
    """Its `data.source`."""
    cost: Cost
    trained_here: bool
    """Whether a run of it is shown in docs, with figures."""
    stateful: bool
    """Whether it has, of those, the most kinds of state; of equals, whether it takes the least time."""


def presets() -> list[Preset]:
    """All of them, by name."""
    configs = {name: configuration.resolve(name) for name in configuration.preset_names()}
    shown = [name for name in configs if configuration.preset_about(name).trained]
    costs = {name: cost(name, config) for name, config in configs.items()}
    most = max(shown, key=lambda name: (_kinds(configs[name]), -costs[name].minutes), default=None)
    return [
        Preset(
            name,
            configuration.preset_about(name).description,
            config.data.source,
            costs[name],
            name in shown,
            name == most,
        )
        for name, config in configs.items()
    ]


def cost(name: str, config: RunConfig) -> Cost:
    """What a run of a preset takes, with more or fewer steps than it has, or other values."""
    images = config.steps * config.images_per_step
    trained, plain = configuration.preset_about(name).trained, configuration.resolve(name)
    judging = configuration.price(config, CORES).all_seconds
    if trained and configuration.same_work(plain, config):
        more = 0.0 if plain.evaluation.on else judging  # else the run that took so long had its own
        return Cost(images, _rounded(trained.minutes * config.steps / plain.steps + more / 60), True)
    seconds = images / 1000 * seconds_per_1000_images(config, CORES) + judging
    return Cost(images, _rounded(seconds / 60), False)


def _rounded(minutes: float) -> float:
    return float(f"{minutes:.3g}")


def _kinds(config: RunConfig) -> int:
    """How many kinds of state a checkpoint of it brings back."""
    return sum(entries > 0 for entries in sizes(config).state.values())
