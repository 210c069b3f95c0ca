"""Where each value of a run comes from: flags, files, the environment, or what is built in.

From strongest to weakest::

    flags  >  the file of -f  >  $GANTRY_ROOT  >  ./gantry.yaml  >  ~/.config/gantry/gantry.yaml  >  built in

All files have the same keys: the fields of `RunSpec`, and ``set`` with hyperparameters. ``set``, ``env``,
``env_secrets``, ``pod_labels`` and ``pod_annotations`` are merged entry by entry; of everything else, a list
as well, the strongest counts alone.
What a run's backend does not take and comes from one of the last two files does not count, so that one
``gantry.yaml`` serves all.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.errors import BadKubeconfig, FieldError, SpecError
from launcher.spec import kinds
from launcher.spec.kubeconfig import current, paths
from launcher.spec.redaction import HIDDEN, looks_secret
from launcher.spec.runspec import RunSpec, make_spec
from launcher.spec.yaml_file import OVERRIDES, Setting, read_settings
from trainer.config import preset_names, resolve
from trainer.environment.paths import at_home, expanded
from trainer.errors import ConfigError

ROOT_VARIABLE = "GANTRY_ROOT"
FILE = "gantry.yaml"
BUILT_IN = "built in"
_SHARED = ("root", "context", "namespace")  # what every command goes by
_ENTRIES = {  # fields that are merged, and an entry as a flag has it
    "overrides": "optimizer.learning_rate=1e-4",
    "env": "LEVEL=2",
    "env_secrets": "API_TOKEN=SECRET/KEY",
    "pod_labels": "sidecar.istio.io/inject=false",
    "pod_annotations": "linkerd.io/inject=disabled",
}
_MAPPINGS = tuple(field for field in _ENTRIES if field != "overrides")
_MERGED = tuple(f"{field}." for field in (*_MAPPINGS, OVERRIDES))
_SHORT = {  # flags for hyperparameters
    "data": "data.source",
    "warm_start": "warm_start.run",
    "stop_when_no_better": "evaluation.stop_when_no_better",
}
_FLAGS = {
    "overrides": "--set",
    "ttl_seconds_after_finished": "--ttl",
    "active_deadline_seconds": "--deadline",
    "grace_seconds": "--grace",
    "profiles": "--profile",
    "env_secrets": "--env-secret",
    "pod_labels": "--pod-label",
    "pod_annotations": "--pod-annotation",
}


@dataclass(frozen=True)
class Layered:
    """Settings that were given, strongest first where several gave one."""

    settings: Mapping[str, Setting]
    """By field of `RunSpec`; the entries of ``set`` and ``env`` as ``set.steps`` and ``env.NAME``."""

    @property
    def values(self) -> dict[str, Any]:
        """The values alone; what nothing gave is absent."""
        return {key: setting.value for key, setting in self.settings.items()}

    def origin(self, key: str) -> str:
        """Where a value came from."""
        return self.settings[key].origin if key in self.settings else BUILT_IN

    def entries(self, prefix: str) -> dict[str, Any]:
        """The entries of ``set`` or ``env`` by their own names."""
        start = f"{prefix}."
        return {key.removeprefix(start): value for key, value in self.values.items() if key.startswith(start)}


def user_file() -> Path | None:
    """The file of settings in the user's folder of configuration, whether or not there is one.

    None for a user who has no home folder.
    """
    home = at_home(os.environ.get("XDG_CONFIG_HOME") or "~/.config")
    return home / "gantry" / FILE if home else None


def flag_of(field: str) -> str:
    """The flag that gives a field its value."""
    return _FLAGS.get(field, "--" + field.replace("_", "-"))


def defaults() -> Layered:
    """Root, context and namespace, so far as the environment or a settings' file gives them.

    Raises:
        SpecError: a settings' file has a mistake.
    """
    found = {**_weak(), **_environment()}
    return Layered({key: found[key] for key in _SHARED if key in found})


def layered(flags: Mapping[str, Any], file: Path | Mapping[str, Setting] | None = None) -> Layered:
    """All settings of a run; `flags` are by field, and None means that a flag was not given.

    `file` is the one of ``-f``, or what was read of it.

    Raises:
        SpecError: a file has a mistake, or an entry of ``--set`` or ``--env`` is none.
    """
    weak = {**_weak(), **_environment()}
    given = read_settings(file) if isinstance(file, Path) else file or {}
    strong = {**given, **_from_flags(flags)}
    found = {**weak, **strong}
    if "backend" not in found or found["backend"].value is None:
        image, root = (found[key].value if key in found else None for key in ("image", "root"))
        backend, why = kinds.derive(image, root)
        found["backend"] = Setting(backend, why)
    if kind := kinds.find(found["backend"].value):
        only = kind.lacks(RunSpec.model_fields)
        found = {key: found[key] for key in found if key in strong or key.partition(".")[0] not in only}
    return Layered(found)


def given(flags: Mapping[str, Any], file: Path | None = None) -> Layered:
    """What flags and the file of -f say, and nothing else: what is to be laid over a run that is there.

    Raises:
        SpecError: the file has a mistake, or an entry of ``--set`` or ``--env`` is none.
    """
    return Layered({**(read_settings(file) if file else {}), **_from_flags(flags)})


def recorded(spec: Mapping[str, Any], origin: str) -> Layered:
    """The settings of a specification that was kept as JSON; `origin` says where."""
    found: dict[str, Setting] = {}
    for field, value in spec.items():
        if field == "overrides":
            pairs = (override.partition("=") for override in value)
            found |= {f"{OVERRIDES}.{key}": Setting(text, origin) for key, _, text in pairs}
        elif field in _ENTRIES:
            found |= {f"{field}.{name}": Setting(text, origin) for name, text in value.items()}
        elif value is not None:
            found[field] = Setting(tuple(value) if isinstance(value, list) else value, origin)
    return Layered(found)


def _weak() -> dict[str, Setting]:
    """What the user's folder and the working folder say."""
    found: dict[str, Setting] = {}
    for path in (user_file(), Path(FILE)):
        if path is not None and path.exists():
            found |= read_settings(path)
    return found


