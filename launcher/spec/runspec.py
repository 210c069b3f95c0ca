"""What to run and on what: everything about a run that is not a hyperparameter.

A `RunSpec` is whole and checked before anything is written or sent: a value that the trainer or the cluster
would refuse is refused here already, as far as it can be known without the data and without asking.
"""

import math
import re
import string
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from launcher.errors import FieldError, refuse
from launcher.spec import durations, kinds
from launcher.spec.templates import check_profiles
from launcher.spec.validation import cores
from trainer.config import RunConfig, carry, overlaid, placed_overrides, resolve
from trainer.errors import ConfigError
from trainer.run import layout

_RANDOM_LENGTH = 4  # 26 * 36^3 = 1.2 million names for each preset and day

Count = Annotated[int, Field(ge=0, lt=2**31)]
Positive = Annotated[int, Field(ge=1, lt=2**31)]
Seconds = Annotated[Count, BeforeValidator(durations.read)]
SomeSeconds = Annotated[Positive, BeforeValidator(durations.read)]


class RunSpec(BaseModel):
    """One run as it is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    preset: str
    """Name of the preset."""
    overrides: tuple[str, ...] = ()
    """``key=value`` pairs laid over the preset, later ones winning."""
    root: Annotated[str, Field(min_length=1)] = "runs"
    """Folder or ``gs://bucket/prefix`` that holds all runs; pods reach a bucket only."""
    experiment: str = "gan"
    """Group of runs that belong together; a DNS label."""
    name: str = ""
    """Name of the run within its experiment; a DNS label, which on Kubernetes begins with a letter. An empty
    one is made of the preset, the day and four letters."""
    workers: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Worker processes, each with one replica or more."""
    threads: Positive | None = None
    """Threads of each worker; None shares the cores among them, or takes those that a pod asks for."""
    backend: str = ""
    """Where the workers run, a folder of ``launcher/backends``; `kinds.derive` decides if it is not given."""

    # All that follows is for the backends that take it, see `kinds.Kind.takes`: for Kubernetes, that is.
    image: str | None = None
    """Image of the workers, with a tag other than latest or with a digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When nodes fetch the image; None leaves what ``k8s/`` says."""
    gpus: Count = 0
    """GPUs of each worker, each one a replica."""
    cpu: str | None = None
    """Cores that each worker asks for, such as 4 or 500m; None leaves what ``k8s/`` says."""
    memory: str | None = None
    """Memory of each worker, such as 8Gi: asked for, and its limit; None leaves what ``k8s/`` says."""
    context: str | None = None
    """Context of the kubeconfig; None is the current one."""
    namespace: str | None = None
    """Namespace of the cluster; None is the context's."""
    profiles: tuple[str, ...] = ()
    """Components of ``k8s/`` that are laid over the Job, sorted; some fields bring theirs along."""
    queue: str | None = None
    """Queue of Kueue that the Job waits in; brings the profile kueue."""
    service_account: str | None = None
    """ServiceAccount of the namespace that the pods run as."""
    google_service_account: str | None = None
    """Service account of Google Cloud that the pods act as; brings the profile workload-identity."""
    env: dict[str, str] = {}
    """More of the workers' environment; nothing secret, because manifests and ``cluster.json`` show it."""
    env_secrets: dict[str, str] = {}
    """Variables whose values come from Secrets of the namespace, as ``SECRET/KEY``."""
    env_plain: tuple[str, ...] = ()
    """Variables of `env` that look like a secret and are none."""
    pod_labels: dict[str, str] = {}
    """More labels of the pods, by which a mesh is told to leave them alone, say."""
    pod_annotations: dict[str, str] = {}
    """More annotations of the pods, nothing secret."""
    backoff_limit: Count = 3
    """Failed pods after which the run has failed; disruptions do not count."""
    ttl_seconds_after_finished: Seconds = 86400
    """How long the cluster remembers the run when it is over; the bucket keeps it."""
    active_deadline_seconds: SomeSeconds | None = None
    """Time after which the run is ended, whatever its state."""
    grace_seconds: Seconds = 60
    """What a worker may take to save when it is asked to stop."""
    manifests: str | None = None
    """Folder that stands in for ``k8s/``."""

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: Any) -> Any:
        """Fill in what follows from other fields."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if values.get("backend") is None:
            values["backend"] = kinds.derive(values.get("image"), values.get("root"))[0]
        profiles = values.get("profiles") or ()
        if isinstance(profiles, list | tuple | set | frozenset) and all(isinstance(p, str) for p in profiles):
            implied = {profile for field, profile in IMPLIED.items() if values.get(field)}
            values["profiles"] = tuple(sorted({*profiles, *implied}))
            if "gpu" in profiles and not values.get("gpus"):
                values["gpus"] = 1
        kind = kinds.kind(values["backend"])
        _settle_overrides(values, kind)
        if not values.get("name") and isinstance(values.get("preset"), str):
            values["name"] = default_name(values["preset"], date.today(), _name_limit(kind, values))
        return values

    if not TYPE_CHECKING:  # where the fields are the signature

        def __init__(self, **values: Any) -> None:
            """Check the values of all fields.

            Raises:
                UserError: one is wrong; one line names the field, the value and what is expected.
            """
            try:
                super().__init__(**values)
            except ValidationError as failure:
                raise _told(failure) from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        layout.run_path(self.root, self.experiment, self.name)
        kind = kinds.kind(self.backend)
        kind.check(self)
        self._check_taken(kind)
        check_batch(self.config(), self.workers, self.gpus)
        check_profiles(self.profiles, self.manifests)
        return self

    def _check_taken(self, kind: kinds.Kind) -> None:
        """Refuse a field that means nothing to the backend."""
        fields = type(self).model_fields
        for field in kind.lacks(fields):
            value = getattr(self, field)
            if value != fields[field].default:
                shown = ", ".join(value) if isinstance(value, tuple | dict) else value
                hint = f"; {kind.hints[field]}" if field in kind.hints else ""
                raise refuse(field, shown, f"none, as backend is {kind.name}{hint}")

    _accepts_changed_data: bool = PrivateAttr(default=False)  # private: of one attempt, and never recorded

    @property
    def accepts_changed_data(self) -> bool:
        """Whether this attempt goes on with data that is not what the run began with."""
        return self._accepts_changed_data

    def accepting_changed_data(self) -> Self:
        """The same, for an attempt that does."""
        copy = self.model_copy()
        copy._accepts_changed_data = True
        return copy

    _begun: RunConfig | None = PrivateAttr(default=None)  # private: run.json has it

    def going_on_from(self, config: RunConfig) -> Self:
        """The same for a run that was begun as `config`, whatever its preset means by now."""
        copy = self.model_copy()
        copy._begun = config
        return copy

    @property
    def path(self) -> layout.RunPath:
        """The run's place."""
        return layout.RunPath(self.root, self.experiment, self.name)

    @property
    def pod_threads(self) -> int | None:
        """Threads of each worker in a pod; None leaves it to the trainer."""
        if self.threads is None and self.cpu is not None:
            return math.ceil(cores(self.cpu))
        return self.threads

    def config(self) -> RunConfig:
        """The resolved hyperparameters.

        Raises:
            ConfigError: unknown preset or key, or a value out of its range.
        """
        if self._begun is not None:
            return overlaid(self._begun, self.overrides)
        return resolve(self.preset, self.overrides)

    def carried(self) -> str:
        """The same for its trainers, which may be of another revision, see `trainer.config.carried`."""
        return carry(self.config(), self.preset, self.overrides)


