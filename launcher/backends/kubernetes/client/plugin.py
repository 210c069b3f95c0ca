"""Credentials that an exec plugin of the kubeconfig gives, as gcloud's, aws' or an OIDC login's.

A plugin takes 0.5 to 2 s, may open a browser and may ask its server, so it is run once for each command:
all threads and connections share what it said until that is over (``expirationTimestamp``) or the API server
refuses it. That is what client-go does for kubectl, and so are its environment, its paths and its checks.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from launcher.errors import NotLoggedIn

_GROUP = "client.authentication.k8s.io"
_VERSIONS = (f"{_GROUP}/v1", f"{_GROUP}/v1beta1")
_MODES = ("Never", "IfAvailable", "Always")
_TO_PLUGIN = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url", "disable-compression")
_SAID = 300  # characters of a plugin's own words


@dataclass(eq=False)
class Credential:
    """What a plugin said once."""

    token: str = ""
    certificate: str = ""
    """PEM, with its `key`; empty where there is a token alone."""
    key: str = ""
    expires: datetime | None = None
    """None: when the API server refuses it."""
    instead: bool = False
    """Whether the API server had refused the one before."""
    good: bool = False
    """Whether the API server has taken it."""

    @property
    def is_over(self) -> bool:
        """Whether its time is up."""
        return self.expires is not None and datetime.now(UTC) > self.expires


class Plugin:
    """One plugin with its arguments, for one cluster; serves any number of threads."""

    def __init__(self, settings: Mapping[str, Any], cluster: Mapping[str, Any]) -> None:
        """`settings` is a user's ``exec``, with the absolute path of its command or a bare name.

        Raises:
            NotLoggedIn: it is a plugin that cannot be run; the text says what was expected.
        """
        self._command = str(settings.get("command") or "")
        self._version = str(settings.get("apiVersion") or "")
        self._mode = str(settings.get("interactiveMode") or "IfAvailable")
        self._hint = str(settings.get("installHint") or "")
        self._cluster = _for_plugin(cluster) if settings.get("provideClusterInfo") else None
        try:
            self._arguments = [str(each) for each in settings.get("args") or []]
            self._env = {str(each["name"]): str(each["value"]) for each in settings.get("env") or []}
        except (TypeError, KeyError):
            raise self._error("args: expected a list; env: expected a list of name and value") from None
        if self._version not in _VERSIONS:
            raise self._error(f"apiVersion is '{self._version}': expected {' or '.join(_VERSIONS)}")
        if self._mode not in _MODES:
            raise self._error(f"interactiveMode is '{self._mode}': expected {', '.join(_MODES)}")
        self._lock = threading.Lock()  # held while it runs: the plugin may speak with a person
        self._known: Credential | None = None

    def credential(self) -> Credential:
        """What it says; it is run where nothing is known, or what is known is over.

        Raises:
            NotLoggedIn: it failed, or said nothing of use.
        """
        with self._lock:
            if self._known is None or self._known.is_over:
                self._known = self._run()
            return self._known

    def refused(self, credential: Credential) -> None:
        """The API server does not take it: the plugin is run again, unless another thread has seen to that.

        One that is refused in place of another one stays: the plugin has no better.
        """
        with self._lock:
            if credential is self._known and (credential.good or not credential.instead):
                self._known = None
                self._known = self._run()
                self._known.instead = True

    def _run(self) -> Credential:
        interactive = self._is_interactive()
        command = shutil.which(self._command)
        if command is None:
            raise self._error(f"there is no such program{self._advice()}")
        watched = interactive or sys.stderr.isatty()  # it may ask to open an address in a browser
        try:
            done = subprocess.run(
                [command, *self._arguments],
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if watched else subprocess.PIPE,
                env=os.environ | self._env | {"KUBERNETES_EXEC_INFO": json.dumps(self._request(interactive))},
                check=False,
            )
        except OSError as error:
            raise self._error(f"cannot be run ({error.strerror})") from None
        if done.returncode:
            said = " ".join((done.stderr or b"").decode(errors="replace").split())[-_SAID:].strip()
            raise self._error(f"ended with exit code {done.returncode}" + (f": {said}" if said else ""))
        return self._read(done.stdout)

    def _is_interactive(self) -> bool:
        # Completion puts stderr aside: nobody would see what is asked.
        terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stderr is sys.__stderr__
        if self._mode == "Always" and not terminal:
            raise self._error("interactiveMode is Always: expected a terminal to ask on")
        return terminal and self._mode != "Never"

    def _advice(self) -> str:
        hint = " ".join("".join(each if each.isprintable() else " " for each in self._hint).split())
        return f"; {hint[:_SAID]}" if hint else ""

    def _request(self, interactive: bool) -> dict[str, Any]:
        spec: dict[str, Any] = {"interactive": interactive}
        if self._cluster is not None:
            spec["cluster"] = self._cluster
        return {"kind": "ExecCredential", "apiVersion": self._version, "spec": spec}

    def _read(self, output: bytes) -> Credential:
        """What it wrote; its words are not repeated, as they may hold a token."""
        try:
            answer = json.loads(output)
            kind, version, status = (answer.get(key) for key in ("kind", "apiVersion", "status"))
        except (ValueError, AttributeError):
            raise self._error("wrote no JSON object") from None
        if (kind, version) != ("ExecCredential", self._version):
            raise self._error(f"wrote {version} {kind}: expected {self._version} ExecCredential")
        status = status if isinstance(status, dict) else {}
        token, pem, key = (
            str(status.get(each) or "") for each in ("token", "clientCertificateData", "clientKeyData")
        )
        if not (token or pem or key):
            raise self._error("wrote neither a token nor a certificate")
        if bool(pem) != bool(key):
            raise self._error("wrote a certificate without its key, or a key alone")
        credential = Credential(token, pem, key, self._time(status.get("expirationTimestamp")))
        # Over as soon as it is made: of the two clocks one is wrong, and the API server has the last word.
        credential.expires = None if credential.is_over else credential.expires
        return credential

    def _time(self, text: object) -> datetime | None:
        if not text:
            return None
        try:
            found = datetime.fromisoformat(str(text))
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        except ValueError:
            raise self._error("wrote an expirationTimestamp that is no RFC 3339 time") from None

    def _error(self, what: str) -> NotLoggedIn:
        return NotLoggedIn(f"exec plugin '{self._command}' of the kubeconfig: {what}")


class Plugins:
    """The plugins of this process, by what they are called with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Plugin] = {}

    def of(self, user: Mapping[str, Any], cluster: Mapping[str, Any]) -> Plugin | None:
        """A user's plugin; None where it has none, or other credentials, which win.

        Raises:
            NotLoggedIn: it is a plugin that cannot be run.
        """
        settings = user.get("exec")
        others = ("token", "tokenFile", "username", "client-certificate", "client-certificate-data")
        if not settings or any(each in user for each in others):
            return None
        if not isinstance(settings, dict):
            raise NotLoggedIn("exec plugin of the kubeconfig: expected a mapping with command and apiVersion")
        key = json.dumps([settings, cluster], sort_keys=True, default=str)
        with self._lock:
            if key not in self._known:
                self._known[key] = Plugin(settings, cluster)
            return self._known[key]


PLUGINS = Plugins()


def _for_plugin(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """What a plugin is told of the cluster that it is asked for."""
    told = {key: cluster[key] for key in _TO_PLUGIN if key in cluster}
    authority = cluster.get("certificate-authority-data")
    if not authority and (path := cluster.get("certificate-authority")):
        try:
            authority = base64.b64encode(Path(str(path)).read_bytes()).decode()
        except OSError as error:
            raise NotLoggedIn(f"certificate-authority {path}: cannot be read ({error.strerror})") from None
    extensions = cluster.get("extensions") or []
    config = [each["extension"] for each in extensions if each.get("name") == f"{_GROUP}/exec"]
    return (
        told
        | ({"certificate-authority-data": authority} if authority else {})
        | ({"config": config[0]} if config else {})
    )
