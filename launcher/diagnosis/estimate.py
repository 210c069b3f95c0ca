"""What a run will ask for and leave behind, said before it exists: nothing is sent and nothing written.

Sizes of networks and checkpoints are exact (`trainer.networks.sizes`), memory goes by what was measured
(`footprint`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from launcher.backends.kubernetes.capacity.fits import Fit
from launcher.diagnosis.duration import Duration, duration
from launcher.errors import Transient
from launcher.spec.footprint import Footprint, data_bytes, footprint
from launcher.spec.kinds import has_pods
from launcher.spec.runspec import RunSpec
from launcher.wording import counted
from trainer.config import RunConfig, price, proposals
from trainer.errors import GantryError
from trainer.networks.sizes import Sizes, sizes

if TYPE_CHECKING:
    from launcher.backends.kubernetes.client.api import Api

_MIB = 2**20
_LINE_BYTES = 240  # of metrics/, measured 233 to 237
_LOG_BYTES, _LOG_LINE_BYTES = 4000, 110  # of a worker's log, both on the safe side
_EVALUATION_BYTES = 3500  # measured, with what the line has of it
_PICTURE_BYTES = 60_000  # export/loss.png
_GRID = 1.6  # bytes of a grid for each of its images' pixels: 1.54 of grey noise, enlarged to be seen
_OTHER_GRIDS = 2  # before the first step, and of real images


@dataclass(frozen=True)
class Estimate:
    """What a run will take; bytes, cores and seconds."""

    experiment: str
    run: str
    backend: str
    pods: int
    """Worker processes where the backend is local."""
    gpus: int
    cpu: float | None
    """Cores that are asked for in all; None on this machine, where nothing is set aside."""
    memory_bytes: int | None
    """Memory that is asked for in all."""
    memory_limit_bytes: int | None
    """Of each worker."""
    worker_memory_bytes: dict[str, int]
    """What each worker needs, by what it is for; of a GPU's own memory, see `gpu_memory_bytes`."""
    worker_memory_total_bytes: int
    gpu_memory_bytes: int | None
    """What one replica needs of its GPU, None without GPUs."""
    parameters: int
    checkpoint_bytes: int
    bucket_bytes: dict[str, int]
    """What the run's folder holds at the end, by kind; grids at most, as they are compressed."""
    bucket_total_bytes: int
    duration: Duration | None
    """None on a GPU, unless a run of the experiment's index shows the speed."""
    proposed: dict[str, str]
    """Values that rules have for what is off, by key."""
    fits: list[Fit] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def estimate(spec: RunSpec, api: "Api | None" = None) -> Estimate:
    """What a run will take. `api` is its cluster, connected to when it is None and the run is for one.

    What cannot be asked, or may not be, is said in `fits` rather than raised.

    Raises:
        UserError: the run cannot be: a profile, a batch, the files of ``k8s/``.
    """
    config = spec.config()
    found = sizes(config)
    needs = footprint(config, spec.workers, spec.gpus, pods=has_pods(spec.backend))
    bucket = bucket_growth(config, found, spec.workers)
    asks, manifests = _asked(spec)
    limit = asks.pop("limit")
    fit = _on_cluster(spec, manifests, api) if manifests else [_on_this_machine(spec, needs.total)]
    return Estimate(
        experiment=spec.experiment,
        run=spec.name,
        backend=spec.backend,
        pods=spec.workers,
        gpus=spec.workers * spec.gpus,
        **asks,
        memory_limit_bytes=limit,
        worker_memory_bytes=needs.host,
        worker_memory_total_bytes=needs.total,
        gpu_memory_bytes=needs.gpu,
        parameters=found.parameters,
        checkpoint_bytes=found.checkpoint_bytes,
        bucket_bytes=bucket,
        bucket_total_bytes=sum(bucket.values()),
        duration=duration(spec, config, asks["cpu"]),
        proposed={key: value for each in proposals(config) for key, value in each.values.items()},
        fits=fit,
        warnings=_warnings(spec, config, needs, limit),
    )


