"""``~`` in what a person typed, and files in a home folder that there may not be.

A container's user often has neither HOME nor a line in /etc/passwd (OpenShift, ``docker run -u``).
"""

import os
from pathlib import Path

from trainer.errors import ConfigError, UserError


def expanded(text: str, what: str = "") -> str:
    """A path or address whose leading ``~`` or ``~somebody`` is replaced by that home folder.

    Args:
        text: as it was typed; anything that does not begin with ``~`` stays what it is.
        what: the field or flag that it was typed for, for the error.

    Raises:
        UserError: nobody knows of that home folder.
    """
    if not text.startswith("~"):
        return text
    who = text.partition("/")[0]
    found = _expanded(text)
    if found is None:
        lacking = "this user has none (set HOME)" if who == "~" else f"there is no user '{who[1:]}'"
        name = f"{what} " if what else ""
        raise UserError(f"{name}{text}: {who} is a home folder, and {lacking}; write the path in full")
    return found


def require_folder(what: str, path: Path) -> Path:
    """The folder above a path that is to be written; `what` is as in ``--out grid.png``.

    Raises:
        ConfigError: there is none.
    """
    parent = path.absolute().parent
    if not parent.is_dir():
        raise ConfigError(f"{what}: there is no folder {parent}")
    return parent


def at_home(text: str) -> Path | None:
    """A file in this user's home folder, such as ``~/.kube/config``; None where there is no such folder."""
    found = _expanded(text)
    return None if found is None else Path(found)


def _expanded(text: str) -> str | None:
    if text.partition("/")[0] == "~" and os.environ.get("HOME") == "":
        return None  # of which Python would make the root of the file system
    found = os.path.expanduser(text)  # noqa: PTH111 - Path would lose a slash at the end
    return None if found.startswith("~") else found
