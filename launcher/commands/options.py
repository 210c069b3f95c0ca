"""The flags that say what a run is, shared by the commands that take them all.

A command declares ``flags: RunFlags`` as its first parameter and is wrapped in `with_run_flags`; Typer then
sees the fields of the class as options of the command, and help, completion and types come with them.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import typer

from launcher.commands.common import (
    Context,
    Namespace,
    Overrides,
    Root,
    Threads,
    at_home,
    note_about,
    whole_seconds,
)

if TYPE_CHECKING:
    from launcher.spec.runspec import RunSpec
    from launcher.spec.settings import Layered

P = ParamSpec("P")
Flags = TypeVar("Flags", bound="RunFlags")


def _preset_names(incomplete: str) -> list[str]:
    from trainer.config import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


def _profile_names(incomplete: str) -> list[str]:
    from launcher.spec.templates import profile_names

    return [name for name in profile_names() if name.startswith(incomplete)]


def _option(*names: str, help: str, **more: Any) -> Any:
    """An option without a default of its own, because a settings' file may have one."""
    return typer.Option(*names, help=help, show_default=False, **more)


@dataclasses.dataclass
class RunFlags:
    """What the command line says of a run, by field of `RunSpec`; None where it says nothing."""

    preset: Annotated[
        str | None,
        _option(
            "--preset",
            help="What to train; `python -m trainer presets` lists them.",
            autocompletion=_preset_names,
        ),
    ] = None
    file: Annotated[
        Path | None,
        _option(
            "--file",
            "-f",
            metavar="FILE",
            help="YAML file with any of these settings; flags win over it.",
            callback=at_home,
        ),
    ] = None
    workers: Annotated[int | None, _option("--workers", help="Worker processes that train together.")] = None
    backend: Annotated[
        str | None,
        _option(
            "--backend", help="local or kubernetes; the latter if there is an image or the root is a bucket."
        ),
    ] = None
    root: Root = None
    experiment: Annotated[
        str | None, _option("--experiment", help="Group of runs that belong together; gan by default.")
    ] = None
    name: Annotated[
        str | None, _option("--name", help="Name of the run; made from preset and date when left out.")
    ] = None
    overrides: Overrides = None
    data: Annotated[
        str | None,
        _option(
            "--data",
            metavar="SOURCE",
            help="Real images, such as gs://bucket/faces/latest/ for shards in a bucket, or idx:/data/mnist. "
            "Short for --set data.source=… and refused beside one; wins over files.",
        ),
    ] = None
    warm_start: Annotated[
        str | None,
        _option(
            "--warm-start",
            metavar="RUN",
            help="Begin with the weights of this run of the same experiment; latest is the newest finished "
            "one. Short for --set warm_start.run=RUN and refused beside one; wins over files. More with "
            "--set warm_start.optimizer=kept, warm_start.required=false, warm_start.fit=some and "
            "warm_start.freeze=LAYERS.",
        ),
    ] = None
    stop_when_no_better: Annotated[
        int | None,
        _option(
            "--stop-when-no-better",
            metavar="K",
            help="End the run when K evaluations in a row were no better than the best. Short for --set "
            "evaluation.stop_when_no_better=K and refused beside one; needs evaluation.every_steps.",
        ),
    ] = None
    threads: Threads = None
    image: Annotated[
        str | None,
        _option(
            "--image",
            metavar="NAME:TAG",
            help="Image of the workers, with a tag or a digest.",
        ),
    ] = None
    image_pull_policy: Annotated[
        str | None,
        _option("--image-pull-policy", metavar="WHEN", help="Always, IfNotPresent or Never."),
    ] = None
    gpus: Annotated[int | None, _option("--gpus", help="GPUs of each worker.")] = None
    cpu: Annotated[str | None, _option("--cpu", help="Cores that each worker asks for: 4, 500m.")] = None
    memory: Annotated[str | None, _option("--memory", help="Memory of each worker, also its limit: 8Gi.")] = (
        None
    )
    context: Context = None
    namespace: Namespace = None
    profiles: Annotated[
        list[str] | None,
        _option(
            "--profile",
            metavar="NAME",
            help="Component of k8s/ to lay over the Job, such as spot; may be repeated.",
            autocompletion=_profile_names,
        ),
    ] = None
    queue: Annotated[str | None, _option("--queue", help="Queue of Kueue to wait in.")] = None
    service_account: Annotated[
        str | None,
        _option("--service-account", metavar="NAME", help="ServiceAccount of the pods."),
    ] = None
    google_service_account: Annotated[
        str | None,
        _option(
            "--google-service-account",
            metavar="EMAIL",
            help="Service account of Google Cloud that the pods act as (Workload Identity).",
        ),
    ] = None
    env: Annotated[
        list[str] | None,
        _option(
            "--env",
            metavar="KEY=VALUE",
            help="Variable of the workers' environment, nothing secret; may be repeated.",
        ),
    ] = None
    env_secrets: Annotated[
        list[str] | None,
        _option(
            "--env-secret",
            metavar="KEY=SECRET/KEY",
            help="Variable that pods take from a Secret of the namespace; may be repeated.",
        ),
    ] = None
    env_plain: Annotated[
        list[str] | None,
        _option(
            "--env-plain",
            metavar="KEY",
            help="Variable of --env that looks like a secret and is none; may be repeated.",
        ),
    ] = None
    pod_labels: Annotated[
        list[str] | None,
        _option(
            "--pod-label",
            metavar="KEY=VALUE",
            help="Label of the pods, such as sidecar.istio.io/inject=false; may be repeated.",
        ),
    ] = None
    pod_annotations: Annotated[
        list[str] | None,
        _option(
            "--pod-annotation",
            metavar="KEY=VALUE",
            help="Annotation of the pods, such as linkerd.io/inject=disabled; may be repeated.",
        ),
    ] = None
    backoff_limit: Annotated[
        int | None,
        _option("--backoff-limit", help="Failed pods that a run may have; 3 by default."),
    ] = None
    ttl_seconds_after_finished: Annotated[
        int | None,
        _option(
            "--ttl",
            metavar="TIME",
            parser=whole_seconds,
            help="How long the cluster remembers a finished run, such as 90m; a day by default.",
        ),
    ] = None
    active_deadline_seconds: Annotated[
        int | None,
        _option(
            "--deadline",
            metavar="TIME",
            parser=whole_seconds,
            help="End the run after that time, such as 90s, 12h or 2d.",
        ),
    ] = None
    grace_seconds: Annotated[
        int | None,
        _option(
            "--grace",
            metavar="TIME",
            parser=whole_seconds,
            help="What a worker may take to save when it is stopped; 60s by default.",
        ),
    ] = None
    manifests: Annotated[
        str | None,
        _option("--manifests", metavar="DIR", help="Folder that stands in for k8s/."),
    ] = None

    def of_run(self) -> dict[str, Any]:
        """What they say of a run, without what a kind of them says beside; an empty list says nothing."""
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(RunFlags)}
        return {name: None if value == [] else value for name, value in said.items()}

    def settings(self) -> "Layered":
        """These flags laid over the settings' files.

        Raises:
            SpecError: a file has a mistake.
        """
        from launcher.spec.settings import layered

        given = self.of_run()
        return layered(given, given.pop("file"))

    def spec(self) -> "RunSpec":
        """The checked run that these flags and the settings' files ask for.

        Raises:
            UserError: a value is wrong, or the kubeconfig has no such context.
        """
        from launcher.spec.kubeconfig import current
        from launcher.spec.settings import spec_from

        spec = spec_from(self.settings())
        if spec.context is not None:
            current(spec.context)
        note_about(spec)
        return spec


def with_run_flags(command: Callable[Concatenate[Flags, P], None]) -> Callable[..., None]:
    """A command whose options are those of `RunFlags`, or of a kind of it, followed by its own."""
    first, *own = inspect.signature(command, eval_str=True).parameters.values()
    kind: type[Flags] = first.annotation
    hints = get_type_hints(kind, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(kind)
    ]

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        given = {field.name: values.pop(field.name) for field in dataclasses.fields(kind)}
        command(kind(**given), **values)  # type: ignore[call-arg]

    parameters = [*shared, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own)]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapper
