"""Where a command writes what it makes of a run for people to look at: never into the working folder unasked.

``--out`` says where. Without it a run on this disk has it in its own folder, below ``views/``, where one
looks for it: no listing and no download takes it for the run's, and deleting the run's files removes it too.
A bucket is for what the trainer writes, and a file of this machine that nobody named would not be found
again: of a run there nothing is written without ``--out``.
"""

from contextlib import suppress
from pathlib import Path

from launcher.local_file import write_file
from trainer.errors import AccessError
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage.limits import told


def beside(run: RunPath, name: str) -> Path | None:
    """File of that name beside a run on this disk, None for a run in a bucket."""
    return None if "://" in run.root else Path(run.url, layout.VIEWS, name)


def write_view(path: Path, content: bytes) -> None:
    """Create or replace a file that `beside` named.

    Raises:
        AccessError: the run's folder is gone or refuses.
        Exhausted: its disk takes no more.
    """
    folder = path.parent
    try:
        folder.mkdir(exist_ok=True)
        write_file("", path, content)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        text = f"{folder}: cannot be made a folder ({reason}); --out names another place"
        raise told(error, str(folder)) or AccessError(text) from None
    except AccessError as error:
        raise AccessError(f"{error}; --out names another place") from None
    finally:
        with suppress(OSError):  # it holds something, as it should
            folder.rmdir()
