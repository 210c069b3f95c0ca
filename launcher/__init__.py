"""The command on a workstation, and the same for scripts and notebooks: runs started, followed, brought home.

::

    from launcher import RunSpec, submit, wait

    run = submit(RunSpec(preset="demo", workers=2))
    print(wait(run).state)

docs/python.md shows the rest. The names come from `launcher.interface` when one is first asked for (PEP 562):
pydantic alone takes longer to import than ``launcher --help``.
"""

# `typing`'s own would be the working folder's, before `launcher.__main__` has put that out of the way.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from launcher.interface import (
        Artifact,
        Curves,
        Deleted,
        Download,
        FieldError,
        GantryError,
        LogLine,
        NoSuchRun,
        Place,
        RunAlive,
        RunExists,
        RunPath,
        RunSpec,
        RunStatus,
        Shown,
        Update,
        UserError,
        WorkerStatus,
        cancel,
        delete,
        download,
        evaluate,
        follow,
        list_artifacts,
        list_runs,
        logs,
        metrics,
        resume,
        show,
        status,
        submit,
        wait,
    )

__all__ = [
    "Artifact",
    "Curves",
    "Deleted",
    "Download",
    "FieldError",
    "GantryError",
    "LogLine",
    "NoSuchRun",
    "Place",
    "RunAlive",
    "RunExists",
    "RunPath",
    "RunSpec",
    "RunStatus",
    "Shown",
    "Update",
    "UserError",
    "WorkerStatus",
    "cancel",
    "delete",
    "download",
    "evaluate",
    "follow",
    "list_artifacts",
    "list_runs",
    "logs",
    "metrics",
    "resume",
    "show",
    "status",
    "submit",
    "wait",
]


def __getattr__(name: str) -> "Any":
    if name not in __all__:
        raise AttributeError(f"module 'launcher' has no attribute '{name}'")
    from launcher import interface

    globals()[name] = found = getattr(interface, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
