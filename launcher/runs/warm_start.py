"""Whether there is anything that a run could begin its weights from, asked before it is sent anywhere."""

from launcher.errors import FieldError
from launcher.spec.runspec import RunSpec
from trainer.run import index, layout
from trainer.storage import open_store


def check_warm_start(spec: RunSpec) -> None:
    """Refuse a run that its trainer would refuse a minute later, for want of weights to begin from.

    Raises:
        FieldError: no other run of the experiment is finished, or the one that is named has no checkpoint.
        UserError: the bucket or folder refuses us.
    """
    asked = spec.config().warm_start
    if asked.run is None or not asked.required:
        return
    missing = _missing(spec, asked.run)
    if missing:
        raise FieldError(
            "set.warm_start.run",
            f"warm_start.run is '{asked.run}': {missing}; with --set warm_start.required=false the run "
            "begins with new weights then",
        )


def _missing(spec: RunSpec, run: str) -> str:
    """What keeps the run from beginning, empty when nothing does."""
    path = spec.path
    if run == layout.LATEST:
        done = index.finished(open_store(path.experiment_url))
        return "" if any(entry.run != path.name for entry in done) else _none(path.experiment_url)
    there = open_store(layout.run_path(path.root, path.experiment, run).url)
    if run == path.name:
        return "expected another run than the one that begins"
    if there.stat(layout.RUN) is None:
        return f"there is no run {there.url}"
    complete = any(layout.is_complete(found.name, found.size) for found in there.list("checkpoints/"))
    return "" if complete else f"{there.url} has no complete checkpoint"


def _none(url: str) -> str:
    return f"no run in {url} is finished"
