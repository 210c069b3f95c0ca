"""Runs that nobody lets go on: queued, stopped, suspended by hand, or whose Job was deleted."""

from launcher.backends.kubernetes.status.jobs import held_to, is_suspended, workers_of
from launcher.backends.kubernetes.status.wording import one_line
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.evidence import from_condition, from_field, from_status, utc
from launcher.diagnosis.explain.facts import KUEUE, NAMESPACE, Facts, Object, object_name
from launcher.records.states import FINISHED, INTERRUPTED, PENDING, STOPPED, UNKNOWN
from launcher.render.labels import CANCELLED, annotation, queue_of
from launcher.spec.kinds import has_pods


def queued(facts: Facts) -> Finding | None:
    """A Job that waits until Kueue lets it begin."""
    job = facts.job
    if job is None or facts.verdict or not is_suspended(job) or not (queue := queue_of(job)):
        return None
    sentence = f"{facts.name} waits in queue '{queue}'"
    seen = [from_field(job, "Job", "metadata.labels[kueue.x-k8s.io/queue-name]", queue)]
    if not facts.others.get(KUEUE):
        if KUEUE in facts.others:
            sentence += ", and the cluster has no Kueue that could let it begin"
        return Finding(sentence, (*seen, *_suspended(job)), facts.command("cancel"))
    if position := _position(facts):
        sentence += f", at position {position.text}"
    workload = next((found for found in facts.others.values() if found.get("kind") == "Workload"), None)
    if workload is None:
        sentence += ", of which Kueue has made no Workload: its LocalQueue may not exist"
        return Finding(sentence, (*seen, *_suspended(job)), facts.kubectl("get localqueues"))
    told = [from_condition(workload, "", kind) for kind in ("QuotaReserved", "Admitted", "Evicted")]
    why = [each for each in told if each is not None]
    if why:
        sentence += f": {why[0].text.partition(': ')[2] or why[0].text}"
    fix = facts.kubectl("describe workload", str(workload["metadata"]["name"]))
    evidence = [*why, *([position] if position else []), *seen]
    return Finding(sentence, evidence, fix)


def _position(facts: Facts) -> Evidence | None:
    """Place in the queue, from Kueue's visibility API; counted from 1 for a person."""
    for found in facts.others.values():
        if found.get("kind") == "PendingWorkload" and "positionInLocalQueue" in found:
            place = int(found["positionInLocalQueue"]) + 1
            return from_field(found, "PendingWorkload", "positionInLocalQueue", place)
    return None


def _suspended(job: Object) -> list[Evidence]:
    found = from_condition(job, "Job", "Suspended")
    return [found] if found else [from_field(job, "Job", "spec.suspend", "true")]


def half_submitted(facts: Facts) -> Finding | None:
    """A Job that was made and never let go, as its `submit` was cut off."""
    job = facts.job
    if job is None or facts.status.state != INTERRUPTED or facts.verdict or not is_suspended(job):
        return None
    sentence = (
        f"the submission of {facts.name} was cut off: its Job was made, suspended as every one is at first, "
        "and never let go, and what belongs to it may be missing"
    )
    who = _setter(job)
    return Finding(sentence, [*_suspended(job), *([who] if who else [])], facts.command("resume"))


def too_few(facts: Facts) -> Finding | None:
    """A Job that may have fewer pods at a time than it has workers."""
    job = facts.job
    if job is None or facts.status.state != PENDING or (most := held_to(job)) is None:
        return None
    count = workers_of(job)
    by = f" by {who.field.partition(' ')[2]}" if (who := _setter(job, "parallelism")) else ""
    sentence = (
        f"spec.parallelism of the Job of {facts.name} was set to {most}{by}, and its {count} workers train "
        "together or not at all"
    )
    seen = [from_field(job, "Job", "spec.parallelism", most), *([who] if who else [])]
    seen.append(from_field(job, "Job", "spec.completions", count))
    patch = f'{{"spec":{{"parallelism":{count}}}}}'
    fix = facts.kubectl("patch", "job", str(job["metadata"]["name"]), "--type=merge", "-p", patch)
    return Finding(sentence, seen, fix)


