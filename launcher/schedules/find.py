"""The CronJobs that are this launcher's, by their exact names."""

import difflib
import shlex
from datetime import datetime
from typing import NamedTuple

from launcher.backends.kubernetes.client.api import Api, Object
from launcher.backends.kubernetes.client.login import IN_CLUSTER
from launcher.errors import NoSuchSchedule, SpecError, refuse
from launcher.render.labels import MANAGED, SCHEDULE, schedule_of
from launcher.runs.find import Place
from launcher.schedules.model import told
from launcher.spec.kubeconfig import current
from trainer.errors import GantryError
from trainer.run.layout import LABEL


class Found(NamedTuple):
    """A schedule and the cluster that has it."""

    api: Api
    cron: Object
    """The CronJob as the API server shows it."""

    @property
    def name(self) -> str:
        """The schedule's."""
        return str(self.cron["metadata"]["name"])

    @property
    def now(self) -> datetime:
        """The time by the cluster's clock, by which its schedules fire."""
        return time_of(self.api)


def time_of(api: Api) -> datetime:
    """The time by the clock of an API server that has answered: schedules fire by it, and not by ours.

    Raises:
        GantryError: its answers do not state the time.
    """
    if api.now is None:
        raise GantryError(
            f"the API server at {api.server} does not state its time: expected a Date in its answers"
        )
    return api.now


def cron_command(verb: str, found: Found, *more: str) -> str:
    """A command of ``launcher cron`` about a schedule, as it can be pasted."""
    api = found.api
    where = ["-n", api.namespace]
    standard = current(None)
    if api.context != IN_CLUSTER and (standard is None or standard.name != api.context):
        where += ["--context", api.context]
    return shlex.join(["launcher", "cron", verb, found.name, *more, *where])


def find(where: Place, name: str) -> Found:
    """The schedule of that very name.

    Raises:
        NoSuchSchedule: the namespace has none; the text names the nearest ones.
        SpecError: it has a CronJob of that name that is not this launcher's, or that could not be a name.
    """
    check_name(name)
    api = where.connect()
    cron = api.get("CronJob", name)
    if cron is None:
        raise NoSuchSchedule(f"no schedule '{name}' in namespace '{api.namespace}'{_nearest(api, name)}")
    if not is_ours(cron):
        raise not_ours(api, name, cron)
    return Found(api, cron)


def check_name(name: str) -> None:
    """Refuse what no object could be called.

    Raises:
        FieldError: it is no DNS label.
    """
    if not LABEL.fullmatch(name):
        raise refuse("name", name, "lower case letters, digits and dashes, at most 63")


def all_schedules(api: Api) -> list[Object]:
    """Every CronJob of the namespace that a launcher made, by name."""
    found = [cron for cron in api.list("CronJob", MANAGED)["items"] if is_ours(cron)]
    return sorted(found, key=lambda cron: str(cron["metadata"]["name"]))


def is_ours(cron: Object) -> bool:
    """Whether a CronJob is a schedule of this launcher's: `schedule` and who manages it are its labels."""
    labels = cron["metadata"].get("labels") or {}
    managed, _, value = MANAGED.partition("=")
    return labels.get(managed) == value and schedule_of(cron) == cron["metadata"]["name"]


def not_ours(api: Api, name: str, cron: Object) -> SpecError:
    """The refusal to touch somebody else's CronJob, with a way on where its pods call it a schedule."""
    text = (
        f"name '{name}': namespace '{api.namespace}' has a CronJob of that name which this launcher did not "
        f"make, as it lacks the label {MANAGED}; it is left alone"
    )
    found = Found(api, cron)
    if told(cron, "--schedule") != name or "://" not in told(cron, "--root"):
        return SpecError(text)
    words = ["kubectl", "-n", api.namespace, "label", "--overwrite", "cronjob", name]
    labels = shlex.join([*words, MANAGED, f"{SCHEDULE}={name}"])
    return SpecError(f"{text}; to take it over, say `{labels} && {cron_command('update', found)}`")


def _nearest(api: Api, name: str) -> str:
    names = [str(cron["metadata"]["name"]) for cron in all_schedules(api)]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if near:
        return f"; the nearest are {', '.join(near)}"
    return "; `launcher cron list` shows all" if names else ", which has none"
