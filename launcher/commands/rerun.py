"""``launcher rerun``: a run again under a new name, with changes."""

from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import TEXT, Detach, Output, Quiet, Replace, note
from launcher.commands.completion import complete_run
from launcher.commands.options import RunFlags, with_run_flags
from launcher.commands.place import place_of
from launcher.commands.submit import DryRunOption, Estimate, How, Watch, begin

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.backends.base import Started


@with_run_flags
def rerun(
    flags: RunFlags,
    run: str = typer.Argument(
        metavar="RUN",
        help="Name of the run that is to be trained again, or experiment/name.",
        show_default=False,
        autocompletion=complete_run,
    ),
    unset: Annotated[
        list[str] | None,
        typer.Option(
            "--unset",
            metavar="NAME",
            help="What the new run shall not have of the old one's: a field such as manifests or queue, or "
            "an entry such as env.LEVEL or set.steps; may be repeated.",
        ),
    ] = None,
    to_root: Annotated[
        str | None,
        typer.Option(
            "--to-root", metavar="ROOT", help="Another root for the new run; --root says where RUN is."
        ),
    ] = None,
    replace: Replace = False,
    detach: Detach = False,
    follow: Watch = False,
    dry_run: DryRunOption = None,
    estimate: Estimate = False,
    quiet: Quiet = False,
    output: Output = TEXT,
) -> None:
    """Train a run again from its beginning, under a new name: all that it was asked for, with changes.

    Flags and the file of -f are laid over what the run was started with; $GANTRY_ROOT and gantry.yaml do not
    count. A run that is under way goes on beside the new one unless --replace is given; then everything is
    checked before it is stopped: settings, storage, permissions, the server's judgement and what the pods
    name, such as Secrets. With --warm-start RUN, the old run's own name included, the new one begins with
    weights that are there.

    Example: launcher rerun demo-20260102-x7k2 --set optimizer.learning_rate=2e-5

    Example: launcher rerun demo-20260102-x7k2 --replace --memory 8Gi --unset env.LEVEL --watch
    """
    from launcher.runs import rerunning
    from launcher.spec.settings import given

    said = flags.of_run()
    settings = given(said, said.pop("file"))
    typed = {key: settings.settings[key].value for key in settings.settings if key in _PLACE}
    new = {key: each for key, each in settings.settings.items() if key != "root"}
    place = place_of(typed.get("root"), typed.get("context"), typed.get("namespace"))
    planned = rerunning.plan(place, run, type(settings)(new), unset=unset or (), root=to_root)

    def start(ready: "Callable[[], object]") -> "Started":
        started = rerunning.begin(planned, replace=replace, ready=ready)
        if not quiet:
            note(f"run '{planned.found.path.name}' is trained again as '{started.path.name}'")
        return started

    begin(planned.spec, start, How(detach, follow, dry_run, estimate, quiet, output))


_PLACE = ("root", "context", "namespace")