def bucket_growth(config: RunConfig, found: Sizes, workers: int) -> dict[str, int]:
    """Bytes of a finished run's folder, by kind."""
    steps = config.steps
    saved = {*range(config.checkpoints.every_steps, steps + 1, config.checkpoints.every_steps), steps}
    every = config.checkpoints.keep_every
    kept = set(sorted(saved)[-config.checkpoints.keep :]) | {s for s in saved if every and s % every == 0}
    image = math.prod(config.image.shape) * math.prod(config.grid)
    printed = math.ceil(steps / config.metrics.print_every_steps)
    judged, best = price(config).evaluations, config.evaluation.on
    return {
        "checkpoints": (len(kept) + best) * found.checkpoint_bytes,
        "samples": (math.ceil(steps / config.samples.every_steps) + _OTHER_GRIDS) * round(_GRID * image),
        "metrics": math.ceil(steps / config.metrics.every_steps) * _LINE_BYTES,
        "logs": workers * (_LOG_BYTES + printed * _LOG_LINE_BYTES),
        **({"evaluations": judged * _EVALUATION_BYTES} if best else {}),
        "export": (1 + best) * found.generator_bytes + _PICTURE_BYTES,
    }


def _asked(spec: RunSpec) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Cores and memory that the run's manifests ask for, and the manifests; nothing for a local run."""
    if not has_pods(spec.backend):
        return {"cpu": None, "memory_bytes": None, "limit": None}, []
    from launcher.backends.kubernetes.capacity.requests import limits_of, requests_of, times
    from launcher.render import render

    manifests = render(spec)
    pod = manifests[0]["spec"]["template"]["spec"]
    asked, limits = times(spec.workers, requests_of(pod)), limits_of(pod)
    limit = limits.get("memory")
    return {
        "cpu": float(asked.get("cpu", 0)),
        "memory_bytes": int(asked.get("memory", 0)),
        "limit": None if limit is None else int(limit),
    }, manifests


def _warnings(spec: RunSpec, config: RunConfig, needs: Footprint, limit: int | None) -> list[str]:
    found = []
    if limit is not None and limit < needs.total:
        found.append(
            f"each worker needs about {_shown(needs.total)} and may have {_shown(limit)}: it may be killed "
            f"for want of memory; ask for --memory {needs.to_ask_for}"
        )
    if data_bytes(config) is None and config.data.placement != "stream":
        found.append(
            f"data.source {config.data.source}: its size is not known here, and up to "
            f"{config.data.memory_limit_mb} MiB of it stay in each worker's memory"
        )
    if spec.gpus:
        found.append(
            "what TensorFlow takes of the host's memory beside GPUs was not measured, and may be more"
        )
    return found


def _shown(count: int) -> str:
    return f"{math.ceil(count / _MIB)} MiB"


def _on_this_machine(spec: RunSpec, total: int) -> Fit:
    import psutil

    free, needed = psutil.virtual_memory().available, spec.workers * total
    return Fit(
        "this machine",
        needed <= free,
        f"about {_shown(needed)} of memory for {counted(spec.workers, 'process', 'processes')}, "
        f"{_shown(free)} are free",
    )


def _on_cluster(spec: RunSpec, manifests: Sequence[dict[str, Any]], api: "Api | None") -> list[Fit]:
    """Whether quotas and nodes leave room."""
    from launcher.backends.kubernetes.capacity.fitting import fit_in_quota, fit_on_nodes, nodes_and_pods
    from launcher.backends.kubernetes.client.api import connect

    def asked(where: str, ask: Callable[[], Fit]) -> Fit:
        try:
            return ask()
        except (GantryError, Transient) as error:
            return Fit(where, None, f"not known: {error}")

    try:
        cluster = api or connect(spec.context, spec.namespace)
    except GantryError as error:
        return [Fit(where, None, f"not known: {error}") for where in ("quota", "nodes")]
    return [
        asked(
            "quota",
            lambda: fit_in_quota(cluster.list("ResourceQuota")["items"], cluster.namespace, manifests, spec),
        ),
        asked("nodes", lambda: fit_on_nodes(nodes_and_pods(cluster), manifests)),
    ]
