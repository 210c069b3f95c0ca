"""Creating a schedule: all of it or nothing.

The CronJob is created suspended, so that it does not fire before its Service is there; what it owns follows;
then it may fire. One delete of the CronJob takes all of it back.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from launcher.backends.kubernetes.client.api import Api, Object, connect
from launcher.backends.kubernetes.client.permissions import ROLE, RULES, missing
from launcher.backends.kubernetes.jobs.owner import owner_of, sign
from launcher.backends.kubernetes.jobs.preflight import preflight
from launcher.backends.kubernetes.jobs.submit import TAKEN_BACK, owned, placed
from launcher.backends.kubernetes.kind import KIND
from launcher.errors import AlreadyExists, FieldError, Forbidden, Interrupted, SpecError, nothing_sent, refuse
from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.runs.warm_start import check_warm_start
from launcher.schedules.cronline import CronLine
from launcher.schedules.find import is_ours, not_ours, time_of
from launcher.spec.next_commands import schedule_line
from launcher.spec.runspec import RunSpec
from launcher.spec.settings import Layered, spec_from
from launcher.spec.validation import HOST_NAME, LAST_ATTEMPT, name_limit
from launcher.spec.yaml_file import Setting
from trainer.errors import GantryError
from trainer.storage import open_store

CRONJOB_NAME = 52  # characters, as the controller adds 11
LONGEST_SUFFIX = "-20260102-030405"  # of the run of a firing that was triggered by hand
LEAST_STARTING_DEADLINE = 10  # seconds, between two looks of the controller
DEFAULTS = {"active_deadline_seconds": 86400, "ttl_seconds_after_finished": 7 * 86400}
"""What a firing has unless something else is said: an end, as one that cannot start never fails by itself,
and a week in which its Job can be asked what went wrong."""
_UNDO_PATIENCE = 20.0


class Created(NamedTuple):
    """A schedule that the cluster has taken over."""

    name: str
    namespace: str
    context: str
    objects: list[str]
    """As ``Kind/name``."""
    next: list[str]
    """When it fires next, in its zone; empty when it was created suspended."""


def schedule_spec(settings: Layered, name: str) -> RunSpec:
    """The checked specification of a schedule's firings, under the schedule's own name.

    Raises:
        UserError: a value is wrong, or the schedule is for this machine.
    """
    found, origin = dict(settings.settings), "argument NAME"
    if found["backend"].value != KIND.name:
        raise SpecError(
            "a schedule is the cluster's: expected --image NAME:TAG and --root gs://bucket/prefix; "
            "on this machine, your own cron can call `launcher submit`"
        )
    workers = found["workers"].value if "workers" in found else 1
    check_schedule_name(name, workers if isinstance(workers, int) else 1)
    defaults = {field: Setting(value, "built in") for field, value in DEFAULTS.items()}
    return spec_from(Layered({**defaults, **found, "name": Setting(name, origin)}))


def check_schedule_name(name: str, workers: int) -> None:
    """Refuse a name under which some run of the schedule could not have its workers' host names.

    Raises:
        FieldError: with the limit, and what it is made of.
    """
    limit = min(CRONJOB_NAME, name_limit(workers) - len(LONGEST_SUFFIX))
    if len(name) > limit:
        raise FieldError(
            "name",
            f"name '{name}' has {len(name)} characters: expected at most {limit} for a schedule, "
            f"{HOST_NAME} of a host name less '{LONGEST_SUFFIX}' of runs, '{LAST_ATTEMPT}' of their attempts "
            f"and '-{workers - 1}' of workers",
        )


def check_timing(timing: Timing) -> CronLine:
    """The cron line of a checked timing.

    Raises:
        FieldError: a value that Kubernetes would refuse, or that would never start a firing.
    """
    line = CronLine(timing.schedule, timing.time_zone)
    policies = ("Forbid", "Allow", "Replace")
    if timing.concurrency_policy not in policies:
        raise refuse("concurrency_policy", timing.concurrency_policy, f"one of {', '.join(policies)}")
    if timing.starting_deadline_seconds < LEAST_STARTING_DEADLINE:
        least = f"at least {LEAST_STARTING_DEADLINE}, as the controller looks every ten seconds only"
        raise refuse("starting_deadline", timing.starting_deadline_seconds, least)
    return line


def create(spec: RunSpec, timing: Timing) -> Created:
    """Create a schedule; returns when the cluster has all of it.

    Raises:
        SpecError: the name is taken, or the cluster refuses something; nothing was kept.
        UserError: a value is wrong, the bucket refuses us, or a permission is missing.
        ClusterLost: the API server went away; the text says whether something may be left there.
    """
    line = check_timing(timing)
    with nothing_sent():
        api, manifests = _prepared(spec, timing)
    try:
        _create_all(api, manifests, timing)
    except AlreadyExists as error:
        raise _in_the_way(api, error, spec.name) from error
    times = [] if timing.suspended else line.next(time_of(api), 1)
    return Created(
        spec.name, api.namespace, api.context, _names(manifests), [time.isoformat() for time in times]
    )


def dry_run(spec: RunSpec, timing: Timing) -> list[Object]:
    """Let the API server judge what would be created, and keep nothing; the manifests.

    Raises:
        UserError: it refuses something.
    """
    check_timing(timing)
    return _prepared(spec, timing)[1]


def _prepared(spec: RunSpec, timing: Timing) -> tuple[Api, list[Object]]:
    """What would be sent, judged by the cluster; bucket, permissions and a warm start are looked at too."""
    api = connect(spec.context, spec.namespace)
    spec = placed(spec, api)
    open_store(spec.path.experiment_url).check()
    check_warm_start(spec)
    manifests = render_schedule(spec, timing, Cluster(api.namespace, api.context, api.server))
    sign(manifests[0]["spec"]["jobTemplate"], owner_of(api))
    check_permissions(api)
    try:
        preflight(api, manifests, spec)
    except AlreadyExists as error:
        raise _in_the_way(api, error, spec.name) from error
    return api, manifests


def check_permissions(api: Api) -> None:
    """Refuse a user who may not do with CronJobs what the verbs here do.

    Raises:
        Forbidden: with every permission that is missing.
    """
    asked = [each for rule in RULES if rule.resource == "cronjobs" for each in rule.permissions]
    if lacking := missing(api, asked):
        raise Forbidden(
            f"namespace '{api.namespace}' of context '{api.context}': the user may not "
            f"{', '.join(map(str, lacking))}; {ROLE} grants it"
        )


def _create_all(api: Api, manifests: Sequence[Object], timing: Timing) -> None:
    first, name = manifests[0], str(manifests[0]["metadata"]["name"])
    try:
        cron = api.create({**first, "spec": {**first["spec"], "suspend": True}})
        for child in manifests[1:]:
            api.create(owned(child, cron))
        if not timing.suspended:
            api.patch("CronJob", cron, {"spec": {"suspend": False}})
    except BaseException as error:  # Ctrl-C too
        _take_back(api, name, error)
        raise


def _take_back(api: Api, name: str, error: BaseException) -> None:
    """Undo a creation through the same `Api`, however far it came."""
    try:
        api.transport.patience = _UNDO_PATIENCE
        found = api.get("CronJob", name)
        if found is not None and api.made(found):
            api.delete("CronJob", found)
    except (GantryError, KeyboardInterrupt) as failure:
        kind = Interrupted if isinstance(error, KeyboardInterrupt) else GantryError
        left = f"look at CronJob '{name}' in namespace '{api.namespace}'"
        undone = f"not all could be taken back ({failure or 'interrupted'}): {left}"
        raise kind(f"{str(error) or 'interrupted'}; {undone}") from error
    if isinstance(error, KeyboardInterrupt):
        raise Interrupted(TAKEN_BACK) from error


def _in_the_way(api: Api, error: AlreadyExists, name: str) -> GantryError:
    """What to do about an object that has a name which the schedule needs."""
    taken, resource = str(error.details.get("name")), str(error.details.get("kind"))
    cron = api.get("CronJob", name)
    if cron is not None and is_ours(cron):
        where = {"context": api.context, "namespace": api.namespace}
        return SpecError(
            f"name '{name}' is taken: namespace '{api.namespace}' has a schedule of that name; change it "
            f"with `{schedule_line('update', name, **where)}`, remove it with "
            f"`{schedule_line('delete', name, **where)}`, or choose another"
        )
    if cron is not None:
        return not_ours(api, name, cron)
    return SpecError(
        f"name '{name}': namespace '{api.namespace}' has another '{taken}' among its {resource}; choose "
        "another name"
    )


def _names(manifests: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in manifests]
