"""From a `RunSpec` to the manifests that are sent: ``k8s/`` with a run's values in named places.

Nothing here knows a cluster. The same run and the same files give the same bytes.
"""

from launcher.render.manifests import job_name, render
from launcher.render.text import to_json, to_yaml

__all__ = ["job_name", "render", "to_json", "to_yaml"]
