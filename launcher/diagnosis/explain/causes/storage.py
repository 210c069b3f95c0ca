"""Storage that refuses, is not there or is away."""

import re
from collections.abc import Iterator

from launcher.backends.kubernetes.status.pods import variables
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.causes.places import Named, named
from launcher.diagnosis.explain.causes.words import evidence, find
from launcher.diagnosis.explain.evidence import from_field, from_log, from_status
from launcher.diagnosis.explain.facts import Facts, Line, Object
from launcher.diagnosis.explain.fix import Fix
from launcher.diagnosis.explain.health import passing
from launcher.render.labels import CONTAINER

EMULATOR = "STORAGE_EMULATOR_HOST"
GOOGLE_ACCOUNT = "iam.gke.io/gcp-service-account"  # annotation that binds a service account to a Google one
_NO_IDENTITY = (
    r"no Google credentials found",
    r"Failed to retrieve http://\S+/service-accounts/",
    r"Unexpected response from metadata server",
    r"(?:Reauthentication is needed|invalid_grant|Unable to acquire impersonated credentials)",
)
_ASKS = r"warning: storage does not answer and is asked again; training goes on: (.*)"
_BACK = r"storage is back after"
_AWAY = r"storage has been away for (\d+) s: (.*)"


def denied(facts: Facts) -> Finding | None:
    """The bucket refuses the account: 401 or 403."""
    said = find(facts, r"(gs://\S+): bucket '([^']+)' refuses to (\w+); the account needs ([\w., ]+)")
    if not said:
        return None
    url, bucket, call, permission = said.match.groups()
    place = named(facts, url)
    which = f"bucket '{bucket}'{_of(place)}"
    sentence = f"{which} refuses {said.who} to {call}: its account needs {permission}"
    account, member = _account(facts)
    seen = evidence(facts, said, *account)
    role = "objectViewer" if place and place.is_data else "objectUser"
    bind = ("gcloud", "storage", "buckets", "add-iam-policy-binding", f"gs://{bucket}")
    grant = Fix.of(*bind, f"--role=roles/storage.{role}", f"--member={member}")
    return Finding(sentence, seen, grant.then(restart.resume(facts)))


def bucket_missing(facts: Facts) -> Finding | None:
    """The bucket does not exist: 404."""
    said = find(facts, r"(gs://\S+): bucket '([^']+)' does not exist")
    if not said:
        return None
    url, bucket = said.match.groups()
    place = named(facts, url)
    pod, host = _emulator(facts)
    seen = evidence(facts, said)
    sentence = f"bucket '{bucket}'{_of(place)} does not exist"
    if place and place.is_data:  # an empty bucket would be of no use, and the run's own was found
        fix = restart.submit(facts, "--set", "data.source=VALUE").noting("with the place where the data is")
        return Finding(sentence, seen, fix)
    make = Fix.of("gcloud", "storage", "buckets", "create", f"gs://{bucket}")
    if pod is None:
        return Finding(sentence, seen, make.then(restart.resume(facts)))
    seen.append(from_field(pod, "Pod", f"spec.containers[{CONTAINER}].env[{EMULATOR}]", host))
    fix = restart.submit(facts, "--env", f"{EMULATOR}=URL")
    return Finding(f"{sentence} at {host}, where {said.who} looks for it ({EMULATOR})", seen, fix)


def _of(place: Named | None) -> str:
    """Which setting of the run names a bucket, for a sentence."""
    if place is None:
        return ""
    return f" of data.source '{place.value}'" if place.is_data else f" of the root {place.value}"


def no_identity(facts: Facts) -> Finding | None:
    """The pods have no account that Google knows, or may not use the one they are bound to."""
    if not (said := find(facts, *_NO_IDENTITY)):
        return None
    if facts.spec == {} and not facts.pods:
        sentence = f"{said.who} found no credentials for Google Cloud Storage"
        login = Fix.of("gcloud", "auth", "application-default", "login")
        return Finding(sentence, evidence(facts, said), login.then(restart.resume(facts)))
    name, google = service_account(facts), _google_account(facts)
    seen = evidence(facts, said, *_account(facts)[0])
    if google is None:
        sentence = (
            f"service account '{name}' of {said.who}'s pod has no Google identity, so storage is closed to it"
        )
        email = "NAME@PROJECT.iam.gserviceaccount.com"
        return Finding(sentence, seen, restart.submit(facts, "--google-service-account", email))
    sentence = (
        f"service account '{name}' of {said.who}'s pod may not act as '{google}', so it gets no credentials"
    )
    project = (re.search(r"@([\w-]+)\.iam", google) or ["", "PROJECT"])[1]
    member = f"serviceAccount:{project}.svc.id.goog[{facts.namespace}/{name}]"
    bind = ("gcloud", "iam", "service-accounts", "add-iam-policy-binding", google)
    grant = Fix.of(*bind, "--role=roles/iam.workloadIdentityUser", f"--member={member}")
    return Finding(sentence, seen, grant.then(restart.resume(facts)))


