"""What is known of a submission before anything is kept: permissions, version, the server's judgement."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from launcher.backends.kubernetes.api import Api
from launcher.backends.kubernetes.kinds import kind_of
from launcher.backends.kubernetes.rejections import ROLE
from launcher.errors import AlreadyExists, ApiRejected, Forbidden, SpecError, Unsupported

OLDEST = (1, 31)
_THREADS = 16


class Permission(NamedTuple):
    """A verb on a resource of an API group."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


# What a submission and the commands that follow a run need; the children's are added to it.
_NEEDED = (
    *(Permission(verb, "batch", "jobs") for verb in ("create", "get", "list", "watch", "patch", "delete")),
    *(Permission(verb, "", "pods") for verb in ("list", "watch")),
    Permission("get", "", "pods/log"),
    Permission("list", "", "events"),
)


def preflight(api: Api, manifests: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what the cluster would refuse, while there is nothing to take back.

    Raises:
        Unsupported: the cluster is too old.
        Forbidden: with every permission that is missing.
        NamespaceMissing, AlreadyExists: the Job's name is taken.
        SpecError: the server does not accept a manifest.
    """
    check_version(api.read("/version"))
    with ThreadPoolExecutor(_THREADS) as pool:
        judged = [pool.submit(_dry_run, api, manifest) for manifest in manifests]
        missing = sorted(_missing(api, needed(manifests), pool.map))
        if missing:
            raise Forbidden(
                f"namespace '{api.namespace}' of context '{api.context}': the user may not "
                f"{', '.join(map(str, missing))}; {ROLE} grants it"
            )
        for each in judged:
            each.result()


def check_version(version: Mapping[str, Any]) -> None:
    """Refuse a cluster whose Jobs cannot do what a run needs.

    Raises:
        Unsupported: it is older than 1.31.
    """
    numbers = tuple(int(re.sub(r"\D.*", "", str(version.get(key))) or 0) for key in ("major", "minor"))
    if numbers < OLDEST:
        raise Unsupported(
            f"the cluster runs Kubernetes {version.get('gitVersion')}: expected 1.31 or newer, "
            "whose Jobs have podFailurePolicy and podReplacementPolicy"
        )


def needed(manifests: Iterable[Mapping[str, Any]]) -> list[Permission]:
    """Permissions that submitting some manifests and following the run needs."""
    kinds = {kind_of(manifest["kind"], manifest["apiVersion"]) for manifest in manifests}
    made = {Permission("create", kind.group, kind.plural) for kind in kinds}
    return [*_NEEDED, *sorted(made - set(_NEEDED))]


def _missing(
    api: Api, permissions: Sequence[Permission], each: Callable[..., Iterator[bool]]
) -> list[Permission]:
    allowed = each(lambda permission: _allowed(api, permission), permissions)
    return [permission for permission, yes in zip(permissions, allowed, strict=True) if not yes]


def _allowed(api: Api, permission: Permission) -> bool:
    resource, _, below = permission.resource.partition("/")
    asked = {
        "namespace": api.namespace,
        "verb": permission.verb,
        "group": permission.group,
        "resource": resource,
        **({"subresource": below} if below else {}),
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    return bool(api.create(review)["status"].get("allowed"))


def _dry_run(api: Api, manifest: Mapping[str, Any]) -> None:
    try:
        api.create(manifest, dry_run=True)
    except AlreadyExists:
        raise
    except ApiRejected as error:
        name = f"{manifest['kind']} '{manifest['metadata']['name']}'"
        raise SpecError(f"{name}: the cluster refuses it: {error}") from error
