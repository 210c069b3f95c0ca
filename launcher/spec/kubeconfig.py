"""Which cluster a kubeconfig means and how it is reached, read without the Kubernetes client.

The client takes 0.4 s to import, and parses YAML ten times slower. The files are those that kubectl reads:
the list of ``KUBECONFIG``, else ``~/.kube/config``. Where several define the same context, cluster, user or
current context, the first one counts; one that is absent is passed over. Paths in a file are relative to it.

A file is parsed once for as long as it holds the same bytes: a command that goes on for hours sees a new
login, and one that asks for 100 contexts does not pay 100 times.
"""

import difflib
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from launcher.errors import BadKubeconfig, SpecError
from launcher.spec.redaction import without_password
from trainer.environment.paths import at_home

VARIABLE = "KUBECONFIG"
DEFAULT_NAMESPACE = "default"
_KINDS = ("context", "cluster", "user")
_CLUSTER_PATHS = ("certificate-authority",)
_USER_PATHS = ("client-certificate", "client-key", "tokenFile")


class Context(NamedTuple):
    """A cluster and the namespace in it that commands mean."""

    name: str
    namespace: str
    server: str
    """Address of the API server, without a password; empty when the kubeconfig has none."""


class Access(NamedTuple):
    """What a kubeconfig says of the way to a context's cluster; all paths are absolute. Not to be changed."""

    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    """Empty for a context that names none."""


class _File(NamedTuple):
    """What one file defines, by name."""

    current: str | None
    contexts: dict[str, dict[str, Any]]
    clusters: dict[str, dict[str, Any]]
    users: dict[str, dict[str, Any]]


class _Kubeconfig(NamedTuple):
    files: list[Path]
    """Those that exist."""
    current: str | None
    contexts: dict[str, dict[str, Any]]
    clusters: dict[str, dict[str, Any]]
    users: dict[str, dict[str, Any]]


def paths() -> list[Path]:
    """The kubeconfig's files, whether or not they exist."""
    listed = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return [at_home(part) or Path(part) for part in listed or ["~/.kube/config"]]


def current(context: str | None = None) -> Context | None:
    """The context of that name, else the current one; None when nothing says which is current.

    Raises:
        BadKubeconfig: there is no such context, or a file is damaged.
    """
    config = _read()
    name = context or config.current
    if not name:
        return None
    if name not in config.contexts:
        raise BadKubeconfig(_unknown(name, context is not None, config))
    return _context(name, config)


def contexts() -> list[Context]:
    """All contexts, by name.

    Raises:
        BadKubeconfig: a file is damaged.
    """
    config = _read()
    return [_context(name, config) for name in sorted(config.contexts)]


def context_names() -> list[str]:
    """All contexts, sorted; none when a file is damaged."""
    try:
        return sorted(_read().contexts)
    except BadKubeconfig:
        return []


def check_context(name: str) -> None:
    """Refuse a name that somebody has typed and no context has; a damaged kubeconfig is told of elsewhere.

    Raises:
        SpecError: there is no such context.
    """
    try:
        config = _read()
    except BadKubeconfig:
        return
    if name not in config.contexts:
        raise SpecError(_unknown(name, True, config))


def access(context: str) -> Access:
    """How the cluster of a context is reached, and as whom.

    Raises:
        BadKubeconfig: there is no such context, it names what is not there, or a file is damaged.
    """
    config = _read()
    if context not in config.contexts:
        raise BadKubeconfig(_unknown(context, True, config))
    chosen = config.contexts[context]
    cluster, user = (str(chosen.get(kind) or "") for kind in ("cluster", "user"))
    if not config.clusters.get(cluster, {}).get("server"):
        lacks = f"its cluster '{cluster}' has no server" if cluster else "it names no cluster"
        raise BadKubeconfig(f"kubeconfig {_listed(config)}: context '{context}': {lacks}")
    if user and user not in config.users:
        raise BadKubeconfig(f"kubeconfig {_listed(config)}: context '{context}': there is no user '{user}'")
    return Access(config.clusters[cluster], config.users.get(user, {}))


def _context(name: str, config: _Kubeconfig) -> Context:
    chosen = config.contexts[name]
    cluster = config.clusters.get(str(chosen.get("cluster")), {})
    server = without_password(str(cluster.get("server") or ""))
    return Context(name, str(chosen.get("namespace") or DEFAULT_NAMESPACE), server)


