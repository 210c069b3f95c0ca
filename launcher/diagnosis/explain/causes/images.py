"""Images: what a node says when it cannot fetch one, or cannot run what is in it.

containerd and CRI-O tell only in free text why a pull failed; the patterns are those of containerd 1.7 and 2,
CRI-O and the registries behind them. The order matters: an image that lacks the node's architecture is
"not found" as well.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from launcher.backends.kubernetes.status.wording import one_line
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes.restart import resume
from launcher.diagnosis.explain.evidence import from_container, from_event, from_log
from launcher.diagnosis.explain.facts import Facts, Object

_PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_ANOTHER_IMAGE = ("--image", "NAME:TAG")
_NO_PLATFORM = (
    r"no match(?:ing manifest)? for platform|no matching manifest for \S+/\S+|no image found in .*index"
)
_CANNOT_RUN = r"exec format error|exec user process caused"
_UNAUTHORIZED = (
    r"\b40[13] (?:Unauthorized|Forbidden)|unauthorized|authorization failed|authentication required"
    r"|access denied|insufficient_scope|no basic auth credentials|\bdenied\b|may require authorization"
)
_MISSING = (
    r"not found|NotFound|manifest unknown|name unknown|repository does not exist|pull policy of Never"
    r"|InvalidImageName"
)
_AWAY = (
    r"dial tcp|no such host|i/o timeout|connection refused|TLS handshake|x509:|\b50[0234] "
    r"|deadline exceeded|EOF"
)


class _Pull(NamedTuple):
    """A pull that failed."""

    worker: int
    image: str
    text: str
    evidence: tuple[Evidence, ...]


def _pulls(facts: Facts) -> Iterator[_Pull]:
    """Pulls that failed, of pods that wait for their image now."""
    for worker, pod, container in facts.containers():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if (pod.get("status") or {}).get("phase") != "Pending":
            continue
        failed = [
            event
            for event in facts.events_of("Failed", about=pod)
            if "Failed to pull" in str(event.get("message"))
        ]
        if waiting.get("reason") not in _PULLING and not failed:
            continue
        # Between two tries the state says ImagePullBackOff alone on older nodes; the event has the reason.
        event = failed[-1] if failed else None
        text = one_line(
            f"{waiting.get('reason')} {waiting.get('message')} {(event or {}).get('message') or ''}", 4000
        )
        seen = [from_container(pod, container), *([from_event(event)] if event else [])]
        yield _Pull(worker, str(container.get("image") or _image_of(pod)), text, tuple(seen))


def _image_of(pod: Object) -> str:
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    return str(containers[0].get("image"))


def _failed(facts: Facts, pattern: str) -> _Pull | None:
    return next((pull for pull in _pulls(facts) if re.search(pattern, pull.text)), None)


def wrong_architecture(facts: Facts) -> Finding | None:
    """An image for another kind of processor than the node's."""
    fix = resume(facts, *_ANOTHER_IMAGE)
    if pull := _failed(facts, _NO_PLATFORM):
        sentence = f"image '{pull.image}' has nothing for the architecture of worker {pull.worker}'s node"
        return Finding(sentence, pull.evidence, fix)
    for worker, pod, container in facts.containers():
        ended = (container.get("state") or {}).get("terminated") or {}
        if re.search(_CANNOT_RUN, str(ended.get("message"))):
            sentence = (
                f"image '{container.get('image')}' is for another architecture than worker {worker}'s node: "
                f"{one_line(ended.get('message'), 200)}"
            )
            return Finding(sentence, (from_container(pod, container),), fix)
    for line in facts.lines():
        if re.match(r"exec \S+: exec format error", line.text):
            sentence = f"worker {line.worker}'s image is for another architecture than its node"
            return Finding(sentence, (from_log(line),), fix)
    return None


def unauthorized(facts: Facts) -> Finding | None:
    """A registry that does not let the node have the image."""
    if not (pull := _failed(facts, _UNAUTHORIZED)):
        return None
    registry = _registry(pull.image)
    sentence = f"the registry '{registry}' does not let the cluster fetch image '{pull.image}'"
    if "does not exist or may require" in pull.text:
        sentence += ", or it does not exist there, which that registry does not tell apart"
    account = next(
        (str((pod.get("spec") or {}).get("serviceAccountName") or "default") for _, pod in facts.newest),
        "default",
    )
    login = facts.kubectl(
        "create secret docker-registry registry", f"--docker-server={registry}", "--docker-username=USER",
        "--docker-password=PASSWORD",
    )  # fmt: skip
    use = facts.kubectl("patch serviceaccount", account, "-p", '{"imagePullSecrets": [{"name": "registry"}]}')
    return Finding(sentence, pull.evidence, login.then(use).then(resume(facts)))


def missing(facts: Facts) -> Finding | None:
    """An image that is not in its registry, or not on the node where it may not be fetched."""
    if not (pull := _failed(facts, _MISSING)):
        return None
    if "pull policy of Never" in pull.text:
        where = f"is not on worker {pull.worker}'s node, and image_pull_policy Never forbids to fetch it"
        return Finding(f"image '{pull.image}' {where}", pull.evidence, resume(facts, *_ANOTHER_IMAGE))
    if "InvalidImageName" in pull.text:
        return Finding(
            f"'{pull.image}' is no name of an image", pull.evidence, resume(facts, *_ANOTHER_IMAGE)
        )
    known = f"the registry '{_registry(pull.image)}' knows no such name or tag"
    sentence = f"image '{pull.image}' does not exist: {known}"
    return Finding(sentence, pull.evidence, resume(facts, *_ANOTHER_IMAGE))


def registry_away(facts: Facts) -> Finding | None:
    """A registry that does not answer the node."""
    if not (pull := _failed(facts, _AWAY)):
        return None
    why = pull.text.rpartition('": ')[2][:200]
    sentence = (
        f"the registry '{_registry(pull.image)}' of image '{pull.image}' does not answer the cluster: {why}"
    )
    return Finding(sentence, pull.evidence, resume(facts, *_ANOTHER_IMAGE))


def _registry(image: str) -> str:
    """The host that an image's name begins with, as container runtimes read it."""
    host, slash, _ = image.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else "docker.io"


IMAGES = (
    Cause(
        "wrong-architecture",
        "The image is for another architecture",
        "The pull says `no match for platform in manifest`, or the container ends at once with "
        "`exec format error`",
        "Build the image for the nodes' architecture (`docker buildx build --platform linux/amd64`), push it "
        "under another tag and resume with `--image`",
        wrong_architecture,
    ),
    Cause(
        "image-unauthorized",
        "The registry wants a login",
        "ErrImagePull or ImagePullBackOff with 401, 403, `unauthorized` or `access denied`",
        "Give the pods' service account a pull secret, or the nodes' own account the right to read from it",
        unauthorized,
    ),
    Cause(
        "image-missing",
        "The image does not exist",
        "ErrImagePull or ImagePullBackOff with `not found`, ErrImageNeverPull, InvalidImageName",
        "Push the image, or resume with the name and tag of one that is there",
        missing,
    ),
    Cause(
        "registry-unreachable",
        "The registry does not answer",
        "ErrImagePull or ImagePullBackOff with `dial tcp`, `no such host`, a timeout or a certificate that "
        "is not trusted",
        "Mend the network between nodes and registry, or resume with an image from another one; the cluster "
        "tries again by itself",
        registry_away,
    ),
)
