"""Changing a schedule: what a change comes to is known, and shown, before it is made.

The specification in the schedule's annotation is rendered again with the new values laid over it, and
compared with the live objects. What the comparison shows is then laid over them as merge patches, so nothing
but that changes, and a firing that runs is left alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from launcher.backends.kubernetes.api import Object
from launcher.backends.kubernetes.labels import SINCE
from launcher.backends.kubernetes.record import record_of
from launcher.backends.kubernetes.submit import owned
from launcher.difference import Difference, against_cluster, laid_over
from launcher.difference.objects import object_name
from launcher.errors import NoSuchSchedule, SpecError
from launcher.places import Place
from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.render.paths import steps
from launcher.schedules.creating import check_schedule_name, check_timing
from launcher.schedules.finding import Found, find
from launcher.schedules.model import path_of, spec_of, timing_of
from launcher.settings import Layered, flag_of

_IDENTITY = ("name", "experiment", "root", "backend")


class Plan(NamedTuple):
    """A change that has not been made yet."""

    found: Found
    difference: Difference
    """What it would change of the live objects."""
    manifests: list[Object]
    before: Timing
    after: Timing


class Changed(NamedTuple):
    """A change that was made."""

    name: str
    namespace: str
    objects: list[str]
    """What was changed, made or removed, as ``Kind/name``."""


def diff(where: Place, name: str, given: Layered, timing: Mapping[str, Any]) -> Difference:
    """What an update with these values would change; with none, what was edited by hand since.

    Raises:
        NoSuchSchedule: there is none of that name.
        UserError: a value is wrong, or the cluster refuses it.
    """
    return plan(where, name, given, timing).difference


def plan(where: Place, name: str, given: Layered, timing: Mapping[str, Any]) -> Plan:
    """A change of settings of the firings and of fields of `Timing`; nothing is changed yet.

    Raises:
        NoSuchSchedule: there is none of that name.
        UserError: a value is wrong, or the cluster refuses it.
    """
    found = find(where, name)
    origin = f"CronJob '{name}'"
    kept = spec_of(found.cron)
    _check_identity(found, given)
    before = laid_over(kept, Layered({}), origin)
    after = laid_over(kept, given, origin)
    check_schedule_name(name, after.workers)
    old = timing_of(found.cron)
    new = replace(old, **timing)
    check_timing(new)
    cluster = _recorded_cluster(found)
    manifests = render_schedule(after, new, cluster)
    difference = against_cluster(found.api, manifests, render_schedule(before, old, cluster))
    if difference is None:
        raise NoSuchSchedule(f"schedule '{name}' was removed in this moment")
    return Plan(found, difference, manifests, old, new)


def apply(plan: Plan) -> Changed:
    """Make a planned change.

    Raises:
        ApiRejected: the cluster refuses a part; what was changed before stays, and the next plan shows what
            is left.
    """
    api, names = plan.found.api, list(dict.fromkeys(each.object for each in plan.difference.changes))
    gone = {each.object for each in plan.difference.changes if not each.path and each.new is None}
    new = {each.object for each in plan.difference.changes if not each.path and each.old is None}
    # Children first: the next firing finds what its pods need.
    for manifest in reversed(plan.manifests):
        name = object_name(manifest)
        if name in new:
            api.create(owned(manifest, plan.found.cron))
        elif name in names:
            api.patch(manifest["kind"], manifest["metadata"]["name"], _patch(plan, manifest))
    for name in sorted(gone):
        api.delete(*name.split("/", 1))
    return Changed(plan.found.name, api.namespace, names)


def _patch(plan: Plan, manifest: Object) -> Object:
    """A merge patch that makes an object what its manifest says, and takes away what the manifest lacks."""
    metadata = {
        key: manifest["metadata"][key] for key in ("labels", "annotations") if key in manifest["metadata"]
    }
    rest = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    patch: Object = {"metadata": metadata, **rest}
    if manifest["kind"] == "CronJob":
        patch["spec"] = {key: value for key, value in patch["spec"].items() if key != "suspend"}
        line = (plan.before.schedule, plan.before.time_zone)
        if line != (plan.after.schedule, plan.after.time_zone):
            now = plan.found.now.isoformat(timespec="seconds")
            patch["metadata"] = {**metadata, "annotations": {**metadata.get("annotations", {}), SINCE: now}}
    for change in plan.difference.changes:
        if change.object == object_name(manifest) and change.new is None and change.path:
            patch = _without(patch, change.path)
    return patch


def _without(patch: Object, path: str) -> Object:
    """A merge patch that also removes the key at a path; a list is replaced as a whole anyway."""
    keys = list(steps(path))
    if not all(isinstance(key, str) for key in keys):
        return patch
    patch = dict(patch)
    node = patch
    for key in keys[:-1]:
        node[str(key)] = dict(node.get(str(key)) or {})
        node = node[str(key)]
    node[str(keys[-1])] = None
    return patch


def _check_identity(found: Found, given: Layered) -> None:
    """Refuse what would make it another schedule; a file may say again what it is."""
    path = path_of(found.cron)
    same = {"name": path.name, "experiment": path.experiment, "root": path.root, "backend": "kubernetes"}
    for field in _IDENTITY:
        setting = given.settings.get(field)
        # The backend follows from the image, and the root's last slash means nothing.
        if setting is not None and str(setting.value).rstrip("/") != same[field].rstrip("/"):
            raise SpecError(
                f"{flag_of(field)} {setting.value}: expected {same[field]}, as a schedule keeps its own; "
                "create another one"
            )


def _recorded_cluster(found: Found) -> Cluster:
    """The cluster as whoever created the schedule calls it: contexts have other names elsewhere."""
    api, template = found.api, found.cron["spec"]["jobTemplate"]
    labels = {**(template.get("metadata") or {}), "name": f"{found.name}-0", "namespace": api.namespace}
    record = record_of({"metadata": labels, "spec": template["spec"]})
    if not record.server:
        return Cluster(api.namespace, api.context, api.server)
    return Cluster(record.namespace, record.context, record.server)
