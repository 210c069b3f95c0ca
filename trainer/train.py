"""The training loop: everything a run does from its first line to its result.

One process per worker calls `train`. The chief (worker 0) alone prints and writes; the others only compute.
What a run was told is in `Options`, what it is in `RunConfig`.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from trainer import checkpoints, cluster, feed, layout, record, strategy
from trainer.chief import Chief
from trainer.cluster import Cluster
from trainer.config import RunConfig
from trainer.data import ImageSource, open_source
from trainer.errors import EXIT_DONE, EXIT_RESTART, ConfigError, Diverged, GantryError
from trainer.step import Feed, State, Stepper
from trainer.storage import Store, open_store
from trainer.streams import BLOCK

_CALL_SECONDS = 1.0  # how long one call of the stepper should last: a stop or a status waits for its end
_MOST_STEPS = 100  # in one call


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


def train(config: RunConfig, options: Options, team: Cluster) -> int:
    """Train one run to its end, from its newest whole checkpoint if there is one.

    Returns:
        The exit code: `EXIT_DONE`, or `EXIT_RESTART` when the process was asked to stop and saved.

    Raises:
        UserError: the configuration, the data, the run's folder or TF_CONFIG is wrong; nothing was written.
        Diverged: a loss or a gradient became NaN or Inf.
        PeerLost: another worker is gone.
        StorageError: storage failed; everything up to the newest checkpoint is safe.
    """
    try:
        config.per_replica_batch(team.workers)
    except ValueError as error:
        raise ConfigError(f"{error}, the workers of TF_CONFIG") from None
    store = open_store(options.path.url)
    cache_blocks = 2 * config.data.shuffle_window // BLOCK  # this window and the next
    source = open_source(config.data.source, config.image.shape, cache_blocks=cache_blocks)
    streaming = feed.streams_from_shards(source, config)
    known = None
    if team.is_chief:
        store.check()
        known = record.check(store, config, options.fresh)
    cluster.check_port(team)
    strategy.set_threads(options.threads)
    plan = strategy.connect(team)
    stop = _StopFlag()
    with strategy.peers(team):
        if config.batch_size % plan.num_replicas_in_sync:
            raise ConfigError(
                f"batch_size {config.batch_size} is not divisible by {plan.num_replicas_in_sync} replicas"
            )
        if team.is_chief:
            about = {
                "preset": options.preset,
                "overrides": list(options.overrides),
                "world_size": team.workers,
            }
            record.write(store, config, known, **about)
        run = _Run(config, team, plan, store, source, streaming)
        return run.train(stop)


class _StopFlag:
    """Raised by SIGTERM or Ctrl-C; create it after the strategy, which installs a handler of its own."""

    def __init__(self) -> None:
        self.raised = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._raise)

    def _raise(self, *_: Any) -> None:
        self.raised = True


class _Run:
    """One process' part in a run, between its first and its last step."""

    def __init__(
        self,
        config: RunConfig,
        team: Cluster,
        plan: tf.distribute.Strategy,
        store: Store,
        source: ImageSource,
        streaming: bool,
    ) -> None:
        self._config, self._team, self._plan, self._store = config, team, plan, store
        with plan.scope():
            self._state = State(config)
        self._first_step = self._restore()
        self._stream = None
        if streaming:
            self._stream = feed.ImageStream(source, config, team.index, team.workers, self._first_step)
        table = None if streaming else feed.on_devices(plan, source.load())
        self._stepper = Stepper(config, plan, self._state, Feed(table, source.count))

    def train(self, stop: _StopFlag) -> int:
        """Take all steps that are left; the chief also writes what the run leaves behind."""
        if not self._team.is_chief:
            step = self._take_steps(stop, lambda *_: None)
            return self._leave() if step == self._config.steps else EXIT_RESTART
        if self._first_step == self._config.steps and self._store.stat(layout.RESULT):
            print(
                f"{self._store.url} is finished after {self._first_step} steps; raise steps to go on",
                flush=True,
            )
            return self._leave()
        chief = Chief(self._config, self._store, self._state, self._first_step, self._team.workers)
        try:
            with strategy.peers(self._team):
                step = self._take_steps(stop, chief.after_call)
        except GantryError as error:
            raise chief.fail(error) from error
        except BaseException as error:
            chief.fail(GantryError(strategy.first_line(error)))
            raise
        return self._lead_out(chief, step)

    def _lead_out(self, chief: Chief, step: int) -> int:
        try:
            if step < self._config.steps:
                chief.stopped(step)
                return EXIT_RESTART
            chief.finish()
        except GantryError as error:
            raise chief.fail(error) from error
        return self._leave()

    def _take_steps(self, stop: _StopFlag, after_call: Callable[[int, dict[str, float]], None]) -> int:
        """Steps until the end or until some worker is asked to stop; returns the steps taken altogether."""
        step, proposal, pace = self._first_step, 1, _Pace()
        while step < self._config.steps:
            count = min(proposal, _to_boundary(self._config, step))
            images = self._stream.take(count) if self._stream else None
            with pace.timed(count):
                outcome = self._stepper(step, count, stop.raised, pace.proposal(), images)
            if outcome.bad_step is not None:
                raise Diverged(f"step {outcome.bad_step + 1}: {outcome.bad_tensor} is NaN or Inf")
            step, proposal = step + count, outcome.next_count
            after_call(step, outcome.metrics)
            if outcome.stop:
                break
        return step

    def _restore(self) -> int:
        """Agree on the newest whole checkpoint and load it; returns the steps taken before."""
        found = None
        if self._team.is_chief:
            found = checkpoints.newest(self._store, lambda text: print(f"warning: {text}", flush=True))
        step = self._agree(found.step if found else 0)
        if step == 0:
            return 0
        if step > self._config.steps:
            raise ConfigError(f"steps is {self._config.steps}, but the run has taken {step} already")
        self._state.assign((found or checkpoints.read(self._store, step)).values)
        if self._team.is_chief:
            print(f"resuming {self._store.url} after step {step}", flush=True)
        return step

    def _agree(self, value: int) -> int:
        """The chief's number, on every worker."""
        if self._team.alone:
            return value

        def mine() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            lead = tf.equal(context.replica_id_in_sync_group, 0)
            number = tf.where(lead, tf.constant(value, tf.int64), tf.constant(0, tf.int64))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, number)

        result = self._plan.run(tf.function(mine))
        return int(self._plan.experimental_local_results(result)[0])

    def _leave(self) -> int:
        """Wait for all workers; a chief that leaves earlier would make its peers fail."""
        # A peer may be gone before its answer has come back. To the chief that is no loss, its work is done;
        # to a worker it means that the chief died before, and that the run is to be started again.
        with contextlib.suppress(*([tf.errors.OpError] if self._team.is_chief else [])):
            self._agree(0)
        if self._team.is_chief and not self._team.alone:
            time.sleep(1.0)  # the coordination service lives in the chief: let the others leave first
        return EXIT_DONE


class _Pace:
    """Measures steps, to propose calls of about a second."""

    def __init__(self) -> None:
        self._seconds_per_step: float | None = None
        self._calls = 0

    def proposal(self) -> int:
        """Steps that the next call but one should take."""
        if self._seconds_per_step is None:
            return 1
        return min(_MOST_STEPS, max(1, int(_CALL_SECONDS / self._seconds_per_step)))

    @contextlib.contextmanager
    def timed(self, count: int) -> Iterator[None]:
        """Measure a call of `count` steps; the first one, which compiles, does not count."""
        start = time.perf_counter()
        yield
        self._calls += 1
        if self._calls > 1:
            self._seconds_per_step = (time.perf_counter() - start) / count


def _to_boundary(config: RunConfig, step: int) -> int:
    """Steps until something is due: a line, a grid, a checkpoint or the end."""
    intervals = (config.metrics.every_steps, config.samples.every_steps, config.checkpoints.every_steps)
    return min(config.steps - step, *(every - step % every for every in intervals))
