"""What a run was asked for, as its own record tells it, and the same with changes."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from launcher.backends.base import Backend
from launcher.errors import SpecError
from launcher.records.run_folder import Found
from launcher.runs.find import backend_of
from launcher.spec import kinds
from launcher.spec.redaction import looks_secret, without_password
from launcher.spec.runspec import IMPLIED, RunSpec
from launcher.spec.settings import Layered, flag_of, recorded
from launcher.spec.yaml_file import OVERRIDES, Setting
from trainer.config import RunConfig, resolve, validate
from trainer.errors import ConfigError
from trainer.run import layout

_GROUPS = (OVERRIDES, "env", "env_secrets", "pod_labels", "pod_annotations")
_NOT_ASKED = ("name", "preset", "backend")  # a new run has a name of its own; the other two come first
HIDDEN = "..."
_MOVES = {"env": "env_secrets", "env_secrets": "env"}  # a variable is in one of them


def asked(found: Found, run: Mapping[str, Any] | None, backend: Backend | None = None) -> dict[str, Any]:
    """Fields of `RunSpec` that the newest attempt was started with, those of the run's place included.

    Args:
        found: the run.
        run: its ``run.json``, None or empty when there is none.
        backend: its own, which may know a firing that has not written its record yet.

    Returns:
        Nothing where no record says it.

    Raises:
        GantryError: the backend's record or ``run.json`` is damaged.
    """
    backend = backend or backend_of(found, ask=False)
    place = {"root": found.path.root, "experiment": found.path.experiment, "name": found.path.name}
    fields, own = backend.asked(found), {"backend": backend.name}
    if fields is not None:
        return {**place, **fields, **own} if fields else {}
    if not run or not run.get("preset"):
        return {}
    shape = {"preset": run["preset"], "overrides": begun_with(found, run)}
    return {**shape, "workers": int(run.get("world_size") or 1), **place, **own}


def begun_with(found: Found, run: Mapping[str, Any]) -> tuple[str, ...]:
    """Overrides that the run was begun with; a run that was resumed with more steps has these by now.

    Whether this launcher would take them is for whoever begins a run with them.
    """
    before = tuple(map(str, run.get("overrides") or ()))
    with suppress(ConfigError):
        steps = configuration(found, run).steps
        if resolve(run["preset"], before).steps != steps:
            return merge(before, (f"steps={steps}",))
    return before


def configuration(found: Found, run: Mapping[str, Any]) -> RunConfig:
    """The configuration in ``run.json``.

    Raises:
        ConfigError: it is damaged.
    """
    where = f"{found.store.url}/{layout.RUN}"
    if not isinstance(run.get("config"), dict) or not isinstance(run.get("preset"), str):
        raise ConfigError(f"{where}: expected a run's preset and configuration")
    return validate(run["config"], where)


def merge(before: tuple[str, ...], overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Both groups of ``key=value``, each key once with its last value, in the order of first mention."""
    values = {override.partition("=")[0]: override for override in (*before, *overrides)}
    return tuple(values.values())


def laid_over(spec: Mapping[str, Any], given: Layered, origin: str, unset: Iterable[str] = ()) -> Layered:
    """The settings of a recorded specification without those of `unset`, and with others laid over the rest.

    Args:
        spec: fields of `RunSpec` as JSON.
        given: what wins, entry by entry as everywhere; variables of ``env_plain`` are added to.
        origin: where `spec` was recorded.
        unset: a field, ``set``, ``env`` or ``env_secrets``, or an entry of those such as ``set.steps``.

    Raises:
        SpecError: there is nothing of a name in `unset`.
    """
    settings = dict(recorded(spec, origin).settings)
    for name in unset:
        _take(settings, name)
    for key in given.settings:
        group, _, entry = key.partition(".")
        if group in _MOVES:
            settings.pop(f"{_MOVES[group]}.{entry}", None)
    plain = settings.pop("env_plain", None)
    settings |= given.settings
    _keep_plain(settings, plain, given)
    for field, profile in IMPLIED.items():  # which came along with a field that is no more
        lost = field in unset or (field in given.settings and not given.settings[field].value)
        if lost and "profiles" in settings and "profiles" not in given.settings:
            had = settings["profiles"]
            settings["profiles"] = had._replace(value=tuple(each for each in had.value if each != profile))
    return Layered(settings)


def _take(settings: dict[str, Setting], name: str) -> None:
    gone = [key for key in settings if key == name or (name in _GROUPS and key.startswith(f"{name}."))]
    if not gone:
        raise SpecError(f"--unset {name}: expected one of what the run has: {', '.join(sorted(settings))}")
    for key in gone:
        del settings[key]


def _keep_plain(settings: dict[str, Setting], plain: Setting | None, given: Layered) -> None:
    """Variables that were declared to be no secrets still are, as far as they are still there."""
    more = given.settings.get("env_plain")
    if plain is None:
        return
    kept = [name for name in plain.value if f"env.{name}" in settings]
    names = tuple(dict.fromkeys([*kept, *(more.value if more else ())]))
    settings.pop("env_plain", None)
    if names:
        settings["env_plain"] = (more or plain)._replace(value=names)


def submit_words(values: Mapping[str, Any]) -> list[str] | None:
    """The command that asks for a run anew, word by word; None where nothing says how it was started.

    It needs nothing of the run, as a report may be all that is left of it or all that somebody has. What
    looks like a secret is left out: its value is ``...``.
    """
    if not values.get("preset"):
        return None
    words = ["launcher", "submit", "--preset", str(values["preset"])]
    if values.get("backend") != kinds.derive(values.get("image"), values.get("root"))[0]:
        words += ["--backend", str(values["backend"])]
    for field, info in RunSpec.model_fields.items():
        value = values.get(field)
        unset = (
            value is None or value in ((), [], {}) or (not info.is_required() and value == info.get_default())
        )
        if field not in _NOT_ASKED and not unset:
            texts = _texts(field, value, values.get("env_plain") or ())
            words += [word for text in texts for word in (flag_of(field), text)]
    return words


def _texts(field: str, value: Any, plain: Collection[str]) -> Iterator[str]:
    """The value of a flag each time that it is given."""
    if isinstance(value, dict):
        for key, text in value.items():
            hidden = field == "env" and key not in plain and looks_secret(key, str(text))
            yield f"{key}={HIDDEN if hidden else text}"
    elif isinstance(value, list | tuple):
        yield from (without_password(str(text)) for text in value)
    else:
        yield without_password(str(value))
