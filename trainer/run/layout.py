"""The name of every object in a run.

A run is a folder ``<root>/<experiment>/<run>/`` on a disk or in a bucket. Everything else in Gantry asks
this module how an object is called, so that the trainer, the launcher and a reader of the bucket agree.
"""

import re
from typing import NamedTuple

from trainer.errors import UserError

RUN = "run.json"  # resolved configuration, versions, world size; written first
DATA = "data.json"  # the files that it trains on; written before run.json
STATUS = "status.json"  # where the run stands, every few seconds
RESULT = "result.json"  # how it ended; written last
LEASE = "lease.json"  # which process may write the run
LOCAL = "local.json"  # the processes of a run on this machine (the launcher's local backend)
CLUSTER = "cluster.json"  # where a run was submitted to (the launcher's Kubernetes backend)
MANIFESTS = "manifests.yaml"  # what was submitted there
CANCEL = "cancel.json"  # a person's wish to stop one attempt, by which its pods leave with 0
INDEX = (
    "index.json"  # not of a run but of its experiment's folder: one entry for each run, rebuilt from the runs
)
REAL_GRID = "samples/real.png"  # images of the data, beside what the generator draws; it has no step
VIEWS = "views/"  # what the launcher has made of a run for people to look at; no file of the run itself
# Before the name of a weight in a checkpoint.
MOMENTS = "adam/"
AVERAGE = "ema/"
AUGMENTATION = "augmentation/"
PRECISION = "precision/"
GENERATOR = "export/generator.keras"
BEST = "best.json"  # which checkpoint is the best by the figures of training
BEST_GENERATOR = "export/best/generator.keras"
BEST_GRID = "export/best/samples.png"
EVALUATIONS = "evaluations/"
REFERENCES = "references/"  # of an experiment's folder: what feature networks see in real images
LOSS_CURVES = "export/loss.png"
ROLLBACKS = "rollbacks.json"  # from where a run went on otherwise, as its game was over

# Kubernetes objects are named after runs, so a run's name is a DNS label from the start (RFC 1123).
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

LATEST = "latest"
"""In the place of a run's name: the newest one, unless there is one of that name."""

FORMAT = 1  # of run.json and what lies beside it: raised where an older Gantry could not read a newer run


class RunPath(NamedTuple):
    """The place of one run."""

    root: str
    experiment: str
    name: str

    @property
    def url(self) -> str:
        """The run's folder: a path or ``gs://bucket/prefix/experiment/run``."""
        return f"{self.experiment_url}/{self.name}"

    @property
    def experiment_url(self) -> str:
        """The folder of the run's experiment, which holds the index."""
        return f"{self.root.rstrip('/')}/{self.experiment}"


def run_path(root: str, experiment: str, name: str) -> RunPath:
    """The run's place, with both names checked.

    Raises:
        UserError: a name is not a DNS label (lower case letters, digits and dashes, at most 63).
    """
    for field, value in (("experiment", experiment), ("run", name)):
        if not LABEL.fullmatch(value):
            raise UserError(
                f"{field} '{value}': expected lower case letters, digits and dashes, "
                "at most 63, beginning and ending with a letter or digit"
            )
    return RunPath(root, experiment, name)


def checkpoint_folder(step: int) -> str:
    """Folder of the checkpoint taken after `step` steps."""
    return f"checkpoints/{step}/"


def checkpoint_manifest(step: int) -> str:
    """Manifest of a checkpoint; without it the checkpoint does not exist.

    One of no bytes is a writer's claim that the checkpoint is being written, and no checkpoint either:
    whoever lists objects asks `is_complete`.
    """
    return f"checkpoints/{step}/manifest.json"


def is_complete(name: str, size: int) -> bool:
    """Whether an object of that name and size is the manifest that makes a checkpoint complete."""
    step = checkpoint_step(name)
    return step is not None and name == checkpoint_manifest(step) and size > 0


def checkpoint_step(name: str) -> int | None:
    """Step of the checkpoint that an object belongs to, None for any other object."""
    found = re.match(r"checkpoints/(\d+)/", name)
    return int(found[1]) if found else None


def sample_grid(step: int) -> str:
    """Grid of samples from fixed latents after `step` steps."""
    return f"samples/{step}.png"


def sample_step(name: str) -> int | None:
    """Step of a grid of samples, None for any other object."""
    found = re.fullmatch(r"samples/(\d+)\.png", name, re.ASCII)
    return int(found[1]) if found else None


def evaluation(step: int) -> str:
    """Figures of the checkpoint taken after `step` steps."""
    return f"{EVALUATIONS}{step}.json"


def evaluation_step(name: str) -> int | None:
    """Step of a checkpoint's figures, None for any other object."""
    found = re.fullmatch(r"evaluations/(\d+)\.json", name, re.ASCII)
    return int(found[1]) if found else None


def metrics_segment(first_step: int) -> str:
    """Segment of metrics whose lines are for `first_step` and later, up to the next segment's."""
    return f"metrics/{first_step}.jsonl"


def metrics_first_step(name: str) -> int | None:
    """First step of a metrics segment, None for any other object."""
    found = re.fullmatch(r"metrics/(\d+)\.jsonl", name)
    return int(found[1]) if found else None


def worker_log(attempt: int, worker: int) -> str:
    """Log of one worker process in one attempt; attempts count from 1."""
    return f"logs/{attempt}/worker-{worker}.log"


def worker_log_segment(attempt: int, worker: int, segment: int) -> str:
    """Piece of a pod's log; segments count from 0, go on with the next pod of the same index, and are joined
    by number."""
    return f"logs/{attempt}/worker-{worker}.{segment:05d}.log"


class WorkerLog(NamedTuple):
    """What the name of a log says."""

    attempt: int
    worker: int
    segment: int | None
    """None for the whole log of a worker process on this machine."""


def worker_log_parts(name: str) -> WorkerLog | None:
    """Attempt, worker and segment of a worker's log, None for any other object."""
    found = re.fullmatch(r"logs/(\d+)/worker-(\d+)(?:\.(\d{5,}))?\.log", name)
    if not found:
        return None
    attempt, worker, segment = found.groups()
    return WorkerLog(int(attempt), int(worker), None if segment is None else int(segment))