def by_hand(facts: Facts) -> Finding | None:
    """A Job that somebody suspended without this launcher."""
    job = facts.job
    waits = job is not None and not facts.verdict and is_suspended(job) and facts.status.state == STOPPED
    if job is None or not waits or annotation(job, CANCELLED):
        return None
    who = _setter(job)
    by = f" with {who.field.partition(' ')[2]}" if who else ""
    sentence = (
        f"{facts.name} is suspended: somebody set its Job's spec.suspend{by}, and not `launcher cancel`"
    )
    return Finding(sentence, [*_suspended(job), *([who] if who else [])], facts.command("resume"))


def _setter(job: Object, field: str = "suspend") -> Evidence | None:
    """Which program wrote a field of the spec last, as the API server keeps record of it."""
    owners = [
        entry
        for entry in job["metadata"].get("managedFields") or []
        if f"f:{field}" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    if not owners:
        return None
    last = max(owners, key=lambda entry: str(entry.get("time")))
    name = str(last.get("manager"))
    about = f"Job/{job['metadata']['name']}"
    return Evidence(about, f"managedFields {name}", f"owns spec.{field}", utc(last.get("time")))


def replaced(facts: Facts) -> Finding | None:
    """A schedule's firing whose Job the CronJob controller deleted for the next one."""
    now = facts.status
    if now.replaced_by is None:
        return None
    saved = "nothing is saved" if now.checkpoint_step is None else f"saved at step {now.checkpoint_step}"
    schedule = str(now.job).rpartition("-")[0]
    sentence = (
        f"{facts.name} was stopped by the CronJob controller, which replaced it by firing "
        f"'{now.replaced_by}' as concurrencyPolicy is Replace, {saved}"
    )
    policy = Evidence(f"CronJob/{schedule}", "spec.concurrencyPolicy", "Replace")
    gone = Evidence(f"Job/{now.job}", "", f"is gone from namespace '{facts.namespace}'")
    word = from_status(facts, "state")
    return Finding(sentence, [policy, gone, *([word] if word else [])], facts.command("resume"))


def cancelled(facts: Facts) -> Finding | None:
    """A run that was asked to stop."""
    now = facts.status
    if now.state != STOPPED or _was_deleted(facts):
        return None
    when = None if facts.job is None else annotation(facts.job, CANCELLED)
    how = "was asked to stop and did"
    if facts.job is None and facts.cancelled is False and has_pods(now.backend):
        how = "was told to stop and did, by whom nobody knows, as its Job cannot be seen"
    sentence = f"{facts.name} {how}, {_saved(facts)}"
    seen = []
    if facts.job is not None and when:
        field = f"metadata.annotations[{CANCELLED}]"
        seen.append(Evidence(object_name(facts.job, "Job"), field, one_line(when), utc(when)))
    word = from_status(facts, "state")
    return Finding(sentence, [*seen, *([word] if word else [])], facts.command("resume"))


def job_gone(facts: Facts) -> Finding | None:
    """A Job that was deleted under a run that had not finished."""
    now = facts.status
    if not _was_deleted(facts) and (now.state not in (INTERRUPTED, UNKNOWN) or not _is_gone(facts)):
        return None
    at = "before its first step" if now.step is None else f"at step {now.step}"
    sentence = (
        f"{facts.name} was cut off {at}: its Job '{now.job}' is gone from namespace '{facts.namespace}'"
    )
    if now.state == STOPPED:
        sentence = (
            f"{facts.name} was told to stop, {_saved(facts)}, and not by `launcher cancel`: its Job "
            f"'{now.job}' is gone from namespace '{facts.namespace}'"
        )
    words = [from_status(facts, "state"), from_status(facts, "step")]
    return Finding(sentence, [word for word in words if word], facts.command("resume"))


def _saved(facts: Facts) -> str:
    step = facts.status.checkpoint_step
    return "nothing is saved" if step is None else f"saved at step {step}"


def _is_gone(facts: Facts) -> bool:
    """Whether somebody looked for the run's Job in the cluster, and there is none."""
    unseen = any("cluster" in text.partition(":")[0] for text in facts.unasked)
    return facts.job is None and has_pods(facts.status.backend) and not unseen


def _was_deleted(facts: Facts) -> bool:
    """Whether pods were told to stop because their Job was deleted, and by nobody who cancelled the run."""
    return facts.status.state == STOPPED and facts.cancelled is False and _is_gone(facts)


def namespace_gone(facts: Facts) -> Finding | None:
    """A namespace that is gone or goes, and all of a run's objects with it."""
    space = facts.others.get(NAMESPACE + facts.namespace)
    if space is None or facts.status.state == FINISHED:
        return None
    going = bool(space) and "deletionTimestamp" in space["metadata"]
    if space and not going:
        return None
    what = "is being deleted" if going else "is gone"
    sentence = f"namespace '{facts.namespace}' {what}, and {facts.name} with it, {_saved(facts)}"
    if facts.cancelled:  # before that
        stopped = f"{facts.name} was asked to stop and did, {_saved(facts)}"
        sentence = f"{stopped}; its namespace '{facts.namespace}' {what}"
    seen = Evidence(
        f"{NAMESPACE}{facts.namespace}", "metadata.deletionTimestamp" if going else "", "not found"
    )
    if going:
        seen = from_field(space, "Namespace", seen.field, space["metadata"]["deletionTimestamp"])
    fix = facts.wide("create namespace", facts.namespace).then(facts.command("resume"))
    if going:
        wait = facts.wide("wait", "--for=delete", f"namespace/{facts.namespace}", "--timeout=10m")
        fix = wait.then(fix)
    return Finding(sentence, [seen], fix.noting("the Secrets, Roles and accounts that it held are gone too"))


WAITING = (
    Cause(
        "namespace-gone",
        "The namespace was deleted",
        "The run's Job is gone, and its namespace is gone or has a deletionTimestamp",
        "Make the namespace again with what it held, and `launcher resume RUN`, or resume with `-n ANOTHER`",
        namespace_gone,
    ),
    Cause(
        "queued",
        "Kueue has not admitted the run",
        "The Job is suspended and has a label `kueue.x-k8s.io/queue-name`; QuotaReserved of its Workload is "
        "False",
        "Wait, ask for less, or look at the queue (`kubectl describe workload`)",
        queued,
    ),
    Cause(
        "half-submitted",
        "The submission was cut off",
        "The Job is suspended since it was made, and was never let go: the launcher was killed before that",
        "`launcher resume RUN` submits it anew, whole",
        half_submitted,
    ),
    Cause(
        "suspended",
        "Somebody suspended the Job",
        "`spec.suspend` is true without the launcher's mark of a cancel",
        "`launcher resume RUN`",
        by_hand,
    ),
    Cause(
        "replaced",
        "The schedule's next firing took the run's place",
        "`concurrencyPolicy` of the CronJob is Replace, the Job is gone, and the run had not ended when the "
        "next firing was due",
        "`launcher resume RUN` goes on with it; `launcher cron update NAME --concurrency-policy Forbid` lets "
        "firings end",
        replaced,
    ),
    Cause(
        "cancelled",
        "The run was asked to stop",
        "`launcher cancel`, or Ctrl-C of a local run: its workers saved and left",
        "`launcher resume RUN`",
        cancelled,
    ),
    Cause(
        "job-gone",
        "The Job was deleted before the run had finished",
        "`status.json` says that it trains, or stopped uncancelled, and the cluster has no such Job",
        "`launcher resume RUN` goes on from the newest checkpoint",
        job_gone,
    ),
)


TOO_FEW = Cause(
    "too-few-pods",
    "The Job may have fewer pods than the run has workers",
    "`spec.parallelism` is less than `spec.completions`: somebody changed it",
    "Set it back with `kubectl patch job`; another number of workers is `launcher cancel` and "
    "`launcher resume --workers`",
    too_few,
)
