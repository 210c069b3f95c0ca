"""What an API server's refusal means: its Status object as one of the launcher's errors."""

import json
import re
from collections.abc import Mapping
from typing import Any

from launcher.errors import (
    AlreadyExists,
    ApiRejected,
    Expired,
    Forbidden,
    NamespaceMissing,
    NotFound,
    NotLoggedIn,
    Transient,
)

ROLE = "docs/launcher-role.yaml"  # grants all that the launcher asks for
_BUSY = frozenset({429, 500, 502, 503, 504})
_CANNOT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]+)")?'
)


def rejection(code: int, body: bytes, context: str, after: str | None = None) -> Exception:
    """The error that an answer with a bad `code` stands for; `after` is its Retry-After header."""
    status = _status(body)
    reason = str(status.get("reason") or "")
    text = " ".join(str(status.get("message") or "").split()) or f"HTTP status {code}"
    found = status.get("details")
    details = found if isinstance(found, dict) else {}
    # Two writers met, at a quota's count say; a condition of ours that does not hold is another matter.
    met = code == 409 and reason == "Conflict" and "recondition" not in text
    if code in _BUSY or met:
        pause = float(after) if after and after.isdigit() else 0.0
        return Transient(f"status {code}, {text[:200]}", pause)
    if code == 401:
        return NotLoggedIn(
            f"context '{context}': the cluster does not accept its credentials, which may have expired; "
            "log in again"
        )
    if code == 410:
        return Expired(text)
    if code == 403 and (cannot := _CANNOT.search(text)):
        return _forbidden(cannot, context)
    if code == 403 and "blockOwnerDeletion" in text:  # where OwnerReferencesPermissionEnforcement is on
        return Forbidden(
            f"the user of context '{context}' may not update jobs/finalizers.batch; {ROLE} grants it"
        )
    if code == 404 and details.get("kind") == "namespaces":
        return _no_namespace(str(details.get("name")), context)
    kind = {"NotFound": NotFound, "AlreadyExists": AlreadyExists}.get(reason, ApiRejected)
    return kind(text, code, reason, details)


def _status(body: bytes) -> Mapping[str, Any]:
    """The Status object, or what a proxy said instead as if it were one."""
    try:
        status = json.loads(body)
    except ValueError:
        return {"message": re.sub(r"<[^>]*>", " ", body[:500].decode(errors="replace"))}
    return status if isinstance(status, dict) else {}


def _forbidden(found: re.Match[str], context: str) -> Exception:
    if found["user"] == "system:anonymous":
        return NotLoggedIn(f"context '{context}' has no credentials that the cluster knows; log in again")
    resource = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    where = f"in namespace '{found['namespace']}'" if found["namespace"] else f"in context '{context}'"
    return Forbidden(f"user '{found['user']}' may not {found['verb']} {resource} {where}; {ROLE} grants it")


def _no_namespace(name: str, context: str) -> Exception:
    return NamespaceMissing(
        f"namespace '{name}': the cluster of context '{context}' has none of that name; "
        "choose another with -n/--namespace"
    )
