"""The commands that messages tell a person to type next."""

import os
import shlex

from trainer.layout import RunPath

DEFAULT_ROOT = "runs"
DEFAULT_EXPERIMENT = "gan"
ROOT_VARIABLE = "GANTRY_ROOT"


def command_line(verb: str, path: RunPath, *more: str) -> str:
    """A command about a run as it can be pasted, such as ``launcher resume demo-1 --root /data``."""
    run = path.name if path.experiment == DEFAULT_EXPERIMENT else f"{path.experiment}/{path.name}"
    words = ["launcher", *verb.split(), run, *more]
    if path.root.rstrip("/") != os.environ.get(ROOT_VARIABLE, DEFAULT_ROOT).rstrip("/"):
        words += ["--root", path.root]
    return shlex.join(words)
