"""What a process finds out before it imports TensorFlow: the run's record and its data.

Everything that can be refused by then is refused in the first second, and nothing was written.
"""

from collections.abc import Mapping
from typing import NamedTuple

from trainer import config as configuration
from trainer import survey
from trainer.config import RunConfig
from trainer.data import dataset
from trainer.data.dataset import Accept, Dataset
from trainer.environment.supervision import Supervision
from trainer.environment.tf_config import Cluster
from trainer.errors import ConfigError, DataError
from trainer.run import layout, ownership, record
from trainer.run.record import Record
from trainer.storage import Store, open_store
from trainer.storage.retrying import ask


class Options(NamedTuple):
    """How this process was asked to run; nothing in it but `accept_changed_data` changes the result."""

    path: layout.RunPath
    """Where the run lies."""
    preset: str
    """Name of the preset, for the record."""
    overrides: tuple[str, ...] = ()
    """What was given with ``--set``, for the record."""
    fresh: bool = False
    """Refuse a run that exists."""
    threads: int | None = None
    """Threads for one operation; None for one on each core."""
    supervision: Supervision = Supervision()
    """What the supervisor of this process says, if it has one."""
    schedule: str | None = None
    """Name of the schedule that started the run, for the record."""
    scheduled: str | None = None
    """For when, as ISO time, for the record."""
    accept_changed_data: bool = False
    """Go on with data that is not what the run began with."""
    surroundings: Mapping[str, object] = {}
    """What may change bits and was not chosen by the configuration, for the record."""


class Opening(NamedTuple):
    """A run as a process finds it."""

    config: RunConfig
    options: Options
    raw: Store
    store: Store
    """`raw`, with the run's patience."""
    known: Record | None
    """The run's record; the chief's."""
    data: Dataset


def open_run(config: RunConfig, options: Options, cluster: Cluster) -> Opening:
    """Look at a run and at its data; writes nothing.

    Raises:
        UserError: the configuration, the data or the run's folder is wrong.
        StorageAway: storage, the run's or the data's, did not answer for too long.
        RunLost: the run's record, or all of its checkpoints, were there and are gone.
    """
    try:
        config.per_replica_batch(cluster.workers)
    except ValueError as error:
        raise ConfigError(f"{error}, the workers of TF_CONFIG") from None
    attempt = options.supervision.attempt
    if not attempt:  # a path in a pod is that of its image, and what was submitted has it so
        config = configuration.placed(config)
        options = options._replace(overrides=configuration.placed_overrides(options.overrides))
    raw = open_store(options.path.url)
    store = ownership.patient(raw, config)[0]
    known = None
    if cluster.is_chief:
        store.check()
        known = record.check(store, config, options.fresh, options.supervision.begun)
    pin = dataset.pinned(
        store, known if cluster.is_chief else record.read(store), options.accept_changed_data
    )
    accept = Accept(options.accept_changed_data, attempt)
    say = ownership.say if cluster.is_chief else _quiet
    try:
        data = ask(ownership.outage(config), lambda: dataset.look(config, pin, accept, say))
    except DataError as error:
        raise survey.blamed(error, options.preset, options.overrides) from None
    return Opening(config, options, raw, store, known, data)


def _quiet(text: str) -> None:
    """Take the lines of a worker whose chief says the same."""
