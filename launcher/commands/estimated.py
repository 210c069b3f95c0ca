"""An estimate in a few lines."""

from typing import TYPE_CHECKING

from launcher.commands.common import size
from launcher.spec.durations import spoken
from launcher.wording import counted

if TYPE_CHECKING:
    from launcher.diagnosis.duration import Duration
    from launcher.diagnosis.estimate import Estimate

_MARKS = {True: "yes", False: "no", None: "?"}
_WIDE = 12


def estimate_lines(found: "Estimate") -> list[str]:
    """What a run will take, a line for each thing."""
    rows = [("run", f"{found.experiment}/{found.run}, {found.backend}"), ("asks for", _asks(found))]
    needs = ", ".join(
        f"{name.replace('_', ' ')} {_mib(count)}" for name, count in found.worker_memory_bytes.items()
    )
    limit = "" if found.memory_limit_bytes is None else f" of {_mib(found.memory_limit_bytes)} MiB allowed"
    rows.append(
        ("memory", f"about {_mib(found.worker_memory_total_bytes)} MiB for each worker{limit} ({needs})")
    )
    if found.gpu_memory_bytes is not None:
        rows.append(("GPU memory", f"about {_mib(found.gpu_memory_bytes)} MiB for each replica"))
    rows.append(("checkpoint", f"{size(found.checkpoint_bytes)}, {found.parameters:,} parameters"))
    kinds = ", ".join(f"{name} {size(count)}" for name, count in found.bucket_bytes.items())
    rows.append(("leaves", f"about {size(found.bucket_total_bytes)} ({kinds})"))
    rows.append(("duration", duration_text(found.duration)))
    if found.proposed:
        options = " ".join(f"--set {key}={value}" for key, value in found.proposed.items())
        rows.append(("proposed", f"for what is off, StyleGAN2-ADA's rule and 5 % of the time: {options}"))
    rows += [(f"fits {each.where}", f"{_MARKS[each.fits]}: {each.text}") for each in found.fits]
    rows += [("warning", text) for text in found.warnings]
    wide = max(_WIDE, *(len(name) for name, _ in rows))
    return [f"{name:<{wide}}  {text}" for name, text in rows]


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f}"


def _asks(found: "Estimate") -> str:
    if found.cpu is None or found.memory_bytes is None:
        return f"{counted(found.pods, 'process', 'processes')} of this machine"
    gpus = f", {counted(found.gpus, 'GPU')}" if found.gpus else ""
    cores = "1 core" if found.cpu == 1 else f"{found.cpu:g} cores"
    return f"{counted(found.pods, 'pod')}, {cores}, {found.memory_bytes / 2**30:.4g}Gi of memory{gpus}"


def duration_text(found: "Duration | None") -> str:
    """How long a run takes, and how that is known."""
    if found is None:
        return "not known: no GPU was timed, and the experiment has no finished run that did the same"
    if found.run:
        how = f"as run '{found.run}' took, which did the same"
    else:
        how = f"estimated, for {found.cores:.3g} {'core' if found.cores == 1 else 'cores'} of each worker"
    return (
        f"about {spoken(found.seconds)}: {found.images:,} images in {found.steps:,} steps, "
        f"{found.seconds_per_1000_images:.3g} s for 1,000 images, {how}"
    )
