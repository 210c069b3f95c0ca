"""Manifests as text: YAML that every reader of Kubernetes' takes for the same, or JSON."""

import json
import re
from typing import Any

import yaml

# Plain in YAML 1.2 or to PyYAML, but a number or a boolean to Go's reader: 1e3, 0o17, 1_000, y, off.
_MISREAD = re.compile(
    r"[-+.]*[0-9][-+.:_0-9a-fox]*|y|n|yes|no|on|off|true|false|null|~|\.inf|\.nan", re.IGNORECASE
)
_WIDE = 1 << 20  # no line is folded


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        """Write out each value where it stands."""
        return True


def _string(dumper: Any, text: str) -> yaml.ScalarNode:
    style = "'" if _MISREAD.fullmatch(text) else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _string)


def to_yaml(manifests: list[dict[str, Any]]) -> str:
    """The manifests as documents that ``kubectl create -f -`` takes, in order."""
    return str(yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDE))


def to_json(manifests: list[dict[str, Any]]) -> str:
    """The manifests as one List."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}, indent=2) + "\n"
