"""One process' whole part in a run: check what can be refused, take the lease, meet the peers, loop, leave.

One process per worker calls `train`. The chief (worker 0) alone prints and writes; the others only compute.
What a run was told is in `Options`, what it is in `RunConfig`; the loop itself is in `trainer.loop`.
"""

import uuid
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from trainer import cluster, feed, guard, layout, origin, record, strategy
from trainer.cluster import Cluster
from trainer.config import RunConfig
from trainer.data import ImageSource, open_source
from trainer.emergency import Emergency
from trainer.errors import ConfigError, GantryError, RunLost, Stopped
from trainer.guard import Hold
from trainer.index import IndexKeeper
from trainer.loop import Loop, Material
from trainer.origin import Origin
from trainer.status import amend
from trainer.stopping import StopFlag
from trainer.storage import Store, open_store
from trainer.streams import BLOCK
from trainer.supervision import Supervision


class Options(NamedTuple):
    """How this process was asked to run; nothing in it changes the result."""

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


def train(
    config: RunConfig,
    options: Options,
    team: Cluster,
    emergency: Emergency | None = None,
    stop: StopFlag | None = None,
) -> int:
    """Train one run to its end, from its newest whole checkpoint if there is one.

    Args:
        config: what the run is.
        options: how to go about it.
        team: the workers.
        emergency: the way out for other threads; one of its own when None.
        stop: who hears that this process is to stop; one of its own when None.

    Returns:
        The exit code: `EXIT_DONE`, or `EXIT_RESTART` when the process was asked to stop and saved.

    Raises:
        UserError: the configuration, the data, the run's folder or TF_CONFIG is wrong, or another process
            trains the run; nothing was written.
        RunLost: the run's record, or all of its checkpoints, were there and are gone.
        Diverged: a loss or a gradient became NaN or Inf.
        PeerLost: another worker is gone.
        StorageAway: storage did not answer for too long; everything up to the newest checkpoint is safe.
        StorageError: the disk is full; everything up to the newest checkpoint is safe.
    """
    emergency = emergency or Emergency()
    stop = stop or StopFlag(emergency)
    stop.doing("it looked at the run and its data")
    try:
        config.per_replica_batch(team.workers)
    except ValueError as error:
        raise ConfigError(f"{error}, the workers of TF_CONFIG") from None
    raw = open_store(options.path.url)
    store = guard.patient(raw, config)[0]
    begins = None
    if team.is_chief:
        store.check()
        known = record.check(store, config, options.fresh, options.supervision.begun)
        begins = origin.decide(options.path, config, known, guard.say)
    elif not origin.is_open(config):
        begins = Origin(config.data.source)
    # The others look at their data when they know what the chief has decided.
    source = _open(config, begins) if begins else None
    cluster.check_port(team)
    strategy.set_threads(options.threads)
    hold = None
    if team.is_chief:
        stop.doing("it took the run over")
        # By chance: host names and process numbers are those of other attempts too, in containers say.
        hold = guard.take(raw, config, options.supervision.attempt or uuid.uuid4().hex)
        pod = bool(options.supervision.attempt)
        hold.lease.when_lost(partial(_leave, raw, emergency, pod))
        emergency.keep_with(partial(_tell_stopped, hold))
    try:
        return _with_peers(config, options, team, emergency, stop, _Prepared(store, hold, begins, source))
    except RunLost as error:
        guard.tell_lost(raw, error, pod=bool(options.supervision.attempt))
        raise
    finally:
        if hold:
            hold.lease.release()


def _leave(store: Store, emergency: Emergency, pod: bool, error: GantryError) -> None:
    """What the lease's thread does when there is nothing more to be written."""
    guard.tell_lost(store, error, pod=pod)
    emergency.lease_lost(error)


def _tell_stopped(hold: Hold, error: GantryError) -> None:
    """Leave word of a stop before there was a chief, where there is a run to say it of."""
    if isinstance(error, Stopped):
        with suppress(GantryError):
            if hold.store.stat(layout.RUN):
                amend(hold.status, state="stopped", message=str(error), eta_seconds=None)
        hold.lease.release()


class _Prepared(NamedTuple):
    """What a process has before it meets its peers."""

    store: Store
    hold: Hold | None
    """The chief's."""
    origin: Origin | None
    """None where only the chief knows yet what the run begins from."""
    source: ImageSource | None


def _with_peers(
    config: RunConfig,
    options: Options,
    team: Cluster,
    emergency: Emergency,
    stop: StopFlag,
    mine: _Prepared,
) -> int:
    """Meet the other workers and train with them."""
    if not team.alone:
        stop.doing("it waited for the other workers")
    plan = strategy.connect(team, config.recovery.heartbeat_seconds)
    stop.doing("the checkpoint and the data were loaded")
    with strategy.peers(team):
        if config.batch_size % plan.num_replicas_in_sync:
            raise ConfigError(
                f"batch_size {config.batch_size} is not divisible by {plan.num_replicas_in_sync} replicas"
            )
        begins, keeper = mine.origin, None
        if mine.hold and begins:
            if not team.alone:
                guard.say(f"all {team.workers} workers are here")
            begins, keeper = _enter(config, options, team, mine.hold, begins)
        if origin.is_open(config):
            strategy.agree(plan, team, 0)  # from here on run.json says what the run begins from
        begins = begins or origin.read(mine.store, config)
        source = mine.source
        if source is None or begins != mine.origin:
            source = _open(config, begins)
        streaming = feed.streams_from_shards(source, config)
        material = Material(mine.store, mine.hold, source, streaming, options.path, begins.warm, keeper)
        return Loop(config, options.supervision, team, plan, material, emergency).train(stop)


def _enter(
    config: RunConfig, options: Options, team: Cluster, hold: Hold, begins: Origin
) -> tuple[Origin, IndexKeeper]:
    """The chief's: write run.json if it is to be written, and begin the run's entry in the index.

    Returns what the run begins from, which is what its record says if it had one.
    """
    # Again, since the one that held the lease before us may have changed it.
    known = record.check(hold.store, config, options.fresh, options.supervision.begun)
    begins = origin.recorded(config, known) or begins
    attempt = options.supervision.attempt
    local = None if attempt or known else hold.store.stat(layout.LOCAL)
    about = {
        "preset": options.preset,
        "overrides": list(options.overrides),
        "world_size": team.workers,
    }
    begun = {
        "schedule": options.schedule,
        "scheduled": options.scheduled,
        **begins.as_json(),
        "backend": "kubernetes" if attempt else "local" if local else None,
    }
    values = record.write(hold.store, config, known, begun, **about)
    keeper = IndexKeeper(open_store(options.path.experiment_url), options.path.name, values, guard.say)
    return begins, keeper


def _open(config: RunConfig, begins: Origin) -> ImageSource:
    """The real images.

    Raises:
        DataError, AccessError: they are not what the run needs, or are not there.
    """
    cache_blocks = 2 * config.data.shuffle_window // BLOCK  # this window and the next
    source = open_source(begins.source, config.image.shape, cache_blocks=cache_blocks)
    feed.streams_from_shards(source, config)  # refuses a set that is too large for memory
    return source
