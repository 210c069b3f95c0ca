"""Judging a run's images: by the trainer's own command here, or by a Job of its own in the cluster.

The launcher itself has no TensorFlow. Either way the figures lie in the run's folder, which may train on.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from launcher import backends
from launcher.backends.base import Backend, Evaluating
from launcher.errors import RunFailed, SpecError, Unsupported
from launcher.notes import say
from launcher.records.run_folder import Found
from launcher.records.status import read_json
from launcher.runs import trainer_here
from launcher.runs.recorded import asked, begun_with, configuration
from launcher.spec import kinds
from launcher.spec.runspec import IMPLIED, RunSpec, make_spec
from launcher.spec.settings import layered, spec_from
from trainer.errors import EXIT_DONE, EXIT_USER, UserError
from trainer.run import judged, layout
from trainer.run.evaluations import Entry

HERE, CLUSTER = "here", "cluster"
DRAWS = 3
_WHERE = ("context", "namespace")
_NOT_KNOWN = "No such "  # command or option, as Typer says it
_FOR_GPUS = ("gpu", "nccl", "shared-memory")  # profiles that a pod without any has no use for


@dataclass(frozen=True)
class Wanted:
    """What to judge, and against what; as ``python -m trainer evaluate`` has it."""

    step: str = judged.NEWEST
    samples: int = 10_000
    last_weights: bool = False
    reference: str | None = None
    held_out: str | None = None
    again: bool = False
    metrics: tuple[str, ...] = ()
    """None for those that go with the network."""
    features: str | None = None
    layer: str | None = None
    preprocess: str | None = None
    draws: int = DRAWS
    neighbours: str | None = None
    """A PNG that is written, which a pod has no place for."""

    def words(self, url: str) -> list[str]:
        """For the trainer's command line."""
        options = ("reference", "held_out", "features", "layer", "preprocess", "neighbours")
        given = [(f"--{name.replace('_', '-')}", getattr(self, name)) for name in options]
        given += [("--metric", metric) for metric in self.metrics]
        words = [word for name, value in given if value is not None for word in (name, value)]
        flags = [*(["--last-weights"] if self.last_weights else []), *(["--again"] if self.again else [])]
        step = ["--step", self.step, "--samples", str(self.samples), "--draws", str(self.draws)]
        return ["evaluate", "--run-dir", url, *step, *words, *flags]

    @property
    def asked(self) -> dict[str, Any]:
        """The same as an entry of ``evaluations/`` has it, by which it is found there."""
        return {
            "samples": self.samples,
            "average": not self.last_weights,
            "reference": self.reference,
            "held_out": self.held_out,
            "metrics": [*self.metrics],
            "features": self.features,
            "layer": self.layer,
            "preprocess": self.preprocess,
            "draws": self.draws,
        }


def place_for(backend: Backend, on: str | None) -> str:
    """Where a run is judged: as was asked for, else where its workers are.

    Raises:
        SpecError: `on` is no such place.
    """
    if on not in (None, HERE, CLUSTER):
        raise SpecError(f"--on {on}: expected {HERE} or {CLUSTER}")
    return on or (CLUSTER if kinds.has_pods(backend.name) else HERE)


def judge_here(found: Found, wanted: Wanted, *, quiet: bool = False) -> list[Entry]:
    """Judge a run by a process of this machine; what it says goes to stderr, or with `quiet` to the notes.

    Raises:
        NotInstalled: TensorFlow is not there; found out without importing it, which takes seconds.
        UserError, RunFailed: the trainer refuses, or fails.
        TrainerRefused: the same without `quiet`, when it has said why itself.
    """
    otherwise = "judge a run that is in a bucket with --on cluster"
    words = [*wanted.words(found.store.url), "-o", "json"]
    read = json.loads(trainer_here.call(words, quiet=quiet, otherwise=otherwise))
    return read if isinstance(read, list) else [read]


