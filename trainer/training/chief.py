"""What the chief does between two calls: lines, grids, checkpoints, the status, and the export at the end.

*When* something is due is decided here, by steps alone; *what* is done is in the modules named after it.
Everything goes to the background writer in the order in which it must become safe.
"""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from trainer import losses
from trainer.config import RunConfig
from trainer.console.wording import several
from trainer.environment.supervision import KEEP_SECONDS, Supervision
from trainer.errors import EXIT_RESTART, Collapsed, Diverged, GantryError, LeaseLost, RunLost, UserError
from trainer.health import Found
from trainer.metrics import RATE
from trainer.networks import formats
from trainer.networks.keras_builder import portable_generator
from trainer.run import checkpoints, layout, lost, ownership, rollbacks
from trainer.run.index import IndexKeeper
from trainer.run.metrics_log import MetricsLog
from trainer.run.ownership import Hold
from trainer.run.status import StatusWriter, now
from trainer.sampling import generate
from trainer.sampling.sampler import GridSampler
from trainer.sampling.shown import Shown
from trainer.training.background_writer import BackgroundWriter
from trainer.training.health import GO_ON, Watch, acts, go_back
from trainer.training.judging import Judged
from trainer.training.plots import NotDrawn, loss_curves
from trainer.training.progress import ProgressPrinter, line
from trainer.training.state import State
from trainer.training.verdicts import Verdicts

STOP_SECONDS = 5.0  # of a pod's grace that no checkpoint gets: the call of steps before it, the end after it
_SEGMENT_SECONDS = 5.0  # between two writes of the current metrics segment; a bucket allows one a second


class About(NamedTuple):
    """What the chief knows of the process it is in."""

    workers: int = 1
    """How many train together."""
    supervision: Supervision = Supervision()
    """What its supervisor says."""
    entry: IndexKeeper | None = None
    """The run's place in the index of its experiment."""


