"""The API server as a few verbs on plain dictionaries.

::

    api = connect(context=None, namespace="team")
    job = api.get("Job", "demo-1")
    for event in api.watch("Pod", "app.kubernetes.io/instance=demo-1"):
        print(event["type"], event["object"]["metadata"]["name"])

One `Api` serves any number of threads.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from launcher.backends.kubernetes.client.kinds import kind_of
from launcher.backends.kubernetes.client.login import log_in, place
from launcher.backends.kubernetes.client.network import reason_of
from launcher.backends.kubernetes.client.rejections import rejection
from launcher.backends.kubernetes.client.transport import Request, Transport
from launcher.errors import AlreadyExists, ApiRejected, Expired, NamespaceMissing, NotFound, Transient

if TYPE_CHECKING:
    import urllib3

Object = dict[str, Any]
_PAGE = 500  # objects of an answer, as kubectl and the controllers ask for; 500 pods are 5 MB
_OF_PAGES = ("continue", "remainingItemCount")
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_WATCH_MARGIN_SECONDS = 15.0  # the server ends a watch itself; this much later it has gone away


class Api:
    """The objects of one namespace, as the user of one context.

    Every method raises `ClusterUnreachable` or `NotLoggedIn` at first contact, `ClusterLost` when the server
    stays away later, `Forbidden`, `NamespaceMissing`, and `ApiRejected` for anything else it refuses or, as
    `ApiFailed`, fails at. All but `ApiRejected` itself are `CannotAsk`.
    """

    def __init__(self, transport: Transport, namespace: str) -> None:
        self.transport = transport
        self.namespace = namespace
        # Written by the server beside every field we set: tells our object from another's of the same name.
        self._manager = f"launcher-{secrets.token_hex(6)}"

    @property
    def context(self) -> str:
        """Name of the kubeconfig's context."""
        return self.transport.context

    @property
    def server(self) -> str:
        """Address of the API server."""
        return self.transport.server

    @property
    def now(self) -> datetime | None:
        """The API server's time; its objects' times are compared with this one and with no other clock."""
        return self.transport.clock.now()

    def get(self, kind: str, name: str) -> Object | None:
        """One object, None when there is none."""
        try:
            return self.read(kind_of(kind).path(self.namespace, name))
        except NotFound:
            return None
        except NamespaceMissing:
            if kind == "Namespace":
                return None
            raise

    def exists(self, kind: str, name: str) -> bool:
        """Whether there is such an object; what it holds is not asked for, which may be a secret."""
        path = kind_of(kind).path(self.namespace, name)
        try:
            self._call(Request("GET", path, accept=_METADATA))
        except NotFound:
            return False
        return True

    def list(self, kind: str, selector: str = "", fields: str = "", *, everywhere: bool = False) -> Object:
        """The List of objects whose labels and fields match; goes with a resource version to watch from.

        `everywhere`: of all namespaces.
        """
        known = kind_of(kind)
        path = (known._replace(namespaced=False) if everywhere else known).path(self.namespace)
        return self.read_list(path, _selectors(selector, fields))

    def inside(self, namespace: str) -> "Api":
        """Another namespace of the same cluster, through the same connections."""
        return Api(self.transport, namespace)

    def read_list(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """The whole List at an address of the API server.

        Asked for in pages, all of the same moment: 10,000 pods are small answers to the server, and to us.
        Where the server has forgotten that moment between two of them, all is asked for at once.
        """
        asked = dict(query or {})
        whole = page = self.read(path, {**asked, "limit": str(_PAGE)})
        items: list[Object] = list(page["items"])
        while following := page["metadata"].get("continue"):
            try:
                page = self.read(path, {**asked, "limit": str(_PAGE), "continue": following})
            except Expired:  # it would go on from now, and the list be of two moments
                return self.read(path, asked)
            items += page["items"]
        # All pages have one resource version; a later one would hide from a watch what happened meanwhile.
        kept = {key: value for key, value in whole["metadata"].items() if key not in _OF_PAGES}
        return {**whole, "metadata": kept, "items": items}

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Create an object and return it as the server completed it.

        An answer that is lost on the way is asked for again, and then the name is taken: by us, if this
        `Api` is the manager of the object's fields.

        Raises:
            AlreadyExists: the name is taken by somebody else.
        """
        path = kind_of(manifest["kind"], manifest["apiVersion"]).path(self.namespace)
        query = {"fieldManager": self._manager, **({"dryRun": "All"} if dry_run else {})}
        try:
            return self._call(Request("POST", path, query, manifest))
        except AlreadyExists as error:
            found = self.get(manifest["kind"], manifest["metadata"]["name"]) if error.retried else None
            if found is None or not self.made(found):
                raise
            return found

    def made(self, found: Mapping[str, Any]) -> bool:
        """Whether an object was created through this `Api`."""
        fields = found["metadata"].get("managedFields") or []
        return any(entry.get("manager") == self._manager for entry in fields)

    def patch(self, kind: str, found: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
        """Lay a merge patch over an object that was read, and over no later one of its name.

        Raises:
            NotFound: it is gone, though another may have its name.
        """
        name, uid = found["metadata"]["name"], found["metadata"]["uid"]
        patch = {**patch, "metadata": {**(patch.get("metadata") or {}), "uid": uid}}
        query = {"fieldManager": "launcher"}
        path = kind_of(kind).path(self.namespace, name)
        try:
            return self._call(Request("PATCH", path, query, patch, "application/merge-patch+json"))
        except ApiRejected as error:
            if _is_another(error):
                raise _gone(error, kind, name) from error
            raise

    def delete(
        self,
        kind: str,
        found: Mapping[str, Any],
        propagation: str = "Background",
        *,
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object that was read, and no later one of its name; one that is gone is no error."""
        name, uid = found["metadata"]["name"], found["metadata"]["uid"]
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            self._call(Request("DELETE", kind_of(kind).path(self.namespace, name), {}, options))
        except ApiRejected as error:
            if not (_is_another(error) or isinstance(error, NotFound)):
                raise

    def watch(
        self,
        kind: str,
        selector: str = "",
        resource_version: str = "",
        timeout: float = 300,
        fields: str = "",
    ) -> Iterator[Object]:
        """Changes ``{type, object}`` since a resource version, as they happen; ends after `timeout` seconds.

        Bookmarks come too: they hold nothing but a newer resource version to go on from.

        Raises:
            Transient: the connection was cut.
            Expired: the resource version is too old.
        """
        query = _selectors(selector, fields) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(timeout))),
            **({"resourceVersion": resource_version} if resource_version else {}),
        }
        path = kind_of(kind).path(self.namespace)
        with self.stream(path, query, timeout + _WATCH_MARGIN_SECONDS) as response:
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise rejection(int(status.get("code") or 500), json.dumps(status).encode(), self.context)
                yield event

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, str], read_timeout: float
    ) -> "Iterator[urllib3.BaseHTTPResponse]":
        """A response that is read as it comes (``read1``), such as a pod's log; closed at the end.

        Raises:
            Transient: the connection was cut, or silent for `read_timeout` seconds, while it was read.
        """
        from urllib3.exceptions import HTTPError

        response = self.transport.send(Request("GET", path, query), read_timeout)
        try:
            yield response
        except (HTTPError, OSError) as failure:
            raise Transient(reason_of(failure)) from failure
        finally:
            response.close()

    def read(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """The JSON at an address of the API server."""
        return self._call(Request("GET", path, query or {}))

    def _call(self, request: Request) -> Object:
        answer: Object = json.loads(self.transport.fetch(request))
        return answer


def connect(context: str | None = None, namespace: str | None = None) -> Api:
    """The API server of a context, the current one by default, or of the pod we run in.

    Nothing is sent yet: the first request decides whether the server can be reached.

    Raises:
        BadKubeconfig: there is no such context, or a file is damaged.
        ClusterUnreachable: there is no kubeconfig, or its certificates cannot be read.
        NotLoggedIn: it has no credentials that could be used; an exec plugin fails.
    """
    name, default = place(context)
    return Api(Transport(name, lambda: log_in(context)), namespace or default)


def _is_another(error: ApiRejected) -> bool:
    """Whether a request was refused since the object of that name has another uid than the one that was read.

    A delete's precondition fails with 409; a patch's uid is a field that may not change, 422.
    """
    causes = error.details.get("causes") or []
    fixed = error.code == 422 and any(each.get("field") == "metadata.uid" for each in causes)
    return error.code == 409 or fixed


def _gone(error: ApiRejected, kind: str, name: str) -> NotFound:
    text = f"{kind} '{name}' is gone, and another has its name"
    return NotFound(text, error.code, error.reason, error.details)


def _selectors(selector: str, fields: str) -> dict[str, str]:
    return {
        **({"labelSelector": selector} if selector else {}),
        **({"fieldSelector": fields} if fields else {}),
    }


def _lines(response: "urllib3.BaseHTTPResponse") -> Iterator[bytes]:
    """Whole lines of a response as soon as they arrive; a last one without an end was cut."""
    rest = b""
    while piece := response.read1(1 << 16):
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, lines)
    if rest:
        raise Transient("the connection was cut")
