"""What processes of this machine ask of a specification."""

from typing import Any

from launcher.errors import refuse
from launcher.spec.kinds import Kind
from launcher.spec.runspec import RunSpec


def _check(spec: RunSpec) -> None:
    """Refuse a root that is a bucket.

    Raises:
        FieldError: with what trains there.
    """
    if spec.root.startswith("gs://"):
        alone = f"`python -P -m trainer train --root {spec.root}` trains into a bucket with one worker"
        raise refuse("root", spec.root, f"a folder, as backend is local; {alone}")


def _claims(image: Any, root: Any) -> str:
    return "as there is no image and root is no bucket"


KIND = Kind(
    name="local",
    check=_check,
    here=True,
    last=True,
    takes=frozenset(),
    hints={
        "gpus": "workers here use what GPUs TensorFlow finds (gantry[trainer-gpu]), and CUDA_VISIBLE_DEVICES "
        "chooses"
    },
    claims=_claims,
)
