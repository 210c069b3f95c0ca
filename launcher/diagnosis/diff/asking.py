"""The objects on both sides of a comparison, as one and the same API server shows them.

A new manifest is created under another name in a dry run: the server fills in its defaults, its webhooks have
their say, and nothing is kept. A patch of the live object would not do, because most of a Job cannot change.
"""

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.diagnosis.diff.objects import Difference, compare
from launcher.errors import ApiRejected, SpecError

Manifests = Sequence[Mapping[str, Any]]
_THREADS = 8


def against_cluster(api: Api, manifests: Manifests, before: Manifests = ()) -> Difference | None:
    """What creating `manifests` anew would change of the objects that have their names.

    `before` are manifests that may have been created earlier: those of them that `manifests` lacks count as
    to be removed where the cluster has them.

    Returns:
        None when the cluster has not the first object, which owns the others.

    Raises:
        SpecError: the cluster refuses a manifest.
        Forbidden: the user may not read an object.
    """
    names = {(each["kind"], each["metadata"]["name"]) for each in manifests}
    others = [each for each in before if (each["kind"], each["metadata"]["name"]) not in names]
    with ThreadPoolExecutor(_THREADS) as pool:
        asked = [pool.submit(_live, api, each) for each in (*manifests, *others)]
        filled = [pool.submit(_filled, api, each) for each in manifests]
        live = [each.result() for each in asked]
        if live[0] is None:
            return None
        new = [each.result() for each in filled]
    return compare([each for each in live if each is not None], new)


def _live(api: Api, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    return api.get(manifest["kind"], manifest["metadata"]["name"])


def _filled(api: Api, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with the server's defaults, under its own name again."""
    metadata = manifest["metadata"]
    other = {**manifest, "metadata": {**metadata, "name": f"diff-{secrets.token_hex(4)}"}}
    try:
        found = api.create(other, dry_run=True)
    except ApiRejected as error:
        raise SpecError(
            f"{manifest['kind']} '{metadata['name']}': the cluster would refuse it: {error}"
        ) from error
    return {**found, "metadata": {**found["metadata"], "name": metadata["name"]}}