def _environment() -> dict[str, Setting]:
    root = os.environ.get(ROOT_VARIABLE)
    if not root:
        return {}
    origin = f"environment {ROOT_VARIABLE}"
    return {"root": Setting(expanded(root, origin), origin)}


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for field, value in flags.items():
        origin = f"flag {flag_of(field)}"
        if field in _SHORT:
            if value is not None:
                found |= _short_for(field, value, flags.get("overrides") or ())
        elif field in _ENTRIES:
            for entry in value or ():
                name, equals, text = entry.partition("=")
                if not equals or not name:
                    raise SpecError(
                        f"{flag_of(field)} {entry}: expected key=value, such as {_ENTRIES[field]}"
                    )
                found[f"{OVERRIDES if field == 'overrides' else field}.{name}"] = Setting(text, origin)
        elif value is not None:
            found[field] = Setting(tuple(value) if isinstance(value, list) else value, origin)
    return found


def _short_for(field: str, value: str, overrides: Iterable[str]) -> dict[str, Setting]:
    """What a flag that is short for a hyperparameter gives.

    Raises:
        SpecError: there is a ``--set`` of the same one as well.
    """
    key = _SHORT[field]
    given = next((entry for entry in overrides if entry.partition("=")[0] == key), None)
    if given is not None:
        raise SpecError(f"{flag_of(field)} {value}: expected none beside --set {given}, which is the same")
    if field == "data" and str(value).startswith("gs://"):  # a bucket holds shards, see `trainer.data`
        value = f"tfrecord:{value}"
    return {f"{OVERRIDES}.{key}": Setting(value, f"flag {flag_of(field)}")}


