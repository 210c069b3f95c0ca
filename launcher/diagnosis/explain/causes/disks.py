"""Disks that are full or read-only, and files of which no more may be open."""

import re

from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.causes.words import evidence, find
from launcher.diagnosis.explain.evidence import from_field
from launcher.diagnosis.explain.facts import Facts, Object
from launcher.diagnosis.explain.fix import Fix
from launcher.records.states import INTERRUPTED
from launcher.render.labels import CONTAINER
from launcher.spec.kinds import is_here
from trainer.errors import DiskFull, DiskReadOnly, Exhausted

_MANY_FILES = "4096"  # a run opens some hundreds


def disk_full(facts: Facts) -> Finding | None:
    """No space is left where checkpoints are made, or where the run lies."""
    said = find(facts, r"(?i)(.*)(?:no space left on device|disk quota exceeded|file too large)")
    root = facts.status.root
    if not said:
        if not _unsaid(facts, DiskFull):
            return None
        sentence = f"the disk of {root} is full, and there was no room to write down how the run ended"
        return Finding(sentence, _shown(facts), _room(facts, root))
    place = re.search(r"(?<![\w.])(/[^\s:(;]*)/", said.match[1])
    where = place[1] if place and not _is_below(place[1], root) else root
    volume = _volume(facts, where)
    if volume is None:
        sentence = f"no space is left in {where}, where {said.who} writes"
        return Finding(sentence, evidence(facts, said), _room(facts, where))
    pod, name, limit = volume
    size = f"volume '{name}' of {limit}" if limit else f"volume '{name}', on the disk of node '{_node(pod)}'"
    seen = evidence(
        facts, said, from_field(pod, "Pod", f"spec.volumes[{name}]", limit or "emptyDir, no limit")
    )
    look = facts.wide("describe node", _node(pod))
    sentence = f"no space is left in {where}, where {said.who} writes its checkpoint: {size}"
    if not limit:
        return Finding(sentence, seen, look.then(restart.resume(facts)))
    base = facts.spec.get("manifests")
    larger = restart.submit(facts, manifests="DIR").noting(
        f"a copy of {base or 'k8s/'} in which the volume '{name}' has a larger sizeLimit"
    )
    return Finding(f"{sentence}, whose sizeLimit is in --manifests", seen, larger)


def disk_read_only(facts: Facts) -> Finding | None:
    """A disk, of this machine as a rule, was made read-only while it was written to."""
    said = find(facts, r"(?i)(.*?):? read-only file system")
    look = Fix.of("findmnt", "--target", facts.status.root).then(restart.resume(facts))
    fix = look.noting("when it can be written to again")
    if said:
        why = (
            "cannot be written to any more: the disk was made read-only, as a kernel does with one that fails"
        )
        return Finding(f"{said.match[1]} {why}", evidence(facts, said), fix)
    if not _unsaid(facts, DiskReadOnly):
        return None
    sentence = (
        f"the disk of {facts.status.root} is read-only, so that nobody could write down how the run ended"
    )
    return Finding(sentence, _shown(facts), fix)


def too_many_files(facts: Facts) -> Finding | None:
    """The process, or the machine, has as many files open as it may."""
    said = find(facts, r"(?i)too many open files( in system)?(?: \(this process may have (\d+))?")
    if not said:
        return None
    limit = f": it may have {said.match[2]} open" if said.match[2] else ""
    fix = restart.resume(facts)
    if said.match[1]:
        fix = Fix.of("sysctl", "fs.file-nr").then(fix).noting("when fs.file-max, the last number, is larger")
    elif is_here(facts.status.backend):
        more = Fix.of("ulimit", "-n", _MANY_FILES)
        fix = more.then(fix).noting("where that is not permitted, whoever runs the machine raises it")
    return Finding(f"{said.who} ran out of open files{limit}", evidence(facts, said), fix)


def _unsaid(facts: Facts, kind: type[Exhausted]) -> bool:
    """Whether a run was cut off without a word on a disk that shows now why there is none."""
    return isinstance(facts.disk, kind) and facts.status.state == INTERRUPTED


def _shown(facts: Facts) -> list[Evidence]:
    return [Evidence("local.json", "ended", "not written"), Evidence(facts.status.root, "", str(facts.disk))]


def _room(facts: Facts, place: str) -> Fix:
    return Fix.of("df", "-h", place).then(restart.resume(facts)).noting("when there is room again")


def _volume(facts: Facts, path: str) -> tuple[Object, str, str | None] | None:
    """The pod's volume that a path is on: pod, name and its size limit."""
    for _, pod in facts.newest:
        spec = pod.get("spec") or {}
        sizes = {
            each["name"]: (each.get("emptyDir") or {}).get("sizeLimit") for each in spec.get("volumes") or []
        }
        for container in spec.get("containers") or []:
            mounts = {each["mountPath"]: each["name"] for each in container.get("volumeMounts") or []}
            above = [folder for folder in mounts if _is_below(path, folder)]
            if container.get("name") == CONTAINER and above:
                name = mounts[max(above, key=len)]
                return pod, name, sizes.get(name)
    return None


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _node(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName"))


DISKS = (
    Cause(
        "disk-full",
        "No space left",
        "Exit code 1: no space left on device, in the scratch folder of a pod or where a local run lies",
        "Free some, or a larger volume; a resumed run goes on from the newest checkpoint",
        disk_full,
    ),
    Cause(
        "disk-read-only",
        "A disk that was made read-only",
        "Exit code 1: read-only file system",
        "Check it and mount it for writing again; a resumed run goes on from the newest checkpoint",
        disk_read_only,
    ),
    Cause(
        "too-many-files",
        "Too many open files",
        "Exit code 1: too many open files, and how many the process may have",
        "Raise the limit (`ulimit -n`, fs.file-max); a resumed run goes on from the newest checkpoint",
        too_many_files,
    ),
)  # fmt: skip
