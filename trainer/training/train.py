"""One process' whole part in a run: check what can be refused, take the lease, meet the peers, loop, leave.

One process per worker calls `train`. The chief (worker 0) alone prints and writes; the others only compute.
What a run was told is in `Options`, what it is in `RunConfig`; the loop itself is in `trainer.training.loop`.
"""

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from trainer.config import RunConfig
from trainer.data import ImageSource, Pin, dataset
from trainer.data.dataset import Accept, Dataset
from trainer.environment import surroundings, tf_config
from trainer.environment.tf_config import Cluster
from trainer.errors import ConfigError, DataError, GantryError, RunLost, Stopped, UserError
from trainer.run import index, layout, ownership, provenance, record
from trainer.run.index import IndexKeeper
from trainer.run.layout import RunPath
from trainer.run.ownership import Hold
from trainer.run.provenance import Origin
from trainer.run.record import Record
from trainer.run.status import amend
from trainer.storage import Store, open_store
from trainer.storage.retrying import ask
from trainer.training import distribution
from trainer.training.abort import Abort
from trainer.training.loop import Loop, Material
from trainer.training.opening import Opening, Options, open_run
from trainer.training.stopping import StopFlag

__all__ = ["Options", "train"]


def train(
    config: RunConfig,
    options: Options,
    cluster: Cluster,
    abort: Abort | None = None,
    stop: StopFlag | None = None,
    opening: Opening | None = None,
) -> int:
    """Train one run to its end, from its newest whole checkpoint if there is one.

    Args:
        config: what the run is.
        options: how to go about it.
        cluster: the workers.
        emergency: the way out for other threads; one of its own when None.
        stop: who hears that this process is to stop; one of its own when None.
        opening: what `open_run` found; None looks now.

    Returns:
        The exit code: `EXIT_DONE`, or `EXIT_RESTART` when the process was asked to stop and saved.

    Raises:
        UserError: the configuration, the data, the run's folder or TF_CONFIG is wrong, or another process
            trains the run; nothing was written.
        RunLost: the run's record, or all of its checkpoints, were there and are gone.
        Diverged: a loss or a gradient became NaN or Inf.
        Collapsed: the game of the networks is over, and the run is to stop then.
        PeerLost: another worker is gone.
        ComputeFailed: TensorFlow, a device or its library failed in this worker.
        StorageAway: storage did not answer for too long; everything up to the newest checkpoint is safe.
        Exhausted: a disk is full or read-only, or too many files are open; the newest checkpoint is whole.
    """
    abort = abort or Abort()
    stop = stop or StopFlag(abort)
    stop.doing("it looked at the run and its data")
    opening = opening or open_run(config, options, cluster)
    config, options, raw = opening.config, opening.options, opening.raw
    begins = None
    if cluster.is_chief:
        begins = provenance.decide(options.path, config, opening.known, ownership.say)
    elif not provenance.is_open(config):
        begins = Origin()
    tf_config.check_port(cluster)
    distribution.set_threads(options.threads)
    distribution.set_fusion(config)
    hold = None
    try:
        if cluster.is_chief:
            stop.doing("it took the run over")
            hold = _take(options, config, raw, abort)
        prepared = _Prepared(opening.store, hold, begins, opening.data)
        return _with_peers(config, options, cluster, abort, stop, prepared)
    except RunLost as error:
        ownership.tell_lost(raw, error, pod=bool(options.supervision.attempt))
        raise
    finally:
        if hold:
            hold.give_back()


def _take(options: Options, config: RunConfig, store: Store, abort: Abort) -> Hold:
    # By chance: host names and process numbers are those of other attempts too, in containers say.
    hold = ownership.take(store, config, options.supervision.attempt or uuid.uuid4().hex)
    hold.lease.when_lost(partial(_leave, store, abort, bool(options.supervision.attempt)))
    abort.keep_with(partial(_tell_stopped, hold))
    return hold


def _leave(store: Store, abort: Abort, pod: bool, error: GantryError) -> None:
    """What the lease's thread does when there is nothing more to be written."""
    ownership.tell_lost(store, error, pod=pod)
    abort.lease_lost(error)


def _tell_stopped(hold: Hold, error: GantryError) -> None:
    """Leave word of a stop before there was a chief, where there is a run to say it of."""
    hold.reserve.free()
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
    data: Dataset