class Chief:
    """Writes everything a run leaves behind, and prints."""

    def __init__(
        self, config: RunConfig, hold: Hold, state: State, step: int, about: About, real: np.ndarray
    ) -> None:
        """Begin after `step` steps; what lies beyond them is of an earlier attempt and goes.

        `real` images are those beside the grid, uint8 [n, …].
        """
        self._config, self._hold, self._state, self._about = config, hold, state, about
        self._store = store = hold.store
        self._metrics = MetricsLog.resume(store, config.checkpoints.every_steps, step)
        lines = self._metrics.all_lines(store)
        self._verdicts = Verdicts(config, store, self._metrics, lines) if config.evaluation.on else None
        self._real, self._drawn = real, (-1, real)
        self._watch = Watch(config, lines, real)
        self._shown = Shown(config, state.networks.generator, state.variables())
        self._grid = GridSampler(config, self._shown)
        self._writer = BackgroundWriter()
        hold.outage.somebody_waits = lambda: self._writer.somebody_waits
        told = about.supervision
        more = {
            "attempt": told.attempt or None,
            "restarts": told.restarts,
            "restarted_because": told.because or None,
            **self._watch.status,
            "rollbacks": len(rollbacks.read(store)),
            "checkpoint_step": step or None,  # the newest that there is: one that is not found later was lost
        }
        self._status = StatusWriter(hold.status, config.steps, step, lambda: hold.outage.line, **more)
        self._result: dict[str, Any] = {}
        if about.entry:
            about.entry.tell(self._status.values, {})
        self._warned_of_grace = False
        self._printer = ProgressPrinter(config.steps, step)
        self._saved_step = step
        self._segment_written = time.monotonic()
        self._line_step, self._line_time = step, time.monotonic()
        self._started, self._first_step, self._stalled = time.monotonic(), step, 0.0

    def begin(self) -> None:
        """Draw what there is before the first step: real images, and what new weights make."""
        self._writer.submit(lambda: self._write_grid(layout.REAL_GRID, self._real))
        self._draw(0)

    @property
    def over(self) -> bool:
        """Whether the run is to end early, as nothing better came for too long."""
        return bool(self._verdicts and self._verdicts.choice.over)

    def lacks_figures(self, step: int) -> bool:
        """Whether the step that was just restored was left before it was judged."""
        return bool(self._verdicts and self._verdicts.lacks(step))

    def catch_up(self, step: int, judged: Judged) -> None:
        """Take the figures of a step whose line was written without."""
        assert self._verdicts is not None
        self._keep_figures(step, judged, self._verdicts.complete(step, judged))
        self._watch = Watch(self._config, self._metrics.all_lines(self._store), self._real)

    def after_call(self, step: int, metrics: dict[str, float], judged: Judged | None = None) -> None:
        """Do what is due after `step` steps.

        Args:
            step: steps taken.
            metrics: means over those since the last line.
            judged: what was found of this step's images; None where it was not judged.
        """
        config = self._config
        if judged:  # no time of a step's
            self._line_time += judged.entry["seconds"]
        if self._due(step, config.metrics.every_steps):
            self._add_line(step, metrics | (judged.values if judged else {}))
        self._printer.advance(step)
        self._status.update(state="running", step=step)
        if self._due(step, config.samples.every_steps):
            self._draw(step)
        if judged:
            self._keep_figures(step, judged, self._metrics.lines[-1])
        if self._due(step, config.checkpoints.every_steps) and step > self._saved_step:
            self._save(step)
        elif time.monotonic() - self._segment_written > _SEGMENT_SECONDS:
            self._write_segment()

    def verdict(self, step: int) -> int:
        """What is to be done after the line of a step, as `Watch.verdict` has it."""
        if not acts(self._config, step):
            return GO_ON
        if self._watch.over:
            self._writer.drain()
        return self._watch.verdict(self._store, step)

    def collapsed(self, step: int) -> Collapsed:
        """The game is over and the run ends with it: save what there is, and return the error to raise."""
        if step > self._saved_step:
            self._save(step)
        self._writer.drain()
        tried = len(rollbacks.read(self._store))
        more = f"; {several(tried, 'rollback')} did not help" if tried else ""
        text = f"step {step}: {self._over.sentence}{more}"
        self._write_result("collapsed", step, self._metrics.all_lines(self._store), message=text)
        self._close("collapsed", step=step, message=text)
        return Collapsed(text)

    def roll_back(self, step: int, to: int) -> None:
        """Forget what is beyond `to`, from where another chief of this process goes on."""
        self._writer.close()
        self._printer.close()
        self._status.close("starting", step=to, checkpoint_step=to or None)
        number = go_back(self._store, step, to, self._over)
        ownership.say(
            f"step {step}: going on from step {to} with other latents, "
            f"rollback {number} of at most {self._config.health.rollbacks}"
        )

    @property
    def _over(self) -> Found:
        found = self._watch.over
        assert found is not None, "nobody decides to end a game that goes on"
        return found

    def stopped(self, step: int) -> None:
        """The run was asked to stop: save what there is."""
        if step > self._saved_step:
            self._save(step)
        self._writer.drain()
        self._printer.say(f"stopped after step {step}; the checkpoint is saved, start again to go on")
        self._close("stopped", step=step)

    def finish(self, step: int) -> None:
        """The run took its last step: export and write the result."""
        if step < self._config.steps:
            self._draw(step)
            if step > self._saved_step:
                self._save(step)
        self._writer.drain()
        self._hold.outage.somebody_waits = lambda: True
        lines = self._metrics.all_lines(self._store)
        self._export_generator()
        self._export_best()
        self._draw_curves(lines)
        self._write_result("finished", step, lines)
        self._printer.say(f"finished {several(step, 'step')}: {self._store.url}{self._early(step)}")
        self._close("finished", step=step)

    def _write_result(self, state: str, step: int, lines: list[dict[str, Any]], **more: Any) -> None:
        elapsed = time.monotonic() - self._started
        images = (step - self._first_step) * self._config.images_per_step
        result = {
            "state": state,
            "steps": step,
            "images": step * self._config.images_per_step,
            "workers": self._about.workers,
            "metrics": lines[-1] if lines else None,
            **self._watch.status,
            "rollbacks": len(rollbacks.read(self._store)),
            "checkpoint": layout.checkpoint_folder(step),
            "attempt": {  # of this process alone
                "first_step": self._first_step,
                "seconds": round(elapsed, 3),
                "images_per_second": round(images / elapsed, 1),
                "checkpoint_stall_seconds": round(self._stalled, 4),
            },
            "finished": now(),
            **self._of_figures(step),
            **more,
        }
        self._store.write(layout.RESULT, json.dumps(result, indent=2).encode())
        self._result = result

    def fail(self, error: GantryError) -> GantryError:
        """Keep what was handed in, say in the status why the run ended, and return the error to raise."""
        if isinstance(error, LeaseLost | RunLost):
            return error
        self._writer.close(KEEP_SECONDS)
        if isinstance(error, Diverged):
            error = Diverged(f"{error}; {self._last_good()}")
        self._close("stopped" if error.exit_code == EXIT_RESTART else "failed", message=str(error))
        return error

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self._config.steps

    def _keep_figures(self, step: int, judged: Judged, line: dict[str, Any]) -> None:
        """Keep what was found of a step; the best one's checkpoint is safe before it is called so."""
        verdicts = self._verdicts
        assert verdicts is not None
        is_best = verdicts.hear(line, judged)
        if is_best and step > self._saved_step:
            self._save(step)
        self._writer.submit(lambda: verdicts.keep(judged, is_best))
        self._status.update(best=verdicts.told)

    def _of_figures(self, step: int) -> dict[str, Any]:
        """What the result says of figures, and of an end before the last step."""
        if self._verdicts is None:
            return {}
        found = {"best": self._verdicts.told, "evaluation_seconds": round(self._verdicts.seconds, 3)}
        early = {"steps": self._config.steps, "why": self._early(step)[2:]}
        return found | ({"early": early} if step < self._config.steps else {})

    def _early(self, step: int) -> str:
        """Why the run ended before its last step."""
        if step == self._config.steps or self._verdicts is None or self._verdicts.choice.best is None:
            return ""
        at = self._verdicts.choice.best.step
        return (
            f"; it ends before step {self._config.steps}, as {self._verdicts.choice.since} evaluations in a "
            f"row were no better than step {at} (evaluation.stop_when_no_better)"
        )

    def _add_line(self, step: int, metrics: dict[str, float]) -> None:
        time_now = time.monotonic()
        each = self._config.images_per_step
        rate = (step - self._line_step) * each / (time_now - self._line_time)
        self._line_step, self._line_time = step, time_now
        if self._watch.figures(step):
            metrics = metrics | self._watch.measured(self._images(step), self._state.weights)
        entry: dict[str, Any] = {"step": step, "images": step * each, **metrics}
        entry[RATE] = round(rate, 1)
        self._metrics.append(entry)
        self._watch.add(entry)
        eta = (self._config.steps - step) * each / rate
        self._status.update(images_per_second=entry[RATE], eta_seconds=round(eta, 1), metrics=metrics)
        self._status.update(**self._watch.status)
        if self._due(step, self._config.metrics.print_every_steps):
            self._printer.say(line(entry, self._config.steps, eta))

    def _images(self, step: int) -> np.ndarray:
        """The grid's images after `step` steps, uint8 [n, …], drawn once."""
        if self._drawn[0] != step:
            self._drawn = step, self._grid.images()
        return self._drawn[1]

    def _draw(self, step: int) -> None:
        images = self._images(step)
        self._writer.submit(lambda: self._write_grid(layout.sample_grid(step), images))

    def _write_grid(self, name: str, images: Any) -> None:
        try:
            content = self._grid.png(images)
        except Exception as error:  # no picture is worth a run
            ownership.say(f"warning: {name} was not drawn: {type(error).__name__}: {error}")
            return
        self._store.write(name, content)

    def _draw_curves(self, lines: list[dict[str, Any]]) -> None:
        try:
            content = loss_curves(lines, self._title(), losses.LOSSES[self._config.loss].logistic)
        except NotDrawn as error:
            self._printer.say(f"warning: {layout.LOSS_CURVES} was not drawn: {error}")
            return
        self._store.write(layout.LOSS_CURVES, content)

    def _title(self) -> str:
        """The run's own name and its experiment's."""
        return "/".join(self._store.url.rstrip("/").split("/")[-2:])

    def _write_segment(self) -> None:
        if not self._metrics.lines:
            return
        name, content = self._metrics.current_segment()
        self._writer.submit(lambda: self._store.write(name, content))
        self._segment_written = time.monotonic()

    def _save(self, step: int) -> None:
        start = time.perf_counter()
        self._write_segment()
        tensors = checkpoints.snapshot(self._state.tensors())
        best = self._verdicts.choice.best if self._verdicts else None
        spared = best.step if best else None, self._watch.spared(step)
        self._writer.submit_large(lambda: self._save_and_prune(step, tensors, spared))
        self._saved_step = step
        self._stalled += time.perf_counter() - start

    def _save_and_prune(self, step: int, tensors: Any, spared: tuple[int | None, int | None]) -> None:
        rules, start = self._config.checkpoints, time.monotonic()
        checkpoints.save(self._store, step, tensors)
        lost.check_record(self._store)  # a checkpoint beside no record is of no use to anybody
        seconds = round(time.monotonic() - start, 3)
        self._status.update(checkpoint_step=step, checkpoint_time=now(), checkpoint_seconds=seconds)
        self._compare_with_grace(seconds)
        checkpoints.prune(self._store, rules.keep, rules.keep_every, *spared)

    def _compare_with_grace(self, seconds: float) -> None:
        """Say once that a pod that is asked to stop will be killed before its checkpoint is safe."""
        grace = self._about.supervision.grace_seconds
        needed = seconds + STOP_SECONDS
        if grace is not None and needed > grace and not self._warned_of_grace:
            self._warned_of_grace = True
            ownership.say(
                f"warning: a checkpoint took {seconds:.0f} s to save, and a pod that is asked to stop has "
                f"{grace:.0f} s; give it {2 * needed:.0f} s (launcher resume raises it by itself, submit "
                "takes --grace)"
            )

    def _export_generator(self) -> None:
        """Write the generator as a model of Keras' own layers."""
        self._shown.refresh()
        self._export(self._shown.generator, layout.GENERATOR)

    def _export_best(self) -> None:
        """The same of the best checkpoint, with its grid."""
        best = self._verdicts.choice.best if self._verdicts else None
        if best is None:
            return
        try:
            generator = generate.load(self._store, self._config, best.step, average=True).generator
        except UserError as error:  # a person has removed it
            self._printer.say(f"warning: {layout.BEST_GENERATOR} was not written: {error}")
            return
        self._export(generator, layout.BEST_GENERATOR)
        self._write_grid(layout.BEST_GRID, generate.draw(generator, self._grid.latents, self._grid.labels))

    def _export(self, generator: keras.Model, name: str) -> None:
        model, folder = portable_generator(self._config, generator.get_weights()), Path(name).parent
        with checkpoints.scratch_folder() as scratch:
            for path in formats.for_everybody(model, Path(scratch)):
                self._store.upload(f"{folder}/{path.relative_to(scratch).as_posix()}", path)

    def _last_good(self) -> str:
        steps = checkpoints.complete_steps(self._store)
        if not steps:
            return "there is no checkpoint before it"
        return f"last good checkpoint: {self._store.url}/{layout.checkpoint_folder(steps[0])}"

    def _close(self, state: str, **values: Any) -> None:
        self._printer.close()
        self._hold.reserve.free()
        status = self._status.close(state, **values)
        if self._about.entry:
            self._about.entry.close(status, self._result)
        self._hold.lease.release()
