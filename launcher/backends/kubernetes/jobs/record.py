"""``cluster.json``: where the newest attempt of a run was submitted to."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from launcher.backends.kubernetes.status.jobs import attempt_of, workers_of
from launcher.backends.kubernetes.status.pods import variables
from launcher.render.labels import OWNER, annotation, run_of, schedule_of
from launcher.time_limit import within
from trainer.errors import GantryError, ObjectMissing
from trainer.run import layout
from trainer.storage import Store

FORMAT = 1
_PATIENCE_SECONDS = 10.0
TEMPLATE = "GANTRY_RECORD"  # variable of a firing's pods: the record so far as it is known before


@dataclass(frozen=True)
class ClusterRecord:
    """One attempt on a cluster."""

    attempt: int
    job: str
    namespace: str
    context: str
    """Name of the kubeconfig's context on the workstation that submitted it."""
    server: str
    """Address of the API server, which tells the cluster where contexts have other names."""
    workers: int
    submitted: str
    """ISO time, UTC."""
    spec: dict[str, Any]
    """The `RunSpec` as JSON, for the next attempt."""
    uid: str | None = None
    """The Job's, which tells it from a later one of its name; None until the cluster has made it, for a
    schedule's firing, and in records of launchers that did not keep it."""
    format: int = field(default=FORMAT)
    owner: str | None = None
    """Who submitted it, as the cluster calls them; None in records of older launchers."""

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            GantryError: it is something else.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            if values["format"] != FORMAT:
                raise GantryError(f"{where}: format {values['format']}, this launcher reads {FORMAT}")
            known = {each.name for each in fields(cls)}  # a newer launcher may say more
            return cls(**{key: value for key, value in values.items() if key in known})
        except (ValueError, TypeError, KeyError) as error:
            raise GantryError(f"{where}: not a record of a run on a cluster ({error})") from error

    def to_json(self) -> bytes:
        """The record as indented JSON."""
        return json.dumps(asdict(self), indent=2).encode()


def read_record(store: Store) -> ClusterRecord | None:
    """The newest attempt in a run's folder, None for a run that was never submitted to a cluster."""
    try:
        return ClusterRecord.from_json(store.read(layout.CLUSTER), f"{store.url}/{layout.CLUSTER}")
    except ObjectMissing:
        return None


def keep_record(store: Store, record: ClusterRecord) -> None:
    """Write the record of a firing whose pods have not begun: its Job is about to go, and `resume` needs it.

    A bucket that is away is not waited for.
    """

    def write() -> None:
        if store.stat(layout.CLUSTER) is None:
            store.write(layout.CLUSTER, record.to_json(), if_generation=0)

    with suppress(GantryError):  # a pod was faster, or the bucket is away
        within(_PATIENCE_SECONDS, write, store.url)


def record_of(job: Mapping[str, Any]) -> ClusterRecord:
    """What a Job itself tells of the attempt that it is; where and how it was submitted it does not know."""
    metadata = job["metadata"]
    if firing := _of_firing(job):
        return firing
    return ClusterRecord(
        attempt=attempt_of(job) or 1,
        job=str(metadata["name"]),
        namespace=str(metadata["namespace"]),
        context="",
        server="",
        workers=workers_of(job),
        submitted=str(metadata.get("creationTimestamp") or ""),
        spec={},
        uid=metadata.get("uid"),
        owner=annotation(job, OWNER),
    )


def _of_firing(job: Mapping[str, Any]) -> ClusterRecord | None:
    """What the first pod of a schedule's firing writes into the run's folder, from the Job that tells it."""
    run, metadata = run_of(job), job["metadata"]
    if schedule_of(job) is None or run is None:
        return None
    known = template_of(job["spec"]["template"])
    if known is None:
        return None
    submitted, spec = str(metadata.get("creationTimestamp") or ""), {**known.spec, "name": run.name}
    about = {"uid": metadata.get("uid"), "owner": annotation(job, OWNER)}
    return replace(known, job=str(metadata["name"]), submitted=submitted, spec=spec, **about)


def template_of(pods: Mapping[str, Any]) -> ClusterRecord | None:
    """What a schedule's template tells its pods of the record, without a Job; None where it is not whole."""
    text = next((each.get("value") for each in variables(pods) if each.get("name") == TEMPLATE), None)
    try:
        # The kubelet makes $ of $$ when it hands the variable to the pod.
        values = json.loads(str(text).replace("$$", "$"))
        return ClusterRecord(**{**values, "job": "", "submitted": "", "spec": dict(values["spec"])})
    except (ValueError, TypeError, KeyError):
        return None
