"""A file that a command writes on this machine: whole or not at all, and one line when it cannot be."""

from pathlib import Path

from trainer.errors import AccessError
from trainer.storage.limits import told
from trainer.storage.whole_file import whole_file


def write_file(option: str, path: Path, content: bytes) -> None:
    """Create or replace a file; the folder must be there.

    Args:
        option: what named the path, such as ``--out``; empty for a path that nobody typed.
        path: where to.
        content: all of it.

    Raises:
        AccessError: the folder is missing or refuses, or the path is a folder.
        Exhausted: its disk takes no more.
    """
    said = f"{option} {path}".lstrip()
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "is a folder, expected a file")
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        if found := told(error, said):
            raise found from None
        reason = (error.strerror or str(error)).lower()
        raise AccessError(f"{said}: cannot be written ({reason})") from None


def check_folder(option: str, path: Path) -> None:
    """Refuse a path whose folder is not there, before anything is made for it.

    Raises:
        AccessError: with the folder's name.
    """
    if not path.parent.is_dir():
        raise AccessError(f"{option} {path}: there is no folder {path.parent}")
