"""Which cluster a kubeconfig means, read without the Kubernetes client (which takes 0.4 s to import).

The files are those that kubectl reads: the list of ``KUBECONFIG``, else ``~/.kube/config``. Where several
define the same context, cluster or current context, the first one counts; one that is absent is passed over.
"""

import difflib
import os
from pathlib import Path
from typing import Any, NamedTuple

from launcher.errors import SpecError
from launcher.secrecy import without_password

VARIABLE = "KUBECONFIG"
DEFAULT_NAMESPACE = "default"


class Context(NamedTuple):
    """A cluster and the namespace in it that commands mean."""

    name: str
    namespace: str
    server: str
    """Address of the API server, without a password; empty when the kubeconfig has none."""


class _Kubeconfig(NamedTuple):
    files: list[Path]
    """Those that exist."""
    current: str | None
    contexts: dict[str, dict[str, Any]]
    clusters: dict[str, dict[str, Any]]


def paths() -> list[Path]:
    """The kubeconfig's files, whether or not they exist."""
    listed = [Path(part).expanduser() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return listed or [Path("~/.kube/config").expanduser()]


def current(context: str | None = None) -> Context | None:
    """The context of that name, else the current one; None when nothing says which is current.

    Raises:
        SpecError: there is no such context, or a file is damaged.
    """
    config = _read()
    name = context or config.current
    if not name:
        return None
    if name not in config.contexts:
        raise SpecError(_unknown(name, context is not None, config))
    chosen = config.contexts[name]
    cluster = config.clusters.get(str(chosen.get("cluster")), {})
    server = without_password(str(cluster.get("server") or ""))
    return Context(name, str(chosen.get("namespace") or DEFAULT_NAMESPACE), server)


def context_names() -> list[str]:
    """All contexts, sorted; none when a file is damaged."""
    try:
        return sorted(_read().contexts)
    except SpecError:
        return []


def _unknown(name: str, asked: bool, config: _Kubeconfig) -> str:
    where = ", ".join(map(str, config.files or paths()))
    if not config.files:
        return f"context '{name}': there is no kubeconfig, as {where} does not exist"
    names = sorted(config.contexts)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else f"; it has {', '.join(names) or 'none'}"
    return f"{'' if asked else 'current '}context '{name}': there is no such context in {where}{hint}"


def _read() -> _Kubeconfig:
    config = _Kubeconfig([], None, {}, {})
    for path in paths():
        values = _load(path)
        if values is None:
            continue
        config.files.append(path)
        config = config._replace(current=config.current or values.get("current-context") or None)
        for field, found in (("context", config.contexts), ("cluster", config.clusters)):
            for name, value in _named(path, values, field).items():
                found.setdefault(name, value)
    return config


def _load(path: Path) -> dict[str, Any] | None:
    import yaml

    try:
        values = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpecError(f"kubeconfig {path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"kubeconfig {path}: not YAML ({_mistake(error)})") from None
    if not isinstance(values or {}, dict):
        raise SpecError(f"kubeconfig {path}: expected a mapping with contexts and clusters")
    return values or {}


def _mistake(error: Exception) -> str:
    """What is wrong with a file, without the text around it, which may be a token."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "context", None) or type(error).__name__
    return f"{said}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(said)


def _named(path: Path, values: dict[str, Any], field: str) -> dict[str, dict[str, Any]]:
    """The entries of ``contexts`` or ``clusters`` by name."""
    try:
        entries = values.get(f"{field}s") or []
        return {str(entry["name"]): dict(entry[field] or {}) for entry in entries}
    except (TypeError, KeyError, ValueError, AttributeError):
        raise SpecError(f"kubeconfig {path}: {field}s: expected a list of name and {field}") from None
