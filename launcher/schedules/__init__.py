"""Scheduled retraining: a CronJob whose firings are runs of their own; ``launcher cron`` as functions.

`cronline` knows when a schedule fires, `finding` the CronJobs that are ours, `model` what one says. The verbs
return data: `creating`, `updating`, `controlling`, `triggering`, `overview` and `history`, which joins the
cluster's Jobs with the index in the bucket; `missed` tells why a firing is not there, `adopting` what a
schedule was asked for that does not say it any more.
"""

from launcher.schedules.controlling import delete, resume, suspend
from launcher.schedules.creating import create, dry_run, schedule_spec
from launcher.schedules.cronline import CronLine
from launcher.schedules.history import Firing, history
from launcher.schedules.overview import list_schedules, newest, next_times, show
from launcher.schedules.triggering import trigger
from launcher.schedules.updating import adoption, apply, diff, plan

__all__ = [
    "CronLine",
    "Firing",
    "adoption",
    "apply",
    "create",
    "delete",
    "diff",
    "dry_run",
    "history",
    "list_schedules",
    "newest",
    "next_times",
    "plan",
    "resume",
    "schedule_spec",
    "show",
    "suspend",
    "trigger",
]
