"""The training loop, from the checkpoint that all workers agree on to the step at which all of them leave.

Python sees it only between calls of the stepper, each of which takes about a second.
"""

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer.config import RunConfig
from trainer.console.wording import several
from trainer.data.dataset import Dataset
from trainer.environment.stop_signals import Ended
from trainer.environment.supervision import KEEP_SECONDS, Supervision
from trainer.environment.tf_config import Cluster
from trainer.errors import (
    EXIT_COLLAPSED,
    EXIT_DONE,
    EXIT_RESTART,
    Collapsed,
    ConfigError,
    GantryError,
    RunLost,
)
from trainer.evaluation.comparison import Sources
from trainer.run import checkpoints, layout, ownership, provenance, rollbacks
from trainer.run.index import IndexKeeper
from trainer.run.ownership import Hold
from trainer.run.provenance import WarmStart
from trainer.run.status import amend, finished_steps, saved_step
from trainer.sampling.sampler import first_images
from trainer.storage import Store, open_store
from trainer.storage.limits import told
from trainer.storage.retrying import ask
from trainer.training import distribution, input_pipeline
from trainer.training.abort import Abort
from trainer.training.chief import About, Chief
from trainer.training.health import GO_ON, STOP, acts
from trainer.training.input_pipeline import Feed, ImageStream, IndexStream
from trainer.training.judging import Judge, Judged
from trainer.training.replay import LastGood, Play
from trainer.training.state import State
from trainer.training.step import Outcome, Stepper
from trainer.training.stopping import StopFlag
from trainer.training.watchdog import Watchdog

_CALL_SECONDS = 1.0  # how long one call of the stepper should last: a stop or a status waits for its end


class Material(NamedTuple):
    """What a run is made with."""

    store: Store
    hold: Hold | None
    """The chief's."""
    data: Dataset
    path: layout.RunPath
    warm: WarmStart | None = None
    """Where its first weights are from, if not new."""
    entry: IndexKeeper | None = None
    """The chief's."""


