"""kubectl in a test's namespace, and the few things tests ask of it over and over."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

from tests.cluster.harness.access import Cluster


class Kubectl:
    """``kubectl("get", "pods").stdout``; raises when the command fails, unless `check` is false."""

    def __init__(self, cluster: Cluster, namespace: str, user: str | None = None) -> None:
        self._cluster, self._namespace = cluster, namespace
        config = cluster.user_kubeconfig(user) if user else cluster.kubeconfig
        self._environment = os.environ | ({"KUBECONFIG": config} if config else {})

    def __call__(
        self, *argv: str, stdin: str | None = None, check: bool = True, timeout: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        """Run it; `stdin` is what ``-f -`` reads."""
        done = subprocess.run(
            ["kubectl", f"--context={self._cluster.context}", f"--namespace={self._namespace}", *argv],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._environment,
            check=False,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(argv)}: {done.stderr}"
        return done

    @property
    def namespace(self) -> str:
        """The namespace of its commands."""
        return self._namespace

    def as_user(self, user: str) -> "Kubectl":
        """The same as `limited` or `nobody`."""
        return Kubectl(self._cluster, self._namespace, user)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects that are given as Python values."""
        self(
            "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        )

    def get(self, *argv: str) -> Any:
        """An object, or a list with its `items`: ``get("job", "a")["status"]``."""
        return json.loads(self("get", *argv, "-o=json").stdout)

    def wait_for(self, what: str, check: Callable[[], object], seconds: float = 180) -> Any:
        """What `check` gives as soon as that is true; fails when the time is up."""
        deadline = time.monotonic() + seconds
        while not (found := check()):
            assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
            time.sleep(0.3)  # kubectl itself takes 0.1 s of a processor
        return found

    def finished(self, pod: str, seconds: float = 180) -> int:
        """The exit code of a pod's only container, awaited."""

        def code() -> list[int]:
            statuses = self.get("pod", pod)["status"].get("containerStatuses", [])
            return [
                status["state"]["terminated"]["exitCode"]
                for status in statuses
                if "terminated" in status["state"]
            ]

        return int(self.wait_for(f"pod {pod} ended", code, seconds)[0])
