"""Claims of storage that a pod mounts, and that no volume is bound to."""

import re

from launcher.diagnosis.explain.base import Cause, Finding
from launcher.diagnosis.explain.evidence import from_field
from launcher.diagnosis.explain.facts import Facts
from launcher.diagnosis.explain.placement import unplaced


def volume(facts: Facts) -> Finding | None:
    """A claim that is not there, or that no volume is bound to."""
    pod = unplaced(facts)
    if pod is None or not re.search(r"[Pp]ersistent[Vv]olume|volume node affinity", pod.message):
        return None
    absent = re.search(r'persistentvolumeclaim "([^"]+)" not found', pod.message)
    if absent:
        where = f"does not exist in namespace '{facts.namespace}'"
        sentence = f"worker {pod.worker}'s volume claim '{absent[1]}' {where}"
        return Finding(
            sentence,
            (pod.evidence,),
            facts.kubectl("apply -f CLAIM.yaml").noting("the run goes on by itself"),
        )
    claims = [found for found in facts.others.values() if found.get("kind") == "PersistentVolumeClaim"]
    unbound = [found for found in claims if (found.get("status") or {}).get("phase") != "Bound"]
    names = ", ".join(f"'{found['metadata']['name']}'" for found in unbound) or "that it mounts"
    classes = {str(found["spec"].get("storageClassName") or "") for found in unbound}
    told = "; ".join(
        f"storage class '{name}'" if name else "no storage class, so nothing makes a volume"
        for name in sorted(classes)
    )
    sentence = f"worker {pod.worker} waits for its volume: claim {names} is bound to none" + (
        f" ({told})" if told else ""
    )
    seen = [from_field(each, "", "status.phase", (each.get("status") or {}).get("phase")) for each in unbound]
    first = unbound[0]["metadata"]["name"] if unbound else ""
    return Finding(
        sentence, (pod.evidence, *seen), facts.kubectl("describe persistentvolumeclaim", str(first))
    )


VOLUMES = (
    Cause(
        "volume-unbound",
        "A volume is not there",
        "FailedScheduling says `unbound immediate PersistentVolumeClaims` or `persistentvolumeclaim … not "
        "found`",
        "Make the claim, or the volume or storage class that it waits for; the pod starts by itself",
        volume,
    ),
)
