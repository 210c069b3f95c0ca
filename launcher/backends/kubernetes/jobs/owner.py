"""Who submitted a run, for others to know whose it is."""

import getpass
import socket
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.errors import ApiRejected, Forbidden
from launcher.render.labels import OWNER

_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}


def owner_of(api: Api) -> str | None:
    """The user that the API server takes us for, else ours as ``user@host``; None where neither is known.

    Servers tell it since Kubernetes 1.28.
    """
    try:
        name = api.create(_REVIEW)["status"]["userInfo"]["username"]
    except (ApiRejected, Forbidden, KeyError):
        name = ""
    try:
        return str(name) or f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):  # a uid that has no name
        return None


def sign(manifest: dict[str, Any], owner: str | None) -> None:
    """Write the owner of a Job, or of a template of Jobs, among its annotations."""
    if owner is not None:
        metadata = manifest.setdefault("metadata", {})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), OWNER: owner}
