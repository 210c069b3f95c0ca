"""Asking the cluster for the facts about a schedule and its firings."""

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.status.jobs import verdict
from launcher.backends.kubernetes.status.wording import event_time
from launcher.diagnosis.explain.base import Diagnosis
from launcher.diagnosis.explain.facts import Object
from launcher.diagnosis.explain.gathering import Asking, gather, other_context
from launcher.diagnosis.explain.judging import diagnose
from launcher.diagnosis.explain.schedule_facts import Firing, ScheduleFacts
from launcher.diagnosis.explain.target import located_by_job
from launcher.errors import NoSuchRun
from launcher.render.labels import MANAGED, PART_OF, of_schedule, run_of
from launcher.runs.find import Place
from launcher.schedules.find import time_of

_ACTIVE = 3  # firings that are looked at; with Allow there may be many


def gather_schedule(place: Place, name: str) -> ScheduleFacts:
    """All that is known of a schedule now.

    Raises:
        NoSuchRun: the namespace has none of that name that this launcher made.
        UserError: the cluster cannot be asked.
    """
    if not place.has_cluster:
        raise NoSuchRun(f"no schedule '{name}' either, as there is no kubeconfig")
    api = place.connect()
    cronjob = api.get("CronJob", name)
    if cronjob is None or not _is_ours(cronjob):
        raise NoSuchRun(f"no schedule '{name}' in namespace '{api.namespace}' either")
    asking = Asking()
    fields = f"involvedObject.kind=CronJob,involvedObject.name={name}"
    uid = cronjob["metadata"].get("uid")
    events = [
        each
        for each in asking.list(api, "Event", fields=fields)
        if (each.get("involvedObject") or {}).get("uid") == uid
    ]
    jobs = sorted(asking.list(api, "Job", of_schedule(name)), key=_created, reverse=True)
    looked = [index for index, job in enumerate(jobs) if verdict(job) is None][:_ACTIVE]
    firings = [
        Firing(job, run_of(job), _diagnosed(place, api, job, asking) if index in {0, *looked} else None)
        for index, job in enumerate(jobs)
    ]
    told, context = sorted(events, key=event_time), other_context(api)
    return ScheduleFacts(cronjob, firings, told, tuple(asking.unasked), context, time=time_of(api))


def experiment_of(cronjob: Object) -> str:
    """The experiment of a schedule's runs."""
    return str((cronjob["metadata"].get("labels") or {}).get(PART_OF) or "")


def _is_ours(found: Object) -> bool:
    key, _, value = MANAGED.partition("=")
    return (found["metadata"].get("labels") or {}).get(key) == value


def _created(found: Object) -> str:
    return str(found["metadata"].get("creationTimestamp") or "")


def _diagnosed(place: Place, api: Api, job: Object, asking: Asking) -> Diagnosis | None:
    """What is wrong with a firing; None where its Job does not say which run it is."""
    path = run_of(job)
    if path is None:
        return None
    return asking(path.name, lambda: diagnose(gather(*located_by_job(place, api, path, job))))
