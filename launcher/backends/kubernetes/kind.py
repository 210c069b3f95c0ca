"""What a cluster asks of a specification, so far as it is known without asking one.

The rules of names, images and quantities are Kubernetes' own; each message names the field, the value and
what is expected.
"""

import re
from collections.abc import Mapping
from typing import Any

from launcher.errors import FieldError, refuse
from launcher.spec import redaction
from launcher.spec.kinds import Kind
from launcher.spec.pod_metadata import check_pod_metadata
from launcher.spec.runspec import RunSpec
from launcher.spec.validation import HOST_NAME, LAST_ATTEMPT, is_text, name_limit, quantity

_MEBIBYTE = 2**20
_SMALLEST_MEMORY = 128 * _MEBIBYTE  # less is a unit forgotten: TensorFlow alone takes 500 MB

# RFC 1035, because a Service is named after the run: no digit in front.
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_BUCKET = re.compile(r"gs://[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9](/.*)?")
_GOOGLE_ACCOUNT = re.compile(r"[a-z0-9][-a-z0-9]*@[-.a-z0-9]+\.gserviceaccount\.com")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
# Ours: they say who a worker is. GANTRY_TEST_… and the like are free.
RESERVED = {"JOB_COMPLETION_INDEX", "TF_CONFIG"} | {
    f"GANTRY_{name}"
    for name in (
        *("JOB", "JOB_UID", "POD", "SERVICE", "WORKERS", "ATTEMPT", "PORT", "RECORD", "CLAIMED"),
        *("TYPED", "KERAS_HOME", "CONFIG", "EVALUATION"),
    )
}

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<name>(?:[A-Za-z0-9](?:[-.A-Za-z0-9]*[A-Za-z0-9])?(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[-.\w]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


def _check(spec: RunSpec) -> None:
    """Refuse what an API server would refuse, or pods could not use.

    Raises:
        FieldError: the first field that is wrong.
    """
    _check_name(spec.name, spec.workers)
    _check_image(spec)
    _check_root(spec.root)
    for field, value in (("cpu", spec.cpu), ("memory", spec.memory)):
        if value is not None:
            _check_quantity(field, value)
    for field, value, rule in (
        ("namespace", spec.namespace, _LABEL),
        ("queue", spec.queue, _SUBDOMAIN),
        ("service_account", spec.service_account, _SUBDOMAIN),
    ):
        if value is not None and not rule.fullmatch(value):
            raise refuse(field, value, "lower case letters, digits and dashes")
    _check_accounts(spec)
    _check_env(spec.env)
    _check_env_secrets(spec)
    for name, value in spec.env.items():
        if name not in spec.env_plain and (what := redaction.looks_secret(name, value)):
            raise FieldError(f"env.{name}", redaction.refusal(name, what))
    check_pod_metadata(spec.pod_labels, spec.pod_annotations)


def _check_name(name: str, workers: int) -> None:
    limit = name_limit(workers)
    if not _NAME.fullmatch(name):
        raise refuse("name", name, "a letter at its beginning on Kubernetes, as pods are named after the run")
    if len(name) > limit:
        raise FieldError(
            "name",
            f"name '{name}' has {len(name)} characters: expected at most {limit} on Kubernetes, "
            f"{HOST_NAME} of a host name less '{LAST_ATTEMPT}' of attempts and '-{workers - 1}' of workers",
        )


def _check_image(spec: RunSpec) -> None:
    image = spec.image
    if image is None:
        bucket = f"root {spec.root} is a bucket, which the local backend cannot use"
        why = bucket if spec.root.startswith("gs://") else "backend is kubernetes"
        raise FieldError("image", f"image is not given: expected NAME:TAG for the pods, as {why}")
    found = _IMAGE.fullmatch(image)
    if not found:
        raise refuse("image", image, "NAME:TAG or NAME@sha256:<64 digits>, such as registry/gantry:0.1.0")
    if found["digest"]:
        return
    if not found["tag"]:
        raise refuse("image", image, f"a tag or a digest, such as {image}:0.1.0")
    if found["tag"] == "latest":
        raise refuse(
            "image", image, "a tag other than latest, which may mean another image when a pod is replaced"
        )


def _check_root(root: str) -> None:
    if not root.startswith("gs://"):
        raise refuse(
            "root",
            root,
            "gs://<bucket>/<prefix>, as pods cannot reach a folder of this machine; "
            "with --backend local the workers run here",
        )
    if not _BUCKET.fullmatch(root):
        raise refuse(
            "root", root, "gs://<bucket>/<prefix> with a bucket of 3 or more a-z, 0-9, '-', '_', '.'"
        )


def _check_quantity(field: str, value: str) -> None:
    amount = quantity(value)
    if field == "cpu":
        # In thousandths, and without units such as Gi, which to Kubernetes alone are no mistake.
        if not re.fullmatch(r"(\d+(\.\d{1,3})?|\.\d{1,3}|\d+m)", value, re.ASCII) or not amount:
            raise refuse(field, value, "cores, such as 4, 1.5 or 500m")
    elif amount is None:
        raise refuse(field, value, "a quantity of bytes, such as 8Gi or 500Mi")
    elif amount < _SMALLEST_MEMORY:
        raise refuse(
            field,
            value,
            f"at least {_SMALLEST_MEMORY // _MEBIBYTE}Mi, such as 8Gi (no unit means bytes)",
        )


def _check_accounts(spec: RunSpec) -> None:
    google = spec.google_service_account
    if google is not None and not _GOOGLE_ACCOUNT.fullmatch(google):
        raise refuse("google_service_account", google, "NAME@PROJECT.iam.gserviceaccount.com")
    if "workload-identity" not in spec.profiles:
        return
    if spec.service_account is not None:
        raise refuse(
            "service_account",
            spec.service_account,
            "none with the profile workload-identity, which makes one for the run",
        )
    if google is None and spec.manifests is None:
        raise refuse("profiles", "workload-identity", "google_service_account too, which the pods act as")


def _check_env(env: Mapping[str, str], field: str = "env") -> None:
    for name, value in env.items():
        expected = None
        if not _ENV.fullmatch(name):
            expected = "names of letters, digits and '_' that begin with no digit"
        elif name in RESERVED:
            expected = "another name, as this one says who a worker is"
        elif name == "GANTRY_GRACE_SECONDS":
            expected = "--grace instead, which sets it too"
        elif not is_text(value):
            expected = "a value of UTF-8 text without a zero byte"
        if expected:
            raise FieldError(f"{field}.{name}", f"{field} is '{name}': expected {expected}")


def _check_env_secrets(spec: RunSpec) -> None:
    _check_env(spec.env_secrets, "env_secrets")
    for name, where in spec.env_secrets.items():
        secret, _, key = where.partition("/")
        if not _SUBDOMAIN.fullmatch(secret) or not _SECRET_KEY.fullmatch(key):
            # Not the value: whoever takes this flag for --env has typed the secret itself.
            raise FieldError(
                f"env_secrets.{name}",
                f"env_secrets is '{name}': expected SECRET/KEY, a Secret of the namespace and a key in it",
            )
        if name in spec.env:
            raise FieldError(
                f"env_secrets.{name}", f"env_secrets is '{name}': expected it once, env has it too"
            )
    for name in spec.env_plain:
        if name not in spec.env:
            raise refuse("env_plain", name, "the name of a variable that env has")


def _claims(image: Any, root: Any) -> str | None:
    if image:
        return "as image is given"
    return "as root is a bucket" if str(root).startswith("gs://") else None


KIND = Kind(name="kubernetes", check=_check, pods=True, claims=_claims, name_limit=name_limit)
