"""Changing a schedule: what a change comes to is known, and shown, before it is made.

The specification and the times in the schedule's annotations are rendered again with the new values laid over
them, and compared with the live objects, so that what others have edited is shown and put back, too. What the
comparison shows is then laid over the objects as merge patches, so nothing but that changes, and a firing
that runs is left alone. A schedule without its annotation is adopted, see `adopting`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from launcher.backends.kubernetes.client.api import Object
from launcher.backends.kubernetes.jobs.judgement import note_pods
from launcher.backends.kubernetes.jobs.record import template_of
from launcher.backends.kubernetes.jobs.submit import owned
from launcher.backends.kubernetes.kind import KIND
from launcher.diagnosis.diff import Difference, against_cluster, laid_over
from launcher.diagnosis.diff.objects import object_name
from launcher.errors import NoSuchSchedule, SpecError
from launcher.notes import note
from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.render.labels import SINCE, SPEC, TIMING, annotation, schedule_of
from launcher.render.paths import steps
from launcher.runs.find import Place
from launcher.schedules.adopting import asked_of
from launcher.schedules.creating import check_schedule_name, check_timing
from launcher.schedules.find import Found, cron_command, find
from launcher.schedules.model import asked_timing, path_of, suspension_notes, timing_of
from launcher.spec.runspec import RunSpec
from launcher.spec.settings import Layered, flag_of

_IDENTITY = ("name", "experiment", "root", "backend")


class Plan(NamedTuple):
    """A change that has not been made yet."""

    found: Found
    difference: Difference
    """What it would change of the live objects."""
    manifests: list[Object]
    before: Timing
    """As the cluster has it."""
    after: Timing
    adopted: list[str]
    """What was read back from the cluster, as the annotation that says it is gone."""
    spec: RunSpec
    """What firings are to be."""


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
    found = plan(where, name, given, timing)
    if found.adopted:
        how = cron_command("update", found.found)
        note(f"{adoption(found)}; `{how}` makes it the schedule's again")
    return found.difference


def adoption(plan: Plan) -> str:
    """What was read back of a schedule that has lost what it was asked for."""
    return (
        f"schedule '{plan.found.name}' has no annotation {SPEC} that can be read; its pods are told "
        f"{', '.join(plan.adopted)}"
    )


def plan(where: Place, name: str, given: Layered, timing: Mapping[str, Any]) -> Plan:
    """A change of settings of the firings and of fields of `Timing`; nothing is changed yet.

    Raises:
        NoSuchSchedule: there is none of that name.
        UserError: a value is wrong, or the cluster refuses it.
    """
    found = find(where, name)
    origin = f"CronJob '{name}'"
    asked = asked_of(found.cron)
    _check_identity(found, given)
    after = laid_over(asked.spec, given, origin)
    before = after if asked.taken else laid_over(asked.spec, Layered({}), origin)
    check_schedule_name(name, after.workers)
    new = replace(asked_timing(found.cron), **timing)
    check_timing(new)
    cluster = _recorded_cluster(found)
    manifests = render_schedule(after, new, cluster)
    same = manifests if before == after else render_schedule(before, new, cluster)
    difference = against_cluster(found.api, manifests, same)
    if difference is None:
        raise NoSuchSchedule(f"schedule '{name}' was removed in this moment")
    return Plan(found, difference, manifests, timing_of(found.cron), new, asked.taken, after)


def apply(plan: Plan) -> Changed:
    """Make a planned change.

    Raises:
        SpecError: no pod of a firing would be let in; nothing was changed.
        ApiRejected: the cluster refuses a part; what was changed before stays, and the next plan shows what
            is left.
    """
    if plan.difference:
        note_pods(plan.found.api, plan.manifests, plan.spec)
    api, names = plan.found.api, list(dict.fromkeys(each.object for each in plan.difference.changes))
    gone = {each.object for each in plan.difference.changes if not each.path and each.new is None}
    new = {each.object for each in plan.difference.changes if not each.path and each.old is None}
    # Children first: the next firing finds what its pods need.
    for manifest in reversed(plan.manifests):
        name = object_name(manifest)
        if name in new:
            api.create(owned(manifest, plan.found.cron))
        elif name in names:
            api.patch(manifest["kind"], _own(plan, name), _patch(plan, manifest))
    for name in sorted(gone):
        api.delete(name.partition("/")[0], _own(plan, name))
    if not _is_recorded(plan):  # the cluster is as it shall be, which nobody had asked for
        api.patch("CronJob", plan.found.cron, {"metadata": {"annotations": _records(plan)}})
    return Changed(plan.found.name, api.namespace, names)


def _own(plan: Plan, name: str) -> Object:
    """The schedule's object called ``Kind/name``, and not another's that has its name by now.

    Raises:
        NoSuchSchedule: it was removed in this moment.
        SpecError: it is another's.
    """
    kind, _, called = name.partition("/")
    if kind == "CronJob":
        return plan.found.cron
    found = plan.found.api.get(kind, called)
    if found is None:
        raise NoSuchSchedule(f"{name} of schedule '{plan.found.name}' was removed in this moment")
    if schedule_of(found) != plan.found.name:
        raise SpecError(f"{name} is not schedule '{plan.found.name}''s, as its labels say; it is left alone")
    return found


def _records(plan: Plan) -> dict[str, str]:
    """The annotations that say what the schedule was asked for."""
    said: dict[str, str] = plan.manifests[0]["metadata"]["annotations"]
    return {key: said[key] for key in (SPEC, TIMING)}


def _is_recorded(plan: Plan) -> bool:
    """Whether the CronJob says what it is asked for, or is about to say it with its other changes."""
    own = object_name(plan.manifests[0])
    said = {key: annotation(plan.found.cron, key) for key in (SPEC, TIMING)}
    return said == _records(plan) or any(change.object == own for change in plan.difference.changes)


def _patch(plan: Plan, manifest: Object) -> Object:
    """A merge patch that makes an object what its manifest says, and takes away what the manifest lacks."""
    metadata = {
        key: manifest["metadata"][key] for key in ("labels", "annotations") if key in manifest["metadata"]
    }
    rest = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    patch: Object = {"metadata": metadata, **rest}
    if manifest["kind"] == "CronJob":
        now, notes = plan.found.now, dict(metadata.get("annotations", {}))
        line = (plan.before.schedule, plan.before.time_zone)
        if line != (plan.after.schedule, plan.after.time_zone):
            notes[SINCE] = now.isoformat(timespec="seconds")
        if plan.before.suspended != plan.after.suspended:
            notes |= suspension_notes(plan.found.cron, plan.after.suspended, now)
        else:  # whoever suspends it in this moment means it
            patch["spec"] = {key: value for key, value in patch["spec"].items() if key != "suspend"}
        patch["metadata"] = {**metadata, "annotations": notes}
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
    same = {"name": path.name, "experiment": path.experiment, "root": path.root, "backend": KIND.name}
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
    api = found.api
    record = template_of(found.cron["spec"]["jobTemplate"]["spec"]["template"])
    if record is None or not record.server:
        return Cluster(api.namespace, api.context, api.server)
    return Cluster(record.namespace, record.context, record.server)
