"""From the options ``--root``, ``--context`` and ``--namespace``, and the settings' files, to a `Place`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.places import Place


def place_of(root: str | None, context: str | None, namespace: str | None) -> "Place":
    """Where to look for runs; what no option gives comes from ``gantry.yaml``, here or the user's own.

    What the options say goes before what a run recorded about itself, and commands that are printed from now
    on say it again; what a file says comes after.
    """
    from launcher.hints import remember
    from launcher.places import Place
    from launcher.settings import defaults

    remember(context, namespace)
    found = defaults().values
    return Place(
        root if root is not None else found.get("root"),
        context,
        namespace,
        found.get("context"),
        found.get("namespace"),
    )
