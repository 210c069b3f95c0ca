"""What the two pods of ``launcher doctor --deep`` have found, as lines of a report; pure functions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from launcher.diagnosis.doctor import probe
from launcher.diagnosis.doctor.base import FAIL, OK, WARN, Result, Subject
from launcher.diagnosis.doctor.storage import results as storage_results

PODS = 2
_IMAGE_FIX = "push the image where the cluster pulls from, or give its nodes the right to pull it"
_DNS_FIX = "look at the cluster's DNS: kubectl get pods -n kube-system -l k8s-app=kube-dns"
_NETWORK_FIX = (
    "a NetworkPolicy of the namespace may forbid it; --profile network-policy brings one that does not"
)
_BUCKET_FIX = "give the pods an account: --service-account or --google-service-account (docs/kubernetes.md)"
_END_FIX = (
    "give --timeout more; keep foreign containers away from the pods, by a label or an annotation "
    "(docs/kubernetes.md)"
)

Steps = list[tuple[str, str]]
"""What a pod printed: what it tried and what was wrong, which is empty when nothing was."""


@dataclass(frozen=True)
class Probed:
    """What became of the pods."""

    told: dict[int, Steps]
    """By index, of those that ran."""
    troubles: list[str]
    """Why the others did not."""
    unfinished: list[str]
    """Of those that ran and did not come to their end: how far they came, and what is known of why."""
    seconds: float
    late: bool
    """Whether all had not ended when there was no more time."""


def results(subject: Subject, found: Probed) -> Iterator[Result]:
    """What the pods found, a line for each thing; what they did not come to is no line that is well."""
    if found.troubles:
        yield Result("image", FAIL, "; ".join(found.troubles), _IMAGE_FIX)
    elif len(found.told) < PODS:
        started = f"{len(found.told)} of {PODS} pods started within {found.seconds:.0f} s"
        yield Result("image", FAIL, started, "give --timeout more")
    else:
        text = f"'{subject.image}' pulled and started by {PODS} pods, {found.seconds:.0f} s in all"
        yield Result("image", OK, text)
    if not found.told:
        return
    if found.unfinished:
        after = f" within {found.seconds:.0f} s" if found.late else ""
        text = f"the pods did not come to their end{after}: {'; '.join(found.unfinished)}"
        yield Result("pods", FAIL, text, _END_FIX)
    yield _of_pods(found.told, "dns", "names of pods are resolved through the headless Service", _DNS_FIX)
    yield _of_pods(found.told, "network", "pods reach each other", _NETWORK_FIX)
    for index, steps in sorted(found.told.items()):
        if said := dict(steps).get("probe"):
            text = f"the probe did not run in the image of pod {index}: {said}"
            yield Result("pod", FAIL, text, "use an image of this version")
    yield from _bucket(subject, found.told.get(0, []))


def _of_pods(told: Mapping[int, Steps], step: str, good: str, fix: str) -> Result:
    """What all pods say of one step; a pod that does not speak of it did not come so far."""
    said = [dict(told.get(index, ())).get(step) for index in range(PODS)]
    check = f"pod {step}"
    if wrong := [text for text in said if text]:
        return Result(check, FAIL, wrong[0], fix)
    if None in said:
        return Result(check, FAIL, f"not known: pod {said.index(None)} did not come so far", fix)
    return Result(check, OK, good)


def _bucket(subject: Subject, steps: Steps) -> Iterator[Result]:
    """What pod 0 says of the bucket; a step of which it says nothing was not come to."""
    if not subject.bucket:
        text = f"root is {subject.root}, which pods cannot reach"
        yield Result("pod bucket", WARN, text, "give --root gs://…")
        return
    found = [(step.removeprefix("bucket "), said) for step, said in steps if step.startswith("bucket ")]
    yield from storage_results("pod bucket", found, subject.root, lambda _: _BUCKET_FIX)
    unsaid = [step for step in probe.STEPS if step not in dict(found)]
    if unsaid and not any(said for step, said in found if step != "clock"):
        text = f"not known: pod 0 did not come to {', '.join(unsaid)} in {subject.root}"
        yield Result("pod bucket", FAIL, text, _BUCKET_FIX)
