"""Whether what a run's pods name is there: their service account, Secrets and ConfigMaps.

A pod waits for them for ever, and a submission may come before they do. So this is asked only where something
that runs would be stopped for the run that lacks them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.status.pods import variables
from launcher.errors import Forbidden, SpecError
from launcher.notes import note

_VARIABLES = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
_VOLUMES = {
    "secret": ("Secret", "secretName"),
    "configMap": ("ConfigMap", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}


def check_references(api: Api, manifests: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a Job whose pods would wait for an object; what may not be looked at is told on stderr.

    Raises:
        SpecError: an object that they name is not in the namespace.
    """
    own = {(each["kind"], each["metadata"]["name"]) for each in manifests}
    for kind, name in dict.fromkeys(named(manifests[0]["spec"]["template"])):
        if (kind, name) in own:
            continue
        try:
            there = api.exists(kind, name)
        except Forbidden as error:
            note(f"whether {kind} '{name}' is there was not looked at: {error}")
            continue
        if not there:
            raise SpecError(
                f"{kind} '{name}': namespace '{api.namespace}' has none of that name, and pods would wait "
                "for it for ever"
            )


def named(template: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of the objects that the pods of a template cannot begin without."""
    spec = template["spec"]
    if account := spec.get("serviceAccountName"):
        yield "ServiceAccount", str(account)
    for variable in variables(template):
        for key, kind in _VARIABLES.items():
            found = (variable.get("valueFrom") or {}).get(key)
            if found and not found.get("optional"):
                yield kind, str(found["name"])
    for volume in spec.get("volumes") or []:
        for key, (kind, field) in _VOLUMES.items():
            found = volume.get(key)
            if found and not found.get("optional"):
                yield kind, str(found[field])
