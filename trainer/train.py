"""One process' whole part in a run: check what can be refused, take the lease, meet the peers, loop, leave.

One process per worker calls `train`. The chief (worker 0) alone prints and writes; the others only compute.
What a run was told is in `Options`, what it is in `RunConfig`; the loop itself is in `trainer.loop`.
"""

import os
import socket
from typing import NamedTuple

from trainer import cluster, feed, guard, layout, record, strategy
from trainer.cluster import Cluster
from trainer.config import RunConfig
from trainer.data import open_source
from trainer.emergency import Emergency
from trainer.errors import ConfigError
from trainer.loop import Loop, Material, StopFlag
from trainer.storage import open_store
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


def train(config: RunConfig, options: Options, team: Cluster, emergency: Emergency | None = None) -> int:
    """Train one run to its end, from its newest whole checkpoint if there is one.

    Args:
        config: what the run is.
        options: how to go about it.
        team: the workers.
        emergency: the way out for other threads; one of its own when None.

    Returns:
        The exit code: `EXIT_DONE`, or `EXIT_RESTART` when the process was asked to stop and saved.

    Raises:
        UserError: the configuration, the data, the run's folder or TF_CONFIG is wrong, or another process
            trains the run; nothing was written.
        Diverged: a loss or a gradient became NaN or Inf.
        PeerLost: another worker is gone.
        StorageAway: storage did not answer for too long; everything up to the newest checkpoint is safe.
        StorageError: the disk is full; everything up to the newest checkpoint is safe.
    """
    emergency = emergency or Emergency()
    try:
        config.per_replica_batch(team.workers)
    except ValueError as error:
        raise ConfigError(f"{error}, the workers of TF_CONFIG") from None
    raw = open_store(options.path.url)
    store = guard.patient(raw, config)[0]
    cache_blocks = 2 * config.data.shuffle_window // BLOCK  # this window and the next
    source = open_source(config.data.source, config.image.shape, cache_blocks=cache_blocks)
    streaming = feed.streams_from_shards(source, config)
    if team.is_chief:
        store.check()
        record.check(store, config, options.fresh)
    cluster.check_port(team)
    strategy.set_threads(options.threads)
    hold = None
    if team.is_chief:
        hold = guard.take(raw, config, options.supervision.attempt or _own_name(team))
        hold.lease.when_lost(emergency.lease_lost)
    try:
        return _with_peers(config, options, team, emergency, Material(store, hold, source, streaming))
    finally:
        if hold:
            hold.lease.release()


def _with_peers(
    config: RunConfig, options: Options, team: Cluster, emergency: Emergency, material: Material
) -> int:
    """Meet the other workers and train with them."""
    plan = strategy.connect(team, config.recovery.heartbeat_seconds)
    stop = StopFlag()
    with strategy.peers(team):
        if config.batch_size % plan.num_replicas_in_sync:
            raise ConfigError(
                f"batch_size {config.batch_size} is not divisible by {plan.num_replicas_in_sync} replicas"
            )
        if material.hold:
            if not team.alone:
                guard.say(f"all {team.workers} workers are here")
            about = {
                "preset": options.preset,
                "overrides": list(options.overrides),
                "world_size": team.workers,
            }
            # Again, since the one that held the lease before us may have changed it.
            known = record.check(material.store, config, options.fresh)
            record.write(material.hold.store, config, known, **about)
        return Loop(config, options.supervision, team, plan, material, emergency).train(stop)


def _own_name(team: Cluster) -> str:
    """What no other attempt is called."""
    return f"{socket.gethostname()} {os.getpid()} {team.addresses}"
