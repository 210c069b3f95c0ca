"""What is known of a submission before anything is kept: permissions, version, the server's judgement."""

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.client.kinds import kind_of
from launcher.backends.kubernetes.client.permissions import ROLE, Permission, always_needed, missing
from launcher.backends.kubernetes.jobs.judgement import check_pods
from launcher.errors import AlreadyExists, ApiRejected, Forbidden, SpecError, Unsupported
from launcher.spec.runspec import RunSpec

OLDEST = (1, 31)
_THREADS = 16


def preflight(api: Api, manifests: Sequence[Mapping[str, Any]], spec: RunSpec) -> None:
    """Refuse what the cluster would refuse, while there is nothing to take back; the rest is noted on stderr.

    Raises:
        Unsupported: the cluster is too old.
        Forbidden: with every permission that is missing.
        NamespaceMissing, AlreadyExists: the Job's name is taken.
        SpecError: the server does not accept a manifest, or would let no pod of it be made.
    """
    check_version(api.read("/version"))
    with ThreadPoolExecutor(_THREADS) as pool:
        judged = [pool.submit(_dry_run, api, manifest) for manifest in manifests]
        pods = pool.submit(check_pods, api, manifests, spec)
        lacking = sorted(missing(api, needed(manifests)))
        if lacking:
            raise Forbidden(
                f"namespace '{api.namespace}' of context '{api.context}': the user may not "
                f"{', '.join(map(str, lacking))}; {ROLE} grants it"
            )
        for each in judged:
            each.result()
        for text in pods.result():
            api.transport.note(f"note: {text}")


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
    always = always_needed()
    made = {Permission("create", kind.group, kind.plural) for kind in kinds}
    return [*always, *sorted(made - set(always))]


def _dry_run(api: Api, manifest: Mapping[str, Any]) -> None:
    try:
        api.create(manifest, dry_run=True)
    except AlreadyExists:
        raise
    except ApiRejected as error:
        name = f"{manifest['kind']} '{manifest['metadata']['name']}'"
        raise SpecError(f"{name}: the cluster refuses it: {error}") from error