class Loop:
    """One process' part in a run, between its first and its last step."""

    def __init__(
        self,
        config: RunConfig,
        supervision: Supervision,
        cluster: Cluster,
        strategy: tf.distribute.Strategy,
        material: Material,
        abort: Abort,
    ) -> None:
        self._config, self._supervision = config, supervision
        self._cluster, self._strategy = cluster, strategy
        self._hold, self._abort = material.hold, abort
        self._store = material.hold.store if material.hold else material.store
        self._path, self._warm, self._entry = material.path, material.warm, material.entry
        with strategy.scope():
            self._state = State(config, begun_warm=self._warm is not None)
        self._first_step = self._restore()
        self._source, self._streaming = material.data.source, material.data.streaming
        images = None if self._streaming else self._source.load()
        self._real = self._first_images(images) if self._hold else None
        table = None if images is None else input_pipeline.on_devices(strategy, images)
        adam_steps = self._warm.adam_steps if self._warm else 0
        branches = rollbacks.begins(self._store)  # after the chief has agreed: nobody else writes them
        self._stepper = Stepper(config, strategy, self._state, table, adam_steps, branches)
        self._agree_again = distribution.agreement(strategy, cluster)
        self._feed = self._feed_from(self._first_step)
        self._judge = self._judge_of(material.data) if config.evaluation.on else None
        # A worker also waits in its collective while the chief waits for storage, and all do for images.
        waits = self._streaming or not cluster.is_chief
        patience = config.recovery.storage_patience_seconds if waits else 0
        self._stall_seconds = config.recovery.stall_seconds + patience

    def train(self, stop: StopFlag) -> int | None:
        """Take all steps that are left; the chief also writes what the run leaves behind.

        Returns:
            The exit code; None where the run has gone back to a checkpoint, from which another loop goes on.
        """
        stop.doing("the first steps were traced")
        if isinstance(self._feed, ImageStream):  # who is to save does not wait for more images
            stop.then(partial(self._feed.outage.hurry, 0))
        if self._is_finished():
            if self._hold:
                taken = several(self._first_step, "step")
                ownership.say(f"{self._store.url} is finished after {taken}; raise steps to go on")
            return self._leave(EXIT_DONE)
        if self._hold is None:
            return self._follow(self._take_steps(stop, Follower()))
        about = About(self._cluster.workers, self._supervision, self._entry)
        assert self._real is not None
        chief = Chief(self._config, self._hold, self._state, self._first_step, about, self._real)
        self._abort.keep_with(chief.fail)
        if self._first_step == 0:
            chief.begin()
        stop.then(partial(self._hold.outage.hurry, KEEP_SECONDS))
        try:
            with distribution.peers(self._cluster):
                ended = self._take_steps(stop, chief)
        except GantryError as error:
            raise chief.fail(error) from error
        except Ended:  # what there is to keep is kept by who ended us
            raise
        except BaseException as error:
            known = told(error)
            chief.fail(known or GantryError(distribution.first_line(error)))
            if known:
                raise known from error
            raise
        return self._lead_out(chief, ended)

    def _follow(self, ended: "_Ended") -> int | None:
        """Leave the chief's side after the last step."""
        if ended.verdict >= 0:
            self._feed.close()
            return None
        self._abort.calm()
        if ended.verdict == STOP:
            self._leave(EXIT_COLLAPSED)
            raise Collapsed(f"step {ended.step}: worker 0, the chief, has seen that the game is over")
        return self._leave(EXIT_RESTART if ended.stopped else EXIT_DONE)

    def _lead_out(self, chief: Chief, ended: "_Ended") -> int | None:
        over = None
        try:
            if ended.verdict >= 0:
                self._feed.close()
                chief.roll_back(ended.step, ended.verdict)
                return None
            self._abort.calm()  # peers wait for us from here on, and what is lost with one was done
            if ended.verdict == STOP:
                over = chief.collapsed(ended.step)
            elif ended.stopped:
                chief.stopped(ended.step)
                return self._leave(EXIT_RESTART)
            else:
                chief.finish(ended.step)
        except GantryError as error:
            raise chief.fail(error) from error
        if over:
            self._leave(EXIT_COLLAPSED)
            raise over
        return self._leave(EXIT_DONE)

    def _is_finished(self) -> bool:
        """Whether the run has taken its last step and written so; each worker waits for the chief to say."""
        if self._first_step < self._config.steps:
            return False
        return bool(self._agree(bool(self._hold) and finished_steps(self._store) >= self._config.steps))

    def _decide(self, step: int, mine: int) -> int:
        """Agree whether to go on after the line of a step; only where the configuration may have it end."""
        return self._agree_again(mine) if acts(self._config, step) else GO_ON

    def _take_steps(self, stop: StopFlag, chief: "Chief | Follower") -> "_Ended":
        """Steps until the end, until nothing better comes, the game is over or some worker is to stop."""
        step, proposal = self._first_step, 1
        pace, good = _Pace(self._feed.most_steps), LastGood(self._state, step)
        with Watchdog(self._stall_seconds, self._abort.stalled) as watchdog:
            watchdog.beat()
            if (ended := self._catch_up(chief, stop, watchdog)) is not None:
                return ended
            if (verdict := self._decide(step, chief.verdict(step))) != GO_ON:
                return _Ended(step, False, verdict)
            while step < self._config.steps:
                count = min(proposal, _to_boundary(self._config, step))
                rows = self._feed.take(count)
                with pace.timed(count):
                    outcome = self._stepper(step, count, stop.raised, pace.proposal(), *rows)
                stop.take_on()  # there is something to save from now on
                watchdog.beat()
                if not outcome.finite:
                    raise good.diverged(step, step + count, partial(self._play_from, stop, watchdog))
                step, proposal = step + count, outcome.next_count
                good.passed(step)
                if (
                    step % self._config.metrics.every_steps == 0
                ):  # and not at the end, beyond which a run may go on
                    self._state.begin_line()
                due = self._is_judged(step)
                judged = self._judged(step, stop, watchdog) if due else None
                with watchdog.held():
                    chief.after_call(step, outcome.metrics, judged)
                    mine = chief.verdict(step)
                if (verdict := self._decide(step, mine)) != GO_ON:
                    return _Ended(step, False, verdict)
                if outcome.stop or (due and judged is None):
                    return _Ended(step, step < self._config.steps or (judged is None and due))
                if due and self._agree_again(chief.over):
                    return _Ended(step, False)
        stop.take_on()
        return _Ended(step, False)

    def _catch_up(self, chief: "Chief | Follower", stop: StopFlag, watchdog: Watchdog) -> "_Ended | None":
        """What there is to do for the figures before the first step; how the run has ended, if it has."""
        if self._judge is None:
            return None
        step = self._first_step
        self._judge.prepare(watchdog.beat)
        if self._agree(chief.lacks_figures(step) if self._is_judged(step) else 0):
            stop.take_on()  # a checkpoint of this step is there
            judged = self._judged(step, stop, watchdog)
            if judged is None:
                return _Ended(step, True)
            chief.catch_up(step, judged)
        return _Ended(step, False) if self._agree(chief.over) else None

    def _is_judged(self, step: int) -> bool:
        """Whether an evaluation is due after `step` steps."""
        every = self._config.evaluation.every_steps
        return bool(every and step) and (step % every == 0 or step == self._config.steps)

    def _judged(self, step: int, stop: StopFlag, watchdog: Watchdog) -> Judged | None:
        assert self._judge is not None
        return self._judge.judge(step, lambda: stop.raised, watchdog.beat)

    def _judge_of(self, data: Dataset) -> Judge:
        """The judge of this worker's share of the samples."""
        kept = open_store(self._path.experiment_url) if self._hold else None
        sources = Sources(data.source, not data.streaming, data.held_out, data.pin.fingerprint, kept)
        return Judge(self._config, self._strategy, self._cluster, self._state, sources)

    def _feed_from(self, step: int) -> Feed:
        """What the steps after `step` take."""
        if not self._streaming:
            labels = self._source.labels if self._config.conditioning.on else None
            return IndexStream(self._config, self._source.count, step, labels)
        return ImageStream(self._source, self._config, self._cluster.index, self._cluster.workers, step)

    def _play_from(self, stop: StopFlag, watchdog: Watchdog, first: int) -> Play:
        """A way to take steps after `first` again; nothing is kept of them."""
        self._feed.close()
        self._feed = self._feed_from(first)

        def play(step: int, count: int) -> Outcome:
            outcome = self._stepper(step, count, stop.raised, 1, *self._feed.take(count))
            watchdog.beat()
            return outcome

        return play

    def _first_images(self, images: np.ndarray | None) -> np.ndarray:
        """Those that are drawn beside the grid, of the set in memory or of the stream's storage."""
        chosen = first_images(self._config, self._source.count, self._source.labels)
        if images is not None:
            taken: np.ndarray = images[chosen]
            return taken
        return ask(ownership.outage(self._config), partial(self._source.read, chosen))

    def _restore(self) -> int:
        """Agree on the newest whole checkpoint and load it; returns the steps taken before."""
        found = None
        if self._cluster.is_chief:
            checkpoints.break_claims(self._store)
            found = checkpoints.newest(self._store, lambda text: ownership.say(f"warning: {text}"))
            if found is None:
                self._check_first()
        step = self._agree(found.step if found else 0)
        if step > self._config.steps:
            raise ConfigError(f"steps is {self._config.steps}, but the run has taken {step} already")
        if self._cluster.is_chief:
            checkpoints.discard_after(self._store, step)
        if step == 0:
            self._warm_up()
            return 0
        self._state.assign((found or checkpoints.read(self._store, step)).values)
        if self._cluster.is_chief:
            ownership.say(f"resuming {self._store.url} after step {step}")
        return step

    def _check_first(self) -> None:
        """Refuse to begin at step 0 where a checkpoint was written that is not there any more.

        Raises:
            RunLost: one was.
        """
        if any(layout.is_complete(at.name, at.size) for at in self._store.list("checkpoints/")):
            amend(self._store, checkpoint_step=None)  # all are damaged, were named, and are about to go
        elif saved := saved_step(self._store):
            raise RunLost(
                f"{self._store.url}: its checkpoints are gone, of which step {saved} was the newest: "
                "somebody has removed them, and a run is not begun again from step 0 under the same name"
            )

    def _warm_up(self) -> None:
        """Take over the weights of another run, if that is what this one begins from."""
        warm = self._warm
        if warm is None:
            return
        shapes = {name: tuple(variable.shape) for name, variable in self._state.variables().items()}
        values = provenance.first_values(self._path, self._config, warm, shapes)
        taken = provenance.taken(self._path, warm, shapes, values, self._state.frozen)
        self._state.begin_with(values)
        if self._cluster.is_chief:
            ownership.say(taken.text(warm))
            provenance.write_taken(self._store, taken)

    def _agree(self, value: int) -> int:
        """The chief's number, on every worker."""
        return distribution.agree(self._strategy, self._cluster, value)

    def _leave(self, code: int) -> int:
        """Wait for all workers, then leave with `code`; a chief that left earlier would make its peers fail.

        A worker waits here until the chief has saved everything, and so keeps its own supervisor waiting.
        """
        try:
            self._agree(0)
            distribution.part(self._cluster)
        except tf.errors.OpError:
            # A peer that is gone by now is no loss when all is written, which the chief knows of itself and
            # the others see by the result.
            if (
                code == EXIT_DONE
                and not self._cluster.is_chief
                and finished_steps(self._store) < self._config.steps
            ):
                raise
        if self._cluster.is_chief and not self._cluster.alone:
            time.sleep(1.0)  # the coordination service lives in the chief: let the others leave first
        return code


