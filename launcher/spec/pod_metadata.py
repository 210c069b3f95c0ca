"""Labels and annotations that a user gives the pods, by Kubernetes' own rules.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ and …/annotations/
"""

import re
from collections.abc import Mapping

from launcher.errors import FieldError
from launcher.spec import redaction
from launcher.spec.validation import is_text

_PREFIX = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII
)
_NAME = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", re.ASCII)
_VALUE = re.compile(r"([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_ALL_ANNOTATIONS = 256 * 1024  # bytes of all keys and values of an object
# By these a run's objects are found, and a Job's controller knows its pods.
_OURS = {f"app.kubernetes.io/{key}" for key in ("name", "instance", "part-of", "managed-by")}
_OURS |= {"job-name", "controller-uid"}
_OUR_PREFIXES = ("gantry", "batch.kubernetes.io")
_KEY = "a key of letters, digits, '-', '_' and '.', at most 63, perhaps after a domain and '/'"


def check_pod_metadata(labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
    """Refuse what the API server would, and what a run says of itself.

    Raises:
        FieldError: the first that is wrong.
    """
    for key, value in labels.items():
        _check_key("pod_labels", key, key)
        if not _VALUE.fullmatch(value):
            expected = "at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
            raise FieldError(f"pod_labels.{key}", f"pod_labels.{key} is {value!r}: expected {expected}")
    for key, value in annotations.items():
        _check_key("pod_annotations", key, key.lower())  # as the API server looks at an annotation's
        if not is_text(value):
            raise _refuse("pod_annotations", key, "a value of UTF-8 text without a zero byte")
        if what := redaction.looks_secret("", value):
            told = f"{what}, and manifests and the run's folder would show it"
            raise _refuse("pod_annotations", key, f"nothing secret; {told}")
    size = sum(len(text.encode()) for pair in annotations.items() for text in pair)
    if size > _ALL_ANNOTATIONS:
        raise FieldError(
            "pod_annotations",
            f"pod_annotations has {size} bytes in all: expected at most {_ALL_ANNOTATIONS}",
        )


def _check_key(field: str, key: str, text: str) -> None:
    prefix, slash, name = text.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        raise _refuse(field, key, f"{_KEY}, such as sidecar.istio.io/inject")
    if text in _OURS or prefix in _OUR_PREFIXES:
        raise _refuse(field, key, "another key, as this one says whose a pod is")


def _refuse(field: str, key: str, expected: str) -> FieldError:
    return FieldError(f"{field}.{key}", f"{field} is {key!r}: expected {expected}")