def begin_in_cluster(
    found: Found, backend: Backend, wanted: Wanted, given: Mapping[str, Any] | None = None
) -> Evaluating:
    """Have a run judged by a Job of its own; what cannot be judged is refused before anything is sent.

    Args:
        found: the run.
        backend: its own.
        wanted: what to judge.
        given: fields of `RunSpec` that its pod has otherwise than the run's workers; None is nothing.

    Raises:
        UserError: the request is wrong, the run is in no bucket, or the cluster refuses it.
    """
    judged.steps(found.store, wanted.step)
    if wanted.neighbours is not None:
        raise SpecError(f"--neighbours {wanted.neighbours}: expected none with a pod, whose files go with it")
    if "://" not in found.path.root:
        raise SpecError(
            f"--on {CLUSTER}: run '{found.path.name}' is in the folder {found.path.root}: expected one in a "
            f"bucket, as pods reach no other; --on {HERE} judges it on this machine"
        )
    spec = _spec(found, backend, {key: value for key, value in (given or {}).items() if value is not None})
    words = [*wanted.words(found.path.url), "-o", "none"]
    return backends.named(spec.backend).evaluate(spec, words, found.store)


def ended(going: Evaluating, found: Found, wanted: Wanted) -> list[Entry]:
    """The figures of an evaluation in the cluster that has ended, from the run's folder.

    Raises:
        UserError: it was refused there, for a mistake in the request, say.
        RunFailed: it failed, or was removed before its end.
    """
    how = going.ending()
    if how.exit_code != EXIT_DONE:
        text = f"evaluation '{going.name}': {how.text}"
        if _NOT_KNOWN in how.text:
            text += "; its image is of a Gantry that cannot judge so: --image names another"
        raise UserError(text) if how.exit_code == EXIT_USER else RunFailed(text)
    store = found.store
    if wanted.step == judged.ALL:
        found_so = (judged.asked_so(store, step, wanted.asked) for step in judged.complete(store))
        entries = [entry for entry in found_so if entry is not None]
    else:
        entries = judged.made_by(store, going.name)
    if entries:
        return entries
    raise RunFailed(f"evaluation '{going.name}' has left no figures in {store.url}/{layout.EVALUATIONS}")


def judge(
    found: Found, backend: Backend, wanted: Wanted, on: str | None, given: Mapping[str, Any] | None = None
) -> list[Entry]:
    """Judge a run, wait for the figures, and print nothing.

    Raises:
        UserError, RunFailed: as `judge_here` or `begin_in_cluster` and `ended`.
    """
    if place_for(backend, on) == HERE:
        if of_pod := [key for key in given or () if key not in _WHERE]:
            raise SpecError(f"{of_pod[0]}: expected none where a process of this machine judges")
        return judge_here(found, wanted, quiet=True)
    going = begin_in_cluster(found, backend, wanted, given)
    for line in _lines(going):
        say(line)
    return ended(going, found, wanted)


def _lines(going: Evaluating) -> Iterator[str]:
    return (line for lines in going.follow() for line in lines)


def _spec(found: Found, backend: Backend, given: dict[str, Any]) -> RunSpec:
    """The run as one pod of its cluster, or of the one that the settings say for a run that had none.

    Raises:
        UserError: nothing says how it was started, or a value is wrong.
    """
    run = read_json(found.store, layout.RUN)
    if not run:
        raise Unsupported(f"run '{found.path.name}': {found.store.url} has no {layout.RUN} yet")
    path = found.path
    own = {"root": path.root, "experiment": path.experiment, "name": path.name}
    fields = {"preset": run.get("preset")} | asked(found, run, backend) | own
    alone = {"workers": 1, "gpus": 0, **given}
    if kinds.has_pods(backend.name) and "image" in fields:
        spec = _as_recorded(fields, {**alone, **backend.placed()}, begun_with(found, run))
    else:
        spec = _as_set({**fields, "overrides": begun_with(found, run)}, alone)
    return spec.going_on_from(configuration(found, run))


def _as_recorded(fields: dict[str, Any], given: dict[str, Any], begun: tuple[str, ...]) -> RunSpec:
    fields = {key: value for key, value in fields.items() if value is not None} | given
    without = () if fields["gpus"] else _FOR_GPUS
    fields["profiles"] = tuple(each for each in fields.get("profiles") or () if each not in without)
    fields.pop("overrides", None)
    return make_spec(fields.pop("preset"), begun, **fields)


def _as_set(fields: dict[str, Any], given: dict[str, Any]) -> RunSpec:
    """Of a run that had no pods: image, namespace and the rest as the settings' files say for runs."""
    pods = next(each.name for each in kinds.kinds() if each.pods)
    own = {key: fields[key] for key in ("preset", "root", "experiment", "name", "overrides")}
    given = {key: value for key, value in given.items() if value or key not in IMPLIED}
    return spec_from(layered({**own, **given, "backend": pods}))
