"""From the options ``--root``, ``--context`` and ``--namespace``, and the settings' files, to a `Place`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.places import Place


def place_of(root: str | None, context: str | None, namespace: str | None) -> "Place":
    """Where to look for runs; what no option gives comes from ``gantry.yaml``, here or the user's own."""
    from launcher.places import Place
    from launcher.settings import defaults

    found = defaults().values
    return Place(
        root if root is not None else found.get("root"),
        context if context is not None else found.get("context"),
        namespace if namespace is not None else found.get("namespace"),
    )
