"""What a worker of the run needs of memory, so that no advice is less than ``submit --estimate`` asks for."""

from decimal import Decimal

from launcher.diagnosis.explain.facts import Facts
from launcher.spec.footprint import Footprint, footprint
from launcher.spec.kinds import has_pods
from launcher.spec.validation import quantity
from trainer.config import RunConfig, resolve
from trainer.errors import GantryError

MIB = 1 << 20


def needed(facts: Facts) -> Footprint | None:
    """What each worker needs; None where the configuration is not known, or is another version's."""
    config = config_of(facts)
    workers, gpus = facts.status.world_size or 1, int(facts.spec.get("gpus") or 0)
    try:
        return (
            None if config is None else footprint(config, workers, gpus, pods=has_pods(facts.status.backend))
        )
    except ValueError:
        return None


def config_of(facts: Facts) -> RunConfig | None:
    """The configuration as it was asked for; None where it is not known, or is another version's."""
    asked = facts.spec or facts.run
    try:
        preset = str(asked.get("preset") or facts.status.preset)
        return resolve(preset, tuple(asked.get("overrides") or ()))
    except (GantryError, TypeError):
        return None


def batch_of(facts: Facts) -> int | None:
    """The run's global batch; None where the configuration is not known."""
    config = config_of(facts)
    return None if config is None else config.batch_size


def at_least(facts: Facts, size: str | None) -> str | None:
    """A quantity of memory, or what a worker needs where that is more; None where neither is known."""
    need = needed(facts)
    if need is None:
        return size
    return size if size is not None and bytes_of(size) >= need.total else need.to_ask_for


def bytes_of(size: str) -> Decimal:
    """A quantity of memory in bytes, 0 for what is none."""
    return quantity(size) or Decimal(0)


def in_mib(amount: Decimal) -> str:
    """So many bytes as a quantity, rounded down: ``4096Mi``."""
    return f"{int(amount // MIB)}Mi"
