"""What Kueue writes into a Job when it admits it, which no submit sends and a difference is not about.

It is labels of its own on the pods, and what its ResourceFlavor says of nodes
(https://kueue.sigs.k8s.io/docs/concepts/resource_flavor/). The API server keeps record of who wrote which
field; of a field that was set by others before, what a submit would send is left.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_MANAGER = "kueue"
# Of a Job's template; see Kueue's PodSetInfo.
_FIELDS = (
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("spec", "nodeSelector"),
    ("spec", "tolerations"),
    ("spec", "schedulingGates"),
)


def leave_out(live: Mapping[str, Any], compared: dict[str, Any], sent: Mapping[str, Any]) -> None:
    """Take out of a Job what Kueue wrote into it.

    Args:
        live: The Job as the cluster has it.
        compared: The same without what a server adds; changed in place.
        sent: What a submit would send, without the same.
    """
    template, other = compared["spec"]["template"], sent["spec"]["template"]
    for owned in _owned(live):
        for part, name in _FIELDS:
            written = owned.get(f"f:{part}", {}).get(f"f:{name}")
            value = template.get(part, {}).get(name)
            if written is None or value is None:
                continue
            template[part][name] = _left(value, written, other.get(part, {}).get(name))
            if not template[part][name]:
                del template[part][name]


def _owned(live: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The fields of the template that Kueue wrote, as the API server spells them."""
    for entry in live["metadata"].get("managedFields") or []:
        if entry.get("manager") == _MANAGER:
            yield entry.get("fieldsV1", {}).get("f:spec", {}).get("f:template", {})


def _left(value: Any, written: Mapping[str, Any], sent: Any) -> Any:
    """What of a mapping or a list is sent too, or was written by others; `written` is empty for all of it."""
    if isinstance(value, list):
        return [each for each in value if each in (sent or [])]
    return {
        key: each
        for key, each in value.items()
        if key in (sent or {}) or (written and f"f:{key}" not in written)
    }
