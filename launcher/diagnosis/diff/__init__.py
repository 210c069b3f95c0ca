"""What a submit would change of a run or a schedule that is there: ``launcher diff``.

The specification that was recorded with the run is rendered again, with what is given now laid over it, and
compared with the live objects. So without anything given there is a difference only where somebody edited an
object, or where this launcher renders otherwise than the one that submitted.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from launcher.diagnosis.diff.asking import against_cluster
from launcher.diagnosis.diff.objects import Change, Difference, compare
from launcher.errors import CannotAsk, SpecError
from launcher.notes import note
from launcher.records.run_folder import Found
from launcher.render import render
from launcher.runs.find import Place, locate
from launcher.runs.recorded import laid_over as lay_over
from launcher.spec.runspec import RunSpec
from launcher.spec.settings import Layered, spec_from
from trainer.errors import ObjectMissing
from trainer.run import layout

__all__ = ["Change", "Difference", "against_cluster", "compare", "diff_run"]

# What a run is known by: another value would be another run.
_IDENTITY = ("name", "experiment", "root", "backend", "context", "namespace")


def diff_run(where: Place | str, run: str, given: Layered) -> Difference:
    """What the newest attempt's Job and its children would be otherwise, with some settings laid over.

    Where the cluster has forgotten the Job, or cannot be asked, ``manifests.yaml`` of the run's folder stands
    in for it, which is told on stderr.

    Raises:
        NoSuchRun: there is none of that name.
        SpecError: it is no run on a cluster, or the cluster refuses a manifest.
        UserError: a setting is wrong.
    """
    found, backend = locate(where, run)
    from launcher.backends.kubernetes.backend import of_pods

    pods = of_pods(backend)
    if pods is None:
        raise SpecError(f"run '{run}' was not submitted to a cluster: processes have no objects to compare")
    record = pods.record
    before = laid_over(record.spec, Layered({}), f"{found.store.url}/{layout.CLUSTER}")
    after = laid_over(record.spec, given, f"{found.store.url}/{layout.CLUSTER}")
    manifests, gone = (
        render(after, record.attempt, record.job),
        f"the cluster has no Job '{record.job}' any more",
    )
    try:
        if pods.own(found).job() is None:  # perhaps a namesake's
            return _with_folder(found, manifests, gone)
        difference = against_cluster(pods.api, manifests, render(before, record.attempt, record.job))
    except CannotAsk as error:
        return _with_folder(found, manifests, f"the cluster cannot be asked ({error})")
    return _with_folder(found, manifests, gone) if difference is None else difference


def laid_over(spec: Mapping[str, Any], given: Layered, origin: str) -> RunSpec:
    """A recorded specification with settings laid over it, those by which a run is known left out.

    Raises:
        UserError: a value is wrong; the text says where it came from.
    """
    others = {key: each for key, each in given.settings.items() if key not in _IDENTITY}
    return spec_from(lay_over(spec, Layered(others), origin))


def _with_folder(found: Found, manifests: list[dict[str, Any]], why: str) -> Difference:
    """The difference from what was sent, without the server's defaults on either side."""
    try:
        sent = list(yaml.safe_load_all(found.store.read(layout.MANIFESTS)))
    except ObjectMissing:
        raise SpecError(
            f"run '{found.path.name}': {why}, and its folder has no {layout.MANIFESTS} to compare with"
        ) from None
    note(f"{why}; this is the difference from {layout.MANIFESTS} in the run's folder")
    return compare(sent, manifests)
