"""``launcher render``: what `submit` would send to a cluster."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from launcher.commands.options import RunFlags, with_run_flags


class ManifestFormat(StrEnum):
    """How manifests are written."""

    yaml = "yaml"
    json = "json"


@with_run_flags
def render(
    flags: RunFlags,
    output: Annotated[
        ManifestFormat,
        typer.Option("--output", "-o", help="yaml: one document for each object; json: one List."),
    ] = ManifestFormat.yaml,
) -> None:
    """Print the manifests that submit would send, byte for byte, and send nothing.

    The Job is suspended; submit lets it go when its children are there. Give a --name: a run without one gets
    another each time.

    Example: launcher render --preset demo --name one --image REGISTRY/gantry:0.1.0 --root gs://bucket/gan
    """
    from launcher import render as rendering

    manifests = rendering.render(flags.spec())
    write = rendering.to_json if output is ManifestFormat.json else rendering.to_yaml
    sys.stdout.write(write(manifests))
