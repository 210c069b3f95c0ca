"""A small API server for the real client: objects, selectors, uids and their preconditions, and nothing else.

There are no controllers but what a run waits for: pods of a Job that is suspended or deleted are gone at
once, and so is what a deleted object owns. What a real server says of a uid that does not match is what
tests/cluster/backend/test_ours.py saw.
"""

import copy
import json
import re
import threading
import time
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from launcher.backends.kubernetes.client.kinds import kind_by_plural

_PATH = re.compile(r"/apis?/(?:[^/]+/)?v1[^/]*(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?(?:/(log))?")
_JOB_UID = "batch.kubernetes.io/controller-uid"


class ApiServer:
    """Objects by kind, namespace and name."""

    def __init__(self):
        self.objects = {}
        self.lock = threading.RLock()
        self._version = 1

    def add(self, kind, found, namespace="team"):
        """Keep an object as if somebody had made it; returns what is kept."""
        with self.lock:
            found = copy.deepcopy(found)
            metadata = found["metadata"]
            metadata |= {"namespace": namespace, "uid": metadata.get("uid") or str(uuid.uuid4())}
            metadata.setdefault("creationTimestamp", "2026-11-20T12:00:00Z")
            found["kind"] = kind
            self.objects[kind, namespace, metadata["name"]] = found
            return self._touched(found)

    def of(self, *uids):
        """Copies of the objects with some uids that are there."""
        with self.lock:
            every = self.objects.values()
            return {each["metadata"]["uid"]: copy.deepcopy(each) for each in every if _uid(each) in uids}

    def _touched(self, found):
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)
        return found

    def answer(self, method, path, query, body):
        """The status and the JSON of one request."""
        with self.lock:
            if path == "/version":
                return 200, {"major": "1", "minor": "36", "gitVersion": "v1.36.3"}
            found = _PATH.fullmatch(path)
            namespace, plural, name, log = found.groups()
            if plural == "selfsubjectaccessreviews":
                return 201, {**body, "status": {"allowed": True}}
            if plural == "selfsubjectreviews":
                return 201, {**body, "status": {"userInfo": {"username": "somebody"}}}
            if log:
                return 200, "2026-11-20T12:00:01.000000000Z a line of its log\n"
            kind = kind_by_plural(plural)
            verb = {"GET": self._read, "POST": self._create, "PATCH": self._patch, "DELETE": self._delete}
            return verb[method](kind, plural, namespace, name, query, body)

    def _read(self, kind, plural, namespace, name, query, _):
        if name:
            found = self.objects.get((kind, namespace, name))
            return (200, found) if found else _missing(plural, name)
        if "watch" in query:
            return 200, ""
        items = [
            each
            for (its_kind, where, _), each in self.objects.items()
            if its_kind == kind and where == namespace and _selected(each, query)
        ]
        return 200, {"kind": "List", "metadata": {"resourceVersion": str(self._version)}, "items": items}

    def _create(self, kind, plural, namespace, _, query, body):
        name = body["metadata"].get("name") or f"{body['metadata']['generateName']}{uuid.uuid4().hex[:5]}"
        if (kind, namespace, name) in self.objects:
            details = {"name": name, "kind": plural}
            return _refusal(409, "AlreadyExists", f'{plural} "{name}" already exists', details)
        made = {**body, "metadata": {**body["metadata"], "name": name}}
        made["metadata"]["managedFields"] = [{"manager": query.get("fieldManager")}]
        if "dryRun" in query:
            return 201, made
        return 201, self.add(kind, made, namespace)

    def _patch(self, kind, plural, namespace, name, _, body):
        found = self.objects.get((kind, namespace, name))
        if found is None:
            return _missing(plural, name)
        if body["metadata"].get("uid", _uid(found)) != _uid(found):
            causes = {"causes": [{"field": "metadata.uid", "reason": "FieldValueInvalid"}]}
            return _refusal(422, "Invalid", f'{plural} "{name}" is invalid: field is immutable', causes)
        _merge(found, body)
        if kind == "Job" and found["spec"].get("suspend"):
            self._end_pods(_uid(found))
        return 200, self._touched(found)

    def _delete(self, kind, plural, namespace, name, _, body):
        found = self.objects.get((kind, namespace, name))
        if found is None:
            return _missing(plural, name)
        if (body.get("preconditions") or {}).get("uid", _uid(found)) != _uid(found):
            text = f"Precondition failed: UID in precondition, UID in object meta: {_uid(found)}"
            return _refusal(409, "Conflict", text, {})
        self._remove((kind, namespace, name))
        return 200, {"kind": "Status", "status": "Success"}

    def _remove(self, key):
        gone = self.objects.pop(key)
        for other, each in list(self.objects.items()):
            owners = each["metadata"].get("ownerReferences") or []
            if other in self.objects and any(owner["uid"] == _uid(gone) for owner in owners):
                self._remove(other)

    def _end_pods(self, job):
        for key, each in list(self.objects.items()):
            if key[0] == "Pod" and (each["metadata"].get("labels") or {}).get(_JOB_UID) == job:
                del self.objects[key]


def _uid(found):
    return found["metadata"]["uid"]


def _missing(plural, name):
    return _refusal(404, "NotFound", f'{plural} "{name}" not found', {"name": name, "kind": plural})


def _refusal(code, reason, message, details):
    return code, {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}


def _merge(node, patch):
    for key, value in patch.items():
        if isinstance(value, dict):
            _merge(node.setdefault(key, {}), value)
        elif value is None:
            node.pop(key, None)
        else:
            node[key] = value


def _selected(found, query):
    metadata = found["metadata"]
    labels = metadata.get("labels") or {}
    fields = {"metadata.name": metadata["name"]}
    about = found.get("involvedObject") or {}
    fields |= {f"involvedObject.{key}": value for key, value in about.items()}
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = part.partition("=")
        if fields.get(key) != value:
            return False
    for part in re.findall(r"[^,(]+(?:\([^)]*\))?", query.get("labelSelector", "")):
        among = re.fullmatch(r"\s*(\S+) in \(([^)]*)\)", part)
        if not among and "=" not in part:  # whatever its value
            if part not in labels:
                return False
            continue
        key, values = (among[1], among[2].split(",")) if among else (part.split("=")[0], [part.split("=")[1]])
        if labels.get(key) not in values:
            return False
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        address = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        if "watch" in query:
            time.sleep(0.1)  # nothing comes, and whoever watches asks again at once
        code, content = self.server.api.answer(self.command, unquote(address.path), query, body)
        text = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def log_message(self, *_):
        pass


@contextmanager
def serving(folder):
    """An API server, and a kubeconfig in a folder whose only context `here` leads to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.api = ApiServer()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    (folder / "kubeconfig").write_text(
        json.dumps(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.api, url
    finally:
        server.shutdown()
        server.server_close()
