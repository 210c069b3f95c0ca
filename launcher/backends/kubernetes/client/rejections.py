"""What an API server's refusal means: its Status object as one of the launcher's errors."""

import json
import re
from collections.abc import Mapping
from typing import Any

from launcher.errors import (
    AlreadyExists,
    ApiFailed,
    ApiRejected,
    Expired,
    Forbidden,
    NamespaceMissing,
    NotFound,
    NotLoggedIn,
    Transient,
)

ROLE = "docs/launcher-role.yaml"  # grants all that the launcher asks for
_BUSY = frozenset({429, 502, 503, 504})
# The word of a webhook or of a pod's node, or that it has none: the API server is well, and can do no more.
_OTHERS = re.compile(r"calling webhook|call webhook|webhook (?:\"|for )|/containerLogs/|dialing backend")
# What passes when etcd has a leader again, or an API server has started or gone.
_PASSES = re.compile(
    r"etcdserver: (?!mvcc: database space exceeded|request is too large|permission denied|user |role |auth)"
    r"|leader changed|no leader|raft|timed out|timeout|context (?:deadline exceeded|canceled)|Unavailable"
    r"|connection (?:refused|reset)|transport is closing|not ready|shutting down|try again",
    re.IGNORECASE,
)
_CANNOT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]+)")?'
)


def rejection(code: int, body: bytes, context: str, after: str | None = None) -> Exception:
    """The error that an answer with a bad `code` stands for; `after` is its Retry-After header.

    `Transient` is what may pass within minutes: 429, 502, 503, 504, two writers that met, and of the 500s
    those of a control plane that starts, ends or changes its leader. Any other 500 is final, as that of an
    admission webhook that is broken.
    """
    status = _status(body)
    reason = str(status.get("reason") or "")
    text = " ".join(str(status.get("message") or "").split()) or f"HTTP status {code}"
    found = status.get("details")
    details = found if isinstance(found, dict) else {}
    # Two writers met, at a quota's count say; a condition of ours that does not hold is another matter.
    met = code == 409 and reason == "Conflict" and "recondition" not in text
    if met or _passes(code, reason, text):
        return Transient(f"status {code}, {text[:200]}", _pause(after, details), code)
    if code == 500:
        return ApiFailed(text, code, reason, details)
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


def _passes(code: int, reason: str, text: str) -> bool:
    if _OTHERS.search(text):
        return False
    return code in _BUSY or (code == 500 and (reason == "ServerTimeout" or bool(_PASSES.search(text))))


def _pause(after: str | None, details: Mapping[str, Any]) -> float:
    """Seconds that the server wants to be left alone, 0 where it does not say."""
    if after and after.isascii() and after.isdigit():
        return float(after)
    seconds = details.get("retryAfterSeconds")
    return float(seconds) if isinstance(seconds, int) and seconds > 0 else 0.0


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
