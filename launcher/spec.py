"""What to run and on how many workers: everything about a run that is not a hyperparameter.

A `RunSpec` is whole and checked before anything is written: a value that the trainer would refuse is
refused here already, as far as it can be known without the data.
"""

import re
import secrets
import string
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from launcher.errors import SpecError
from trainer import layout
from trainer.config import RunConfig, resolve
from trainer.errors import ConfigError

_RANDOM_LENGTH = 4  # 36^4 = 1.7 million names for each preset and day
_LABEL_LENGTH = 63


class RunSpec(BaseModel):
    """One run as it is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    preset: str
    """Name of the preset."""
    overrides: tuple[str, ...] = ()
    """``key=value`` pairs laid over the preset, later ones winning."""
    root: Annotated[str, Field(min_length=1)] = "runs"
    """Folder that holds all runs."""
    experiment: str = "gan"
    """Group of runs that belong together; a DNS label."""
    name: str
    """Name of the run within its experiment; a DNS label."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Worker processes, each with one replica or more."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads of each worker; None shares the cores among them."""
    backend: Literal["local"] = "local"
    """Where the workers run."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        layout.run_path(self.root, self.experiment, self.name)
        check_batch(self.config(), self.workers)
        return self

    @property
    def path(self) -> layout.RunPath:
        """The run's place."""
        return layout.RunPath(self.root, self.experiment, self.name)

    def config(self) -> RunConfig:
        """The resolved hyperparameters.

        Raises:
            ConfigError: unknown preset or key, or a value out of its range.
        """
        return resolve(self.preset, self.overrides)


def make_spec(preset: str, overrides: Iterable[str] = (), name: str | None = None, **values: Any) -> RunSpec:
    """A checked `RunSpec`, with a name of its own when none is given.

    Raises:
        UserError: a value is wrong; one line names the field, the value and what is expected.
    """
    resolve(preset, overrides)  # first, because a name made from an unknown preset would be blamed instead
    try:
        return RunSpec(
            preset=preset,
            overrides=tuple(overrides),
            name=name or default_name(preset, date.today()),
            **values,
        )
    except ValidationError as failure:
        error = failure.errors()[0]
        field = ".".join(str(part) for part in error["loc"])
        expected = error["msg"].replace("Input should be", "expected")
        raise SpecError(f"{field} is {error['input']!r}: {expected[0].lower()}{expected[1:]}") from None


def default_name(preset: str, day: date) -> str:
    """Preset, date and a short random part: sorts by day and is a DNS label."""
    alphabet = string.ascii_lowercase + string.digits
    tail = f"-{day:%Y%m%d}-" + "".join(secrets.choice(alphabet) for _ in range(_RANDOM_LENGTH))
    head = re.sub(r"[^a-z0-9]+", "-", preset.lower()).strip("-") or "run"
    return head[: _LABEL_LENGTH - len(tail)].rstrip("-") + tail


def check_batch(config: RunConfig, workers: int) -> None:
    """Refuse a number of workers that cannot share the global batch evenly.

    Raises:
        ConfigError: with the nearest batch sizes that could be shared.
    """
    try:
        config.per_replica_batch(workers)
    except ValueError:
        below = config.batch_size // workers * workers
        near = f"{below} or {below + workers}" if below else str(workers)
        raise ConfigError(
            f"batch_size is {config.batch_size}: expected a multiple of the {workers} workers, such as {near}"
        ) from None
