"""The folder that ``latest`` stands for in a source: data that arrives in folders named after their dates.

``tfrecord:gs://bucket/faces/latest/*.tfrecord`` means the shards of ``faces/latest`` where there is such a
folder, and where there is none those of the newest folder in ``faces``. Newest is by name: as a number where
all names are numbers, else in the order of the alphabet, as dates written year first have it. Folders whose
names begin with a digit come before all others; those that begin with a dot or an underscore do not count.

A run looks this up once and writes down what it found; see `trainer.data.pin`.
"""

from pathlib import Path

from trainer.environment.paths import expanded
from trainer.storage import open_store
from trainer.survey.files import problem

LATEST = "latest"
_KINDS = ("idx", "npz", "images", "tfrecord")


def names_latest(source: str) -> bool:
    """Whether a source has a folder called ``latest`` on its way."""
    kind, _, rest = source.partition(":")
    return kind in _KINDS and LATEST in _split(rest)[1]


def resolve(source: str) -> str:
    """The source with every ``latest`` replaced by the folder that it stands for now.

    A link called ``latest`` is replaced by where it leads.

    Raises:
        DataError: there is no such folder and no other in its place.
        AccessError: the folder or bucket refuses us.
    """
    if not names_latest(source):
        return source
    kind, _, rest = source.partition(":")
    head, parts = _split(rest)
    path = head
    for part in parts:
        path = _stands_for(source, path) if part == LATEST else path + part
        path += "/"
    return f"{kind}:{path[:-1]}"


def _split(rest: str) -> tuple[str, list[str]]:
    """The bucket, or the root of a disk, with a slash at its end, or nothing; and the names from there on."""
    if rest.startswith("gs://"):
        bucket, _, path = rest.removeprefix("gs://").partition("/")
        return f"gs://{bucket}/", path.split("/")
    path = str(Path(expanded(rest, "data.source"))) + ("/" if rest.endswith("/") else "")
    return ("/", path[1:].split("/")) if path.startswith("/") else ("", path.split("/"))


def _stands_for(source: str, folder: str) -> str:
    """What `LATEST` in a folder (with a slash at its end, or empty) stands for, as a path."""
    store = open_store(folder.rstrip("/") or folder or ".")
    names = [*store.folders()]
    link = Path(folder) / LATEST
    if not folder.startswith("gs://") and link.is_symlink():
        return str(link.resolve())
    if LATEST in names or store.stat(LATEST):
        return folder + LATEST
    names = [name for name in names if not name.startswith((".", "_"))]
    names = [name for name in names if name[0].isdecimal()] or names
    if not names:
        raise problem(
            source, f"in {folder or '.'} there is no folder '{LATEST}', and none that it could stand for"
        )
    if all(name.isascii() and name.isdecimal() for name in names):
        return folder + max(names, key=lambda name: (int(name), name))
    return folder + max(names)