def _with_peers(
    config: RunConfig,
    options: Options,
    cluster: Cluster,
    abort: Abort,
    stop: StopFlag,
    mine: _Prepared,
) -> int:
    """Meet the other workers and train with them."""
    if not cluster.alone:
        stop.doing("it waited for the other workers")
    strategy = distribution.connect(cluster, config.recovery.heartbeat_seconds)
    stop.doing("the checkpoint and the data were loaded")
    with distribution.peers(cluster):
        try:
            config.per_replica_batch(strategy.num_replicas_in_sync)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        begins, data, keeper, is_new = mine.origin, mine.data, None, False
        if mine.hold and begins:
            if not cluster.alone:
                ownership.say(f"all {cluster.workers} workers are here")
            is_new = mine.hold.store.stat(layout.RUN) is None
            begins, data, keeper = _enter(config, options, cluster, mine.hold, begins, data)
        # From here on what the run begins from is written down.
        print_of = data.pin.number
        if distribution.agree(strategy, cluster, print_of) != print_of:
            pin = dataset.read(mine.store)
            data = _look(config, pin, lambda _: None)
        begins = begins or provenance.read(mine.store, config)
        material = Material(mine.store, mine.hold, data, options.path, begins.warm, keeper)
        while True:
            try:
                loop = Loop(config, options.supervision, cluster, strategy, material, abort)
            except UserError as error:
                if mine.hold and is_new and not isinstance(error, RunLost):
                    _take_back(mine.hold.store, options.path)
                raise
            if (code := loop.train(stop)) is not None:
                return code
            del loop  # a whole state, before the next one is made
            is_new = False
            if mine.hold:
                abort.keep_with(partial(_tell_stopped, mine.hold))


def _take_back(store: Store, path: RunPath) -> None:
    """Leave nothing of a run that was refused before its first step: its name may be another's."""
    for name in (layout.RUN, layout.DATA, layout.STATUS):
        store.delete(name)
    index.remove(open_store(path.experiment_url), path.name)


def _enter(
    config: RunConfig, options: Options, cluster: Cluster, hold: Hold, begins: Origin, data: Dataset
) -> tuple[Origin, Dataset, IndexKeeper]:
    """The chief's: write data.json and run.json if they are to be, and begin the run's entry in the index.

    Returns what the run begins from and its data, which are what its record says if it had one.
    """
    # Again, since the one that held the lease before us may have changed it.
    known = record.check(hold.store, config, options.fresh, options.supervision.begun)
    begins = provenance.recorded(config, known) or begins
    attempt = options.supervision.attempt
    data = _settled(config, options, hold.store, known, data)
    if data.is_new:
        hold.store.write(layout.DATA, data.pin.to_json())
    local = None if attempt or known else hold.store.stat(layout.LOCAL)
    about = {
        "preset": options.preset,
        "overrides": list(options.overrides),
        "world_size": cluster.workers,
    }
    begun = {
        "schedule": options.schedule,
        "scheduled": options.scheduled,
        **begins.as_json(),
        "data": data.told() | _classes(config, data.source),
        "backend": "kubernetes" if attempt else "local" if local else None,
        "surroundings": options.surroundings,
    }
    _compare_held_out(known, begun["data"])
    _compare_surroundings(known, options.surroundings)
    if config.data.flip and config.data.source in ("digits", "keras:mnist"):
        ownership.say("warning: data.flip is true: mirrored digits are no digits")
    values = record.write(hold.store, config, known, begun, data.is_new, **about)
    options.supervision.tell_record()
    keeper = IndexKeeper(open_store(options.path.experiment_url), options.path.name, values, ownership.say)
    return begins, data, keeper


def _classes(config: RunConfig, source: ImageSource) -> dict[str, Any]:
    """What the set calls its classes, for a run that has labels."""
    return {"classes": list(source.label_names or ())} if config.conditioning.on else {}


def _compare_held_out(known: Record | None, now: Mapping[str, Any]) -> None:
    """Refuse to go on with other held-out images: figures before and after would be of two sets.

    Raises:
        DataError: they are of other files.
    """
    before = (known.values.get("data") or {}) if known and known.has_begun else {}
    old, new = before.get("held_out"), now.get("held_out")
    if old and new and old != new and before.get("fingerprint") == now.get("fingerprint"):
        raise DataError(
            f"data.holdout_source has changed since the run began: there are {new['images']} images with "
            f"crc32c {new['fingerprint']}, expected {old['images']} with {old['fingerprint']}"
        )


def _compare_surroundings(known: Record | None, now: Mapping[str, object]) -> None:
    """Say what may change bits and is not what it was when the run began."""
    before = known.values.get("surroundings") if known else None
    if isinstance(before, dict) and (changed := surroundings.changes(before, now)):
        ownership.say(
            f"warning: {'; '.join(changed)} since the run began: its bits may part from those of a run that "
            "nobody touched"
        )


def _settled(
    config: RunConfig, options: Options, store: Store, known: record.Record | None, data: Dataset
) -> Dataset:
    """The data to go on with: what another chief has pinned since this process looked, if one has."""
    pin = dataset.pinned(store, known, options.accept_changed_data)
    if pin is None or pin.number == data.pin.number or options.accept_changed_data:
        return data
    return _look(config, pin, ownership.say)


def _look(config: RunConfig, pin: Pin, say: Callable[[str], None]) -> Dataset:
    return ask(ownership.outage(config), lambda: dataset.look(config, pin, Accept(), say))