def _listed(config: _Kubeconfig) -> str:
    return ", ".join(map(str, config.files or paths()))


def _unknown(name: str, asked: bool, config: _Kubeconfig) -> str:
    if not config.files:
        return f"context '{name}': there is no kubeconfig, as {_listed(config)} does not exist"
    names = sorted(config.contexts)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else f"; it has {', '.join(names) or 'none'}"
    who = "" if asked else "current "
    return f"{who}context '{name}': there is no such context in {_listed(config)}{hint}"


def _read() -> _Kubeconfig:
    merged = _Kubeconfig([], None, {}, {}, {})
    for path in paths():
        if (found := _FILES.load(path)) is None:
            continue
        merged.files.append(path)
        merged = merged._replace(current=merged.current or found.current)
        for into, entries in zip(merged[2:], found[1:], strict=True):
            for name, entry in entries.items():
                into.setdefault(name, entry)
    return merged


class _Files:
    """The files as they were parsed last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # eight threads that want the same file at once parse it once
        self._parsed: dict[Path, tuple[bytes, _File]] = {}

    def load(self, path: Path) -> _File | None:
        """What a file defines; None when there is none.

        Raises:
            BadKubeconfig: it cannot be read, or is not what it should be.
        """
        with self._lock:
            known = self._parsed.get(path)
            try:
                if known is not None and stat.S_ISFIFO(path.stat().st_mode):
                    return known[1]  # KUBECONFIG=<(…) of a shell can be read once
                content = path.read_bytes()
            except FileNotFoundError:
                return None
            except OSError as error:
                raise BadKubeconfig(f"kubeconfig {path}: cannot be read ({error.strerror})") from None
            if known is None or known[0] != content:
                known = self._parsed[path] = (content, _parse(path, content))
            return known[1]


_FILES = _Files()


def _parse(path: Path, content: bytes) -> _File:
    import yaml

    try:
        # libyaml's reads 100 contexts in 0.02 s of processor, the other one in 0.5 s.
        values = yaml.load(content.decode(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except UnicodeDecodeError:
        raise BadKubeconfig(f"kubeconfig {path}: not YAML (it is no text)") from None
    except yaml.YAMLError as error:
        raise BadKubeconfig(f"kubeconfig {path}: not YAML ({_mistake(error)})") from None
    if not isinstance(values, dict):
        raise BadKubeconfig(f"kubeconfig {path}: expected a mapping with contexts and clusters")
    contexts, clusters, users = (_named(path, values, kind) for kind in _KINDS)
    folder = path.parent.absolute()
    return _File(
        str(values.get("current-context") or "") or None,
        contexts,
        {name: _resolved(folder, entry, _CLUSTER_PATHS) for name, entry in clusters.items()},
        {name: _with_command(folder, _resolved(folder, entry, _USER_PATHS)) for name, entry in users.items()},
    )


def _resolved(folder: Path, entry: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """An entry whose paths are absolute; what is empty is left out."""
    found = {key: value for key, value in entry.items() if value not in (None, "")}
    return found | {key: str(folder / str(found[key])) for key in keys if key in found}


def _with_command(folder: Path, user: dict[str, Any]) -> dict[str, Any]:
    """A user whose plugin is found from everywhere: a bare name is looked for on the PATH, as in a shell."""
    plugin = user.get("exec")
    if not isinstance(plugin, dict) or os.sep not in str(plugin.get("command") or ""):
        return user
    return {**user, "exec": {**plugin, "command": str(folder / str(plugin["command"]))}}


def _mistake(error: Exception) -> str:
    """What is wrong with a file, without the text around it, which may be a token."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "context", None) or type(error).__name__
    return f"{said}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(said)


def _named(path: Path, values: dict[str, Any], field: str) -> dict[str, dict[str, Any]]:
    """The entries of ``contexts``, ``clusters`` or ``users`` by name."""
    found: dict[str, dict[str, Any]] = {}
    try:
        for entry in values.get(f"{field}s") or []:
            found.setdefault(str(entry["name"]), dict(entry.get(field) or {}))
    except (TypeError, KeyError, ValueError, AttributeError):
        raise BadKubeconfig(f"kubeconfig {path}: {field}s: expected a list of name and {field}") from None
    return found
