"""Where a generator comes from: a checkpoint of a run, or a file of Keras that knows nothing of a run.

Found before TensorFlow loads, so that a mistyped address is refused in the first second.
"""

from typing import NamedTuple

from trainer.errors import UserError
from trainer.run import judged, layout, record
from trainer.run.record import Record
from trainer.storage import Store, open_store

_FILE = layout.GENERATOR.rpartition("/")[2]
_BEST_FILE = layout.BEST_GENERATOR.removeprefix("export/")


class Origin(NamedTuple):
    """A generator that nobody has opened yet."""

    store: Store
    """The run's folder, or the one that holds the file."""
    known: Record | None
    """The run's record; None for a file."""
    file: str = ""
    """Its name in the store; empty for a checkpoint of the run."""
    step: int | None = None
    """Of the checkpoint; None for the newest whole one, and for a file."""

    @property
    def url(self) -> str:
        """What it was called by."""
        return f"{self.store.url}/{self.file}" if self.file else self.store.url


def find(where: str, step: int | None = None, best: bool = False) -> Origin:
    """A generator by its address.

    Args:
        where: a folder or ``gs://`` address of a run or of its export/, or a ``.keras`` file.
        step: the checkpoint's, of a run.
        best: the checkpoint that is best by the figures of training, or the file of it.

    Raises:
        UserError: there is nothing of the kind, or a file was asked for a step.
    """
    if best and step is not None:
        raise UserError(f"--step {step}: expected none with --best")
    if where.endswith(".keras"):
        if best:
            raise UserError(f"--best: expected none with the file {where}")
        folder, _, name = where.rpartition("/")
        return _of_file(open_store(folder or ("/" if where.startswith("/") else ".")), name, step)
    store = open_store(where)
    known = record.read(store)
    if known is not None:
        return Origin(store, known, "", judged.best_step(store, "--best") if best else step)
    if store.stat(_FILE) is not None:
        return _of_file(store, _BEST_FILE if best else _FILE, step)
    raise UserError(
        f"--run-dir {store.url}: there is no {layout.RUN} and no {_FILE}, expected the folder of a run, its "
        "export/, or a .keras file"
    )


def _of_file(store: Store, name: str, step: int | None) -> Origin:
    if step is not None:
        raise UserError(f"--step {step}: expected none with {store.url}/{name}, which has one step's weights")
    if store.stat(name) is None:
        raise UserError(f"--run-dir {store.url}/{name}: there is no such file")
    return Origin(store, None, name)
