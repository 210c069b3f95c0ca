"""Whether runs can be kept where they are to be: reads, writes, conditional writes, removals, from here."""

import re
import secrets
import tempfile
from collections.abc import Callable, Iterator

from launcher.diagnosis.doctor.base import FAIL, OK, PATIENCE_SECONDS, WARN, Check, Result, Subject
from launcher.diagnosis.doctor.clock import judged
from launcher.diagnosis.doctor.probe import PREFIX, try_storage
from launcher.time_limit import within
from trainer.errors import GantryError
from trainer.storage import open_store

_LOGIN = "gcloud auth application-default login"
_GRANT = f"grant the account storage.objects.{{create,get,list,delete}}, or log in as another with `{_LOGIN}`"


def storage(subject: Subject) -> list[Result]:
    """Every step of the life of an object below the root, as a run's own files go through them."""
    if not subject.bucket and subject.required:
        text = f"root is {subject.root}, which pods cannot reach"
        return [Result("bucket", WARN, text, "give --root gs://BUCKET/PREFIX")]
    what = "bucket" if subject.bucket else "folder"
    try:
        steps = within(2 * PATIENCE_SECONDS, lambda: list(_steps(subject.root)), subject.root)
    except GantryError as error:
        return [Result(what, FAIL, str(error), _fix(subject, str(error)))]
    return list(results(what, steps, subject.root, lambda trouble: _fix(subject, trouble)))


def _steps(root: str) -> Iterator[tuple[str, str]]:
    if root.startswith("gs://"):
        return try_storage(open_store(root), PREFIX + secrets.token_hex(4))
    # A folder that is not there yet must not be left behind by a look at it.
    from pathlib import Path

    folder = Path(root).absolute()
    while not folder.exists():
        folder = folder.parent
    return _in_folder(folder)


def _in_folder(folder: object) -> Iterator[tuple[str, str]]:
    try:
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=str(folder)) as scratch:
            yield from try_storage(open_store(scratch), "object")
    except OSError as error:
        yield "write", f"{folder}: {error.strerror}"


def results(
    what: str, steps: list[tuple[str, str]], where: str, fix: Callable[[str], str]
) -> Iterator[Result]:
    """What was tried of a store, in a line, and a line for each thing that went wrong, with its `fix`."""
    good = [step for step, trouble in steps if not trouble]
    if good:
        yield Result(what, OK, f"{where}: {', '.join(good)}")
    for step, trouble in steps:
        if step == "clock":
            if what != "folder":
                yield judged(f"{what} clock", float(trouble))
        elif trouble:
            yield Result(f"{what} {step}", FAIL, trouble, fix(trouble))


def _fix(subject: Subject, trouble: str) -> str:
    if not subject.bucket:
        return "choose another --root, or mend its permissions"
    if "no Google credentials" in trouble:
        return _LOGIN
    if missing := re.search(r"bucket '([^']+)' does not exist", trouble):
        return f"gcloud storage buckets create gs://{missing[1]}, or mend --root"
    return _GRANT


STORAGE = (Check("storage", storage),)
