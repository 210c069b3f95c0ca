"""A namespace's quota that lets a pod not in: what it has, who uses it, and how much of the run it takes."""

import re
from decimal import Decimal
from typing import NamedTuple

from launcher.backends.kubernetes.capacity.requests import GPU, Amounts, amounts, shown
from launcher.backends.kubernetes.capacity.room import even, fitting, used_by
from launcher.backends.kubernetes.status.jobs import workers_of
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes.needs import at_least, batch_of, in_mib
from launcher.diagnosis.explain.causes.refusals import refusal
from launcher.diagnosis.explain.causes.restart import resume, submit
from launcher.diagnosis.explain.evidence import from_field
from launcher.diagnosis.explain.facts import Facts
from launcher.diagnosis.explain.fix import Fix

_AND_OTHERS = "what others use; the Job tries again by itself when there is room"
_AMOUNTS = re.compile(r"([\w./-]+)=([^,\s]+)")


def quota(facts: Facts) -> Finding | None:
    """A ResourceQuota that has no room for a worker, or that wants more said of it."""
    if found := refusal(facts, r"failed quota: ([^:]+): must specify (.+)"):
        name, what = found.match.groups()
        sentence = f"quota '{name}' of namespace '{facts.namespace}' wants pods to say {what}"
        fix = submit(facts, manifests="DIR").noting("a copy of k8s/ whose job.yaml says it")
        return Finding(sentence, (found.evidence, *_quota(facts, name)), fix)
    if not (found := refusal(facts, r"exceeded quota: ([^,]+), requested: (.+), used: (.+), limited: (.+)")):
        return None
    name, *texts = found.match.groups()
    asked, used, limit = (amounts(dict(_AMOUNTS.findall(text))) for text in texts)
    share = Share(asked, used, limit, used_by(facts.pods))
    sentence = (
        f"quota '{name}' of namespace '{facts.namespace}' has no room: {share.told(len(facts.workers))}"
    )
    return Finding(sentence, (found.evidence, *_quota(facts, name)), _into(facts, name, share))


class Share(NamedTuple):
    """What a quota says when it lets a pod not in, by resource, and what the run's own pods take of it."""

    asked: Amounts
    """By one worker."""
    used: Amounts
    limit: Amounts
    own: Amounts
    """By the run's own pods, of whatever quotas count."""

    def left(self, resource: str) -> Decimal:
        """What others leave to the run, its own pods included."""
        mine = min(self.own.get(resource, Decimal(0)), self.used.get(resource, Decimal(0)))
        return max(
            Decimal(0), self.limit.get(resource, Decimal(0)) - self.used.get(resource, Decimal(0)) + mine
        )

    def workers(self, most: int, *, empty: bool = False) -> int:
        """How many workers there is room for, others' use left out where `empty`."""
        room = self.limit if empty else {resource: self.left(resource) for resource in self.asked}
        return fitting(self.asked, room, most)

    def told(self, pods: int) -> str:
        """The sum in words, of a run that has so many pods."""
        return "; ".join(self._told(resource, amount, pods) for resource, amount in self.asked.items())

    def _told(self, resource: str, amount: Decimal, pods: int) -> str:
        used, limit = (amounts_.get(resource, Decimal(0)) for amounts_ in (self.used, self.limit))
        text = f"a worker asks for {shown(resource, amount)} of {resource}"
        text += f", and {shown(resource, used)} of {shown(resource, limit)} is used"
        mine = self.own.get(resource, Decimal(0))
        if not mine:
            return text
        others = max(Decimal(0), used - mine)
        who = f"by the run's own {pods} pods" if pods > 1 else "by the run's own pod"
        if not others:
            return f"{text}, all of it {who}"
        return (
            f"{text}, {shown(resource, min(mine, used))} of it {who} and {shown(resource, others)} by others"
        )


def _into(facts: Facts, name: str, share: Share) -> Fix:
    """The command that brings a run into a quota: fewer workers, smaller ones, or patience."""
    assert facts.job is not None
    workers = workers_of(facts.job)
    look = facts.kubectl("describe resourcequota", name)
    if share.workers(workers, empty=True) == workers:
        return look.noting(_AND_OTHERS)
    batch, gpus = batch_of(facts), int(facts.spec.get("gpus") or 0)
    for empty in (False, True):
        if batch and (count := even(share.workers(workers - 1, empty=empty), int(batch), gpus)):
            return resume(facts, "--workers", str(count))
    if less := _less(facts, share, workers):
        return submit(facts, **less)
    return look.noting("it is smaller than the run: have it raised")


def _less(facts: Facts, share: Share, workers: int) -> dict[str, str]:
    """Fields of the run with each worker's part of what is left; none where that is too little."""
    found = {}
    for resource in share.asked:
        plain = resource.removeprefix("requests.").removeprefix("limits.")
        part = share.left(resource) / workers
        if plain == "cpu" and (milli := int(part * 1000)):
            found["cpu"] = shown(plain, Decimal(milli) / 1000)
        elif plain == "memory" and at_least(facts, in_mib(part)) == in_mib(part):
            found["memory"] = in_mib(part)
        elif plain == GPU and int(part):
            found["gpus"] = str(int(part))
        else:
            return {}
    return found


def _quota(facts: Facts, name: str) -> list[Evidence]:
    """What a quota allows and what is used of it, where it may be read."""
    found = [
        each for each in facts.quotas if each["metadata"]["name"] == name and each["kind"] == "ResourceQuota"
    ]
    return [
        from_field(
            each,
            "ResourceQuota",
            f"status.{key}",
            ", ".join(f"{name} {value}" for name, value in values.items()),
        )
        for each in found
        for key in ("hard", "used")
        if (values := (each.get("status") or {}).get(key))
    ]


QUOTA = Cause(
    "quota",
    "The namespace's quota has no room",
    "FailedCreate of the Job with `exceeded quota` or `failed quota`",
    "Ask for less or for fewer workers, wait until other runs end, or have the quota raised",
    quota,
)
