"""From the options ``--root``, ``--context`` and ``--namespace``, and the settings' files, to a `Place`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.runs.find import Place


def place_of(root: str | None, context: str | None, namespace: str | None) -> "Place":
    """Where to look for runs; what no option gives comes from ``gantry.yaml``, here or the user's own.

    What the options say goes before what a run recorded about itself, and commands that are printed from now
    on say it again; what a file says comes after.

    Raises:
        SpecError: there is no context of the name that was typed. One in ``gantry.yaml``, which may have been
            written elsewhere, matters only to what asks a cluster.
    """
    from launcher.runs.find import Place
    from launcher.spec.kubeconfig import check_context
    from launcher.spec.next_commands import remember
    from launcher.spec.settings import defaults

    if context is not None:
        check_context(context)
    remember(context, namespace)
    found = defaults().values
    return Place(
        root if root is not None else found.get("root"),
        context,
        namespace,
        found.get("context"),
        found.get("namespace"),
    )
