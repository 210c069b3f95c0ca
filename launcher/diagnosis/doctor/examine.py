"""All checks, those that do not need one another at once."""

import importlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from launcher.diagnosis.doctor.base import FAIL, WARN, Check, Report, Result, Subject
from launcher.diagnosis.doctor.local import LOCAL
from launcher.diagnosis.doctor.storage import STORAGE
from launcher.errors import BadKubeconfig, ClusterUnreachable, Forbidden, Transient
from trainer.errors import GantryError

_THREADS = 16


def examine(
    subject: Subject,
    *,
    deep: bool = False,
    seconds: float = 300.0,
    tell: Callable[[str], None] = lambda text: None,
) -> Report:
    """What every check says, in the order of the tables; `deep` starts pods and waits so long for them.

    Raises:
        ClusterLost: the API server went away while pods of ours were there.
    """
    _load(subject)
    with ThreadPoolExecutor(_THREADS) as pool:
        here = [pool.submit(_asked, check, subject) for check in (*LOCAL, *STORAGE)]
        found = [] if subject.local else _of_cluster(subject, pool)
        # On this thread, which alone hears of Ctrl-C, while the others go on.
        pods = _in_pods(subject, seconds, tell) if deep and found and found[0].level != FAIL else []
        return Report.of([*_results(here), *found, *pods])


def _load(subject: Subject) -> None:
    """Import what the checks import, before there are threads.

    Two threads that begin to import kubernetes and google.cloud at once meet in the middle of requests, and
    one of them finds half a module there.
    """
    with suppress(ModuleNotFoundError):  # of an extra that is not installed, which a check tells of
        if subject.bucket:
            importlib.import_module("trainer.storage.gcs")
        if not subject.local:
            importlib.import_module("launcher.diagnosis.doctor.cluster")
            importlib.import_module("kubernetes")


def _of_cluster(subject: Subject, pool: ThreadPoolExecutor) -> list[Result]:
    """The cluster's checks; the first one alone where it cannot be reached."""
    from launcher.diagnosis.doctor.cluster import CLUSTER, REACH

    [first] = _asked(REACH, subject)
    if first.level == FAIL:
        return [first] if subject.required else [Result(first.check, WARN, first.text, first.fix)]
    return [first, *_results([pool.submit(_asked, check, subject) for check in CLUSTER])]


def _in_pods(subject: Subject, seconds: float, tell: Callable[[str], None]) -> list[Result]:
    from launcher.diagnosis.doctor.deep import deep

    return _asked(Check("pods", lambda each: deep(each, seconds, tell)), subject)


def _results(asked: list["Future[list[Result]]"]) -> list[Result]:
    return [result for each in asked for result in each.result()]


def _asked(check: Check, subject: Subject) -> list[Result]:
    """What a check says; an error is what it found, and what may not be asked is a warning."""
    try:
        said = check.ask(subject)
    except Forbidden as error:
        text, _, role = str(error).rpartition("; ")
        return [
            Result(check.name, WARN, f"not known: {text}", f"{role.removesuffix(' grants it')} grants it")
        ]
    except (ClusterUnreachable, BadKubeconfig) as error:
        return [Result(check.name, FAIL, str(error), "kubectl config get-contexts")]
    except (GantryError, Transient) as error:
        return [Result(check.name, FAIL, str(error))]
    except ModuleNotFoundError as error:
        fix = "pip install 'gantry[launcher]'"
        return [Result(check.name, FAIL, f"{error.name} is not installed", fix)]
    return said if isinstance(said, list) else [said]
