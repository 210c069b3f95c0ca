"""A bucket with the records of 10,000 runs: what it costs to list them, and a schedule's history."""

import time

from bench.buckets import EXPERIMENT, SCHEDULE, bucket, past
from bench.command import Report, timed
from bench.report import Goal, Section, table
from bench.setting import Setting
from trainer.run import index
from trainer.storage import open_store

_GOAL_SECONDS = 5.0


def history(setting: Setting) -> Section:
    """10,000 runs that have ended, in a bucket, and no cluster."""
    count = setting.amount(10_000, 500)
    with bucket(past(setting.scratch / "buckets", count)) as root:
        began = time.perf_counter()
        index.rebuild(open_store(f"{root}/{EXPERIMENT}"))
        rebuilt = time.perf_counter() - began
        # The cluster of an environment that has one would be asked for Jobs as well, and these have none.
        absent = {"KUBECONFIG": str(setting.scratch / "absent")}
        reports = {
            what: Report([timed(setting.scratch, argv, absent) for _ in range(setting.amount(5, 1))])
            for what, argv in _commands(root).items()
        }
    goals = [_goal(f"{what} over {count:,} runs in the bucket", each) for what, each in reports.items()]
    rows = [(what, *each.row()[:3]) for what, each in reports.items()]
    rows.append(("the index, written anew from all runs (`reindex`)", f"{rebuilt:.1f}", "-", "-"))
    text = (
        f"{count:,} runs that have ended, each with its run.json and result.json, in a bucket of "
        "fake-gcs-server, whose answers come from the same cores. A run that has ended is read from the "
        "index alone; the folders are listed to find runs that it lacks, in pages of 1,000."
    )
    head = ("command", "seconds", "processor seconds", "peak memory")
    return Section("A full bucket", text, goals, [table(head, rows)])


def _commands(root: str) -> dict[str, list[str]]:
    place = ["--root", root, "--experiment", EXPERIMENT]
    commands = {
        "`list`": ["list", *place],
        "`list --sort -d_loss --limit 10`": ["list", *place, "--sort", "-d_loss", "--limit", "10"],
        "`list -o json`": ["list", *place, "-o", "json"],
    }
    if _has_schedules():
        commands["`cron history`"] = ["cron", "history", SCHEDULE, "--root", root]
    return commands


def _has_schedules() -> bool:
    from launcher.cli import app

    return any(group.name == "cron" for group in app.registered_groups)


def _goal(what: str, report: Report) -> Goal:
    took = report.seconds.middle
    why = "The server's own time, and other work on the same cores."
    return Goal(what, f"{_GOAL_SECONDS:.0f} s", f"{took:.2f} s", took <= _GOAL_SECONDS, why)