IMPLIED = {"gpus": "gpu", "queue": "kueue", "google_service_account": "workload-identity"}
"""Profiles that fields bring along."""


def make_spec(preset: str, overrides: Iterable[str] = (), name: str | None = None, **values: Any) -> RunSpec:
    """A `RunSpec` of values that nothing has checked yet, as files and records have them.

    Raises:
        UserError: a value is wrong; one line names the field, the value and what is expected.
    """
    return RunSpec(preset=preset, overrides=tuple(overrides), name=name or "", **values)


def _settle_overrides(values: dict[str, Any], kind: kinds.Kind) -> None:
    """Refuse a wrong preset or override, and write out where the files of a run on this machine are.

    Before the rest, because a name made from an unknown preset would be blamed instead.

    Raises:
        ConfigError: with the preset's or the hyperparameter's name.
    """
    preset, given = values.get("preset"), values.get("overrides", ())
    if isinstance(given, str | dict) or not isinstance(given, Iterable):
        return  # pydantic's to refuse
    overrides = values["overrides"] = tuple(given)
    if not isinstance(preset, str) or not all(isinstance(each, str) for each in overrides):
        return
    resolve(preset, overrides)
    if kind.here:  # a path in a pod is that of its image
        values["overrides"] = placed_overrides(overrides)


def _told(failure: ValidationError) -> "FieldError":
    """The first thing that is wrong with a specification, in a line."""
    error = failure.errors()[0]
    field = ".".join(str(part) for part in error["loc"])
    expected = error["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    text = f"{field} is {error['input']!r}: {expected[0].lower()}{expected[1:]}"
    if error["type"] == "missing":
        text = f"{field} is not given: expected one"
    elif error["type"] == "extra_forbidden":
        near = get_close_matches(field, RunSpec.model_fields, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        text = f"{field} is {error['input']!r}: expected no such field{hint}"
    return FieldError(field.partition(".")[0], text)


def _name_limit(kind: kinds.Kind, values: dict[str, Any]) -> int:
    workers = values.get("workers", 1)
    return kind.name_limit(workers) if isinstance(workers, int) else kinds.NAME_LENGTH


def default_name(preset: str, day: date, limit: int = kinds.NAME_LENGTH) -> str:
    """Preset, date and a short random part: sorts by day and is a DNS label of at most `limit` characters."""
    import secrets  # 0.03 s, which a run that has a name need not pay

    letters, alphabet = string.ascii_lowercase, string.ascii_lowercase + string.digits
    # A letter first: four digits would read as the time of day of a schedule's firing.
    choices = (letters, *(_RANDOM_LENGTH - 1) * (alphabet,))
    tail = f"-{day:%Y%m%d}-" + "".join(map(secrets.choice, choices))
    head = re.sub(r"[^a-z0-9]+", "-", preset.lower()).strip("-") or "run"
    if not head[0].isalpha():  # pods are named after the run, and begin with a letter
        head = f"run-{head}"
    return head[: limit - len(tail)].rstrip("-") + tail


def check_batch(config: RunConfig, workers: int, gpus: int = 0) -> None:
    """Refuse a number of workers, with so many GPUs each, that cannot share the global batch evenly.

    Raises:
        ConfigError: with the nearest batch sizes that could be shared.
    """
    replicas = workers * max(1, gpus)
    try:
        config.per_replica_batch(replicas)
    except ValueError as error:
        if config.batch_size % replicas == 0:
            raise ConfigError(str(error)) from None
        below = config.batch_size // replicas * replicas
        near = f"{below} or {below + replicas}" if below else str(replicas)
        who = f"{workers} workers" + (f" with {gpus} GPUs each" if gpus > 1 else "")
        raise ConfigError(
            f"batch_size is {config.batch_size}: expected a multiple of the {who}, such as {near}"
        ) from None
