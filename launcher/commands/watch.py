"""``launcher watch``: a run as a page that is redrawn until it ends."""

import shlex
from dataclasses import replace

import typer

from launcher.commands.common import Context, Namespace, Root, Run, note
from launcher.commands.place import place_of

_EXIT_FAILED = 1


def watch(run: Run, root: Root = None, context: Context = None, namespace: Namespace = None) -> None:
    """Watch a run on a page of the terminal: progress, losses, workers, log, and its newest grid of samples.

    Looks every 2 seconds. q leaves, and so does Ctrl-C; the run goes on. When the run ends, its last page
    stays and the exit code is that of wait: 0 when it has finished, 1 when it failed or was stopped, 3 when
    there is no such run. Where stdout is no terminal, `launcher status RUN --watch` writes lines instead.

    Example: launcher watch demo-20260102-x7k2
    """
    from rich.console import Console

    from launcher.backends.outcome import way_on
    from launcher.diagnosis.explain import explained
    from launcher.looking.tui import Feed, check_terminal, draw, show
    from launcher.records.states import FINISHED
    from launcher.runs.find import locate
    from launcher.spec.next_commands import command_line

    screen = Console(highlight=False)
    typed = {"--root": root, "--context": context, "-n": namespace}
    where = [word for flag, value in typed.items() if value is not None for word in (flag, value)]
    check_terminal(screen, shlex.join(["launcher", "status", run, "--watch", *where]))
    place = place_of(root, context, namespace)
    located = locate(place, run)
    feed = Feed(located)
    again = command_line("watch", located.found.path)
    try:
        page = show(feed.look, feed.look(), screen)
    except KeyboardInterrupt:
        note(f"the run goes on; watch it again with `{again}`")
        raise
    if page.status.live:
        note(f"the run goes on; watch it again with `{again}`")
        return
    if page.status.state == FINISHED:
        screen.print(draw(page, screen.width, screen.height - 1, hint=""))
        return
    now = explained(place, page.status)
    hint = way_on(now) if now.resumable else ""
    screen.print(draw(replace(page, status=now), screen.width, screen.height - 1, hint))
    raise typer.Exit(_EXIT_FAILED)