def spec_from(settings: Layered) -> RunSpec:
    """The checked run that settings ask for.

    Raises:
        UserError: a value is wrong; a value from a file is named with its line and column.
    """
    values = {key: value for key, value in settings.values.items() if not key.startswith(_MERGED)}
    preset = values.pop("preset", None)
    if preset is None:
        raise SpecError(f"preset is not given: expected --preset NAME, one of {', '.join(preset_names())}")
    overrides = tuple(f"{key}={text}" for key, text in settings.entries(OVERRIDES).items())
    values |= {field: found for field in _MAPPINGS if (found := settings.entries(field))}
    try:
        resolve(preset, overrides)
        return make_spec(preset, overrides, values.pop("name", None), **values)
    except FieldError as error:
        origin = settings.origin(error.field)
        raise FieldError(error.field, _told(origin, str(error))) from None
    except ConfigError as error:
        raise ConfigError(_blame(settings, str(error))) from None


def _told(origin: str, text: str) -> str:
    """An error with the place that its value came from, unless that is a flag, which its text names."""
    return f"{origin}: {text}" if _is_place(origin) else text


def _is_place(origin: str) -> bool:
    return origin.startswith("environment ") or origin.count(":") >= 2


def _blame(settings: Layered, text: str) -> str:
    """The trainer's error about the preset or a hyperparameter, with the place in a file that it is from."""
    if text.startswith("unknown preset"):
        return _told(settings.origin("preset"), text)
    for key in settings.entries(OVERRIDES):
        origin = settings.origin(f"{OVERRIDES}.{key}")
        if not _is_place(origin):
            continue
        if text.startswith(f"--set {key}:"):
            return text.replace(f"--set {key}", f"{origin}: {OVERRIDES}.{key}", 1)
        if f": {key} is " in text or text.startswith(f"{key} is "):
            return f"{origin}: {text}"
    if text.startswith("batch_size is "):
        return _told(settings.origin("workers"), text)
    return text


def shown(settings: Layered) -> dict[str, Setting]:
    """Every value that a run would have and where it came from, those that nothing gave included.

    Raises:
        BadKubeconfig: there is no context of the name that was given.
    """
    found: dict[str, Setting] = {}
    kind = kinds.find(settings.values["backend"])
    only = kind.lacks(RunSpec.model_fields) if kind else []
    for field, info in RunSpec.model_fields.items():
        if field in _ENTRIES:
            prefix = f"{OVERRIDES if field == 'overrides' else field}."
            found |= {key: each for key, each in settings.settings.items() if key.startswith(prefix)}
        elif field in settings.settings:
            found[field] = settings.settings[field]
        elif field not in only:
            unknown = info.is_required() or field == "name"  # which is made when the run is
            found[field] = Setting(None, "not given") if unknown else Setting(info.get_default(), BUILT_IN)
    if "context" in found:
        found |= _of_context(found)
    return {key: _masked(key, setting, found) for key, setting in found.items()}


def _masked(key: str, setting: Setting, found: Mapping[str, Setting]) -> Setting:
    """A setting as it may be shown: a run would be refused with such a value, and a screen is shared."""
    field, _, name = key.partition(".")
    plain = found["env_plain"].value if "env_plain" in found else ()
    if field == "env" and name and name not in plain and looks_secret(name, setting.value):
        return setting._replace(value=HIDDEN)
    return setting


def _of_context(found: Mapping[str, Setting]) -> dict[str, Setting]:
    """Context and namespace as the kubeconfig has them, where nothing else gave them."""
    given = found["context"].value
    try:
        context = current(given)
    except BadKubeconfig as error:
        if given is not None:
            raise
        return {"context": Setting(None, f"not known: {error}")}
    if context is None:
        return {}
    told: dict[str, Setting] = {}
    if found["context"].value is None:
        told["context"] = Setting(context.name, f"current in {', '.join(map(str, paths()))}")
    if found["namespace"].value is None:
        told["namespace"] = Setting(context.namespace, f"context {context.name}")
    return told
