"""``launcher resume``: go on with a run that has not finished."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Detach,
    Namespace,
    Output,
    Overrides,
    Replace,
    Root,
    Run,
    Threads,
    whole_seconds,
)
from launcher.commands.following import report_detached, run_in_foreground
from launcher.commands.following import watch as watch_started
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.backends.base import Started


def resume(
    run: Run,
    root: Root = None,
    overrides: Overrides = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Worker processes; as many as before by default.")
    ] = None,
    threads: Threads = None,
    image: Annotated[
        str | None, typer.Option("--image", help="Another image than before; Kubernetes only.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="Other memory of each worker, such as 8Gi; Kubernetes only."),
    ] = None,
    grace_seconds: Annotated[
        int | None,
        typer.Option(
            "--grace",
            metavar="TIME",
            parser=whole_seconds,
            help="What a worker may take to save when it is stopped.",
        ),
    ] = None,
    abandon: Annotated[
        bool,
        typer.Option(
            "--abandon",
            help="With --context or --namespace: do not ask the place where the run was, which is gone.",
        ),
    ] = False,
    pod_labels: Annotated[
        list[str] | None,
        typer.Option("--pod-label", metavar="KEY=VALUE", help="One more label of the pods; may be repeated."),
    ] = None,
    pod_annotations: Annotated[
        list[str] | None,
        typer.Option(
            "--pod-annotation", metavar="KEY=VALUE", help="One more annotation of the pods; may be repeated."
        ),
    ] = None,
    accept_changed_data: Annotated[
        bool,
        typer.Option(
            "--accept-changed-data",
            help="Go on though the data is not what the run began with; its record says so.",
        ),
    ] = False,
    replace: Replace = False,
    detach: Detach = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow a run on Kubernetes; local runs are followed anyway.")
    ] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Go on with a run from its newest checkpoint.

    Only `steps`, to a higher value, `recovery` and `health` can be set; the number of workers may change.
    A run that has collapsed wants a change of `health`, such as `--set health.on_collapse=warn`.
    Pods get more grace than before, which is told, where the last checkpoint took too long to save for it.
    It trains on the data that it began with: what was added since waits for the next run, and what has
    changed or is gone is refused by name.
    An attempt that is under way is left alone, which is an error, unless --replace says otherwise.

    Example: launcher resume demo-20260102-x7k2 --set steps=8000
    """
    from launcher.runs import verbs
    from launcher.spec.kinds import is_here
    from launcher.spec.settings import given

    place = place_of(root, context, namespace)
    here = is_here(verbs.locate(place, run).backend.name)
    changes: dict[str, Any] = {"workers": workers, "threads": threads, "image": image, "memory": memory}
    changes["grace_seconds"] = grace_seconds
    changes["accept_changed_data"] = accept_changed_data
    more = given({"pod_labels": pod_labels, "pod_annotations": pod_annotations})
    changes |= {field: more.entries(field) or None for field in ("pod_labels", "pod_annotations")}

    def start() -> "Started":
        if replace:
            from launcher.runs import rerunning

            return rerunning.resume(place, run, overrides or (), **changes)
        return verbs.resume(place, run, overrides or (), abandon=abandon, **changes)

    if here and not detach:
        run_in_foreground(start, output)
    elif watch:
        watch_started(start(), output)
    else:
        report_detached(start(), output)
