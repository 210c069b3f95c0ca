"""Where ``k8s/`` is, and which profiles it has: in a checkout beside the package, in a wheel inside it."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from launcher.errors import FieldError
from trainer.environment.paths import expanded

KUSTOMIZATION = "kustomization.yaml"
COMPONENTS = "components"
UNMEASURED = "no-disk-request"
"""The profile for nodes that do not measure their disks."""


def folder(manifests: str | None = None) -> Path:
    """The folder of manifests: `manifests` if it is given, else the one that comes with Gantry.

    Raises:
        FieldError: there is no kustomization in it.
    """
    if manifests is not None:
        found = Path(expanded(manifests, "manifests"))
        if not (found / KUSTOMIZATION).is_file():
            raise FieldError(
                "manifests", f"manifests is '{manifests}': expected a folder with a {KUSTOMIZATION}"
            )
        return found
    package = Path(__file__).resolve().parents[1]
    inside = package / "k8s"
    return inside if inside.is_dir() else package.parent / "k8s"


def profile_names(manifests: str | None = None) -> list[str]:
    """Profiles that a run can have, sorted."""
    components = folder(manifests) / COMPONENTS
    return sorted(path.parent.name for path in components.glob(f"*/{KUSTOMIZATION}"))


def check_profiles(profiles: Iterable[str], manifests: str | None = None) -> None:
    """Refuse a profile that there is no component for, and a folder that holds no manifests.

    Raises:
        FieldError: with the nearest profile, and all that there are.
    """
    known = profile_names(manifests)
    for profile in profiles:
        if profile not in known:
            near = difflib.get_close_matches(profile, known, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            raise FieldError(
                "profiles", f"unknown profile '{profile}'{hint}; profiles are {', '.join(known) or 'none'}"
            )