class _Ended(NamedTuple):
    """How the steps of a process ended."""

    step: int
    stopped: bool
    """Whether there are more to take."""
    verdict: int = GO_ON
    """`STOP` or the step to go back to where the game is over."""


class Follower:
    """In the chief's place on every other worker."""

    over = False

    def after_call(self, step: int, metrics: dict[str, float], judged: Judged | None) -> None:
        """Leave it to the chief."""

    def lacks_figures(self, step: int) -> bool:
        """Nothing is known here."""
        return False

    def verdict(self, step: int) -> int:
        """Nothing is known here."""
        return GO_ON

    def catch_up(self, step: int, judged: Judged) -> None:
        """Leave it to the chief."""


class _Pace:
    """Measures steps, to propose calls of about a second."""

    def __init__(self, most: int) -> None:
        """`most`: steps that one call may take."""
        self._most = most
        self._seconds_per_step: float | None = None
        self._calls = 0

    def proposal(self) -> int:
        """Steps that the next call but one should take."""
        if self._seconds_per_step is None:
            return 1
        return min(self._most, max(1, int(_CALL_SECONDS / self._seconds_per_step)))

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
    sections = (config.metrics, config.samples, config.checkpoints, config.evaluation)
    intervals = [section.every_steps for section in sections]
    return min(config.steps - step, *(every - step % every for every in intervals if every))