def away(facts: Facts) -> Finding | None:
    """Storage does not answer: now, while training goes on, or for longer than the run was patient."""
    said = find(facts, _AWAY)
    if said and not passing(facts):  # it begins again by itself
        seconds, reason = said.match.groups()
        limit = f"recovery.storage_patience_seconds={_patience(facts)}"
        sentence = f"storage was away for {seconds} s, which is more than {limit}: {reason}"
        return Finding(sentence, evidence(facts, said), restart.resume(facts))
    if facts.status.storage and (seen := from_status(facts, "storage")):
        root = facts.status.root
        look = Fix.of("gcloud", "storage", "ls", root) if root.startswith("gs://") else Fix.of("df", "-h")
        sentence = f"storage is {facts.status.storage}; training goes on for as long as it can"
        return Finding(sentence, [seen], look)
    if not facts.status.live:
        return None
    for line in _asking(facts):  # no word in the folder, or an old one, as that is what is away
        sentence = f"worker {line.worker} gets no answer from storage and asks again: {_reason(line)}"
        return Finding(sentence, [from_log(line)], facts.command("logs", "--follow"))
    return None


def _asking(facts: Facts) -> Iterator[Line]:
    """The line of each worker that has said that storage does not answer, and not yet that it does again."""
    for _, lines in sorted(facts.logs.items()):
        told = [line for line in lines if re.match(f"{_ASKS}|{_BACK}", line.text)]
        if told and _reason(told[-1]):
            yield told[-1]


def _reason(line: Line) -> str:
    found = re.match(_ASKS, line.text)
    return found[1] if found else ""


def is_refused(facts: Facts) -> bool:
    """Whether a worker was refused by storage, so that its account is of interest."""
    return find(facts, r"bucket '[^']+' refuses to", *_NO_IDENTITY) is not None


def service_account(facts: Facts) -> str:
    """Name of the service account that the pods run as."""
    for _, pod in facts.newest:
        return str((pod.get("spec") or {}).get("serviceAccountName") or "default")
    return str(facts.spec.get("service_account") or "default")


def _google_account(facts: Facts) -> str | None:
    """The Google account that the pods' service account is bound to, as far as anybody knows."""
    known = facts.others.get(f"ServiceAccount/{service_account(facts)}") or {"metadata": {}}
    bound = (known["metadata"].get("annotations") or {}).get(GOOGLE_ACCOUNT)
    found = bound or facts.spec.get("google_service_account")
    return None if found is None else str(found)


def _account(facts: Facts) -> tuple[list[Evidence], str]:
    """What is known of the account that storage sees, and what IAM calls it."""
    if not (facts.pods or facts.spec):
        return [], "user:EMAIL"
    name, google = service_account(facts), _google_account(facts)
    bound = f"{GOOGLE_ACCOUNT}: {google}" if google else f"no {GOOGLE_ACCOUNT}"
    known = google or f"ServiceAccount/{name}" in facts.others  # else nobody was allowed to look
    seen = [Evidence(f"ServiceAccount/{name}", "metadata.annotations", bound)] if known else []
    if google:
        return seen, f"serviceAccount:{google}"
    pool = "projects/NUMBER/locations/global/workloadIdentityPools/PROJECT.svc.id.goog"
    return seen, f"principal://iam.googleapis.com/{pool}/subject/ns/{facts.namespace}/sa/{name}"


def _emulator(facts: Facts) -> tuple[Object | None, str]:
    """A pod that is told of another storage than Google's, and where that is."""
    for _, pod in facts.newest:
        for variable in variables(pod):
            if variable.get("name") == EMULATOR and variable.get("value"):
                return pod, str(variable["value"])
    return None, ""


def _patience(facts: Facts) -> object:
    recovery = (facts.run.get("config") or {}).get("recovery") or {}
    return recovery.get("storage_patience_seconds", 600)


STORAGE = (
    Cause(
        "storage-denied",
        "The bucket refuses the account",
        "Exit code 2: the bucket refuses to list, read or write (403), and the permission that lacks",
        "Grant the role to the account that the pods have",
        denied,
    ),
    Cause(
        "bucket-missing",
        "The bucket does not exist",
        "Exit code 2: no such bucket (404)",
        "Create it, or mend its name in `--root` or in `--set data.source=…`, or the address of the storage",
        bucket_missing,
    ),
    Cause(
        "no-identity",
        "No credentials for storage",
        "Exit code 2: no credentials are found, or the metadata server hands out none",
        "Bind the pods' service account to a Google one that may use the bucket (Workload Identity)",
        no_identity,
    ),
)  # fmt: skip
AWAY = Cause(
    "storage-away",
    "Storage does not answer",
    "Requests fail for minutes; training goes on until it waits for a checkpoint, then pods leave with 42",
    "Nothing of the run: when storage is back it goes on by itself, or with resume",
    away,
)
