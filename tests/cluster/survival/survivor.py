"""A run on the cluster that is to survive: struck while it trains, with all that `status` said meanwhile."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launcher.render.labels import COMPLETION_INDEX
from tests.cluster.flags import on
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import wait_until
from tests.support.flags import set_flags
from tests.support.teams import PLAIN
from trainer.run import layout
from trainer.storage import open_store

STEPS = 500  # on a quick machine, too, it is not over before all has been done to it
SETS = (*PLAIN, f"steps={STEPS}", "samples.every_steps=200")
PATIENCE_SECONDS = 300.0
# A pod's object may be gone before anybody looks; then the others' word for it is all there is.
ASKED = "(deleted|stopped|lost its pod|asked to stop)"
UNDER_WAY = {"pending", "starting", "running", "restarting"}


def flags(name: str, workers: int = 2) -> list[str]:
    """The words of a submit that say what is trained."""
    # Threads are given, as the bits depend on their number.
    what = ["--preset", "mlp", "--workers", f"{workers}", "--threads", "1", "--name", name]
    return what + set_flags(SETS)


class Survivor:
    """One run of two workers."""

    def __init__(
        self, name: str, launcher: Any, kubectl: Kubectl, where: tuple[Any, str, str], *more: str
    ) -> None:
        """Submit it; `where` is the cluster, the namespace and the bucket, `more` are flags."""
        cluster, namespace, bucket = where
        self.name, self.kubectl, self._launcher = name, kubectl, launcher
        self.store = open_store(f"{bucket}/gan/{name}")
        self._root = ("--root", bucket)
        launcher("submit", *flags(name), *on(cluster, namespace, bucket), *more, check=True)

    def follow(self, folder: Path) -> None:
        """Keep what ``status --watch`` says in a file of the folder."""
        self._told = folder / f"{self.name}.status"
        with self._told.open("wb") as output:
            words = ("status", self.name, *self._root, "--watch", "-o", "json")
            self._watch = self._launcher.start(*words, stdout=output)

    @property
    def story(self) -> list[dict[str, Any]]:
        """Every status so far that differed from the one before."""
        decode, text, at, found = json.JSONDecoder().raw_decode, self._told.read_text(), 0, []
        while at < len(text):
            try:
                document, at = decode(text, at)
            except ValueError:  # being written
                break
            found.append(document)
            at += 1
        return found

    def status(self) -> dict[str, Any]:
        """What ``status`` says now."""
        found: dict[str, Any] = json.loads(
            self._launcher("status", self.name, *self._root, "-o", "json", check=True).stdout
        )
        return found

    def checkpoint(self) -> int:
        """Step of the newest whole checkpoint."""
        found = self.store.list("checkpoints/")
        steps = [layout.checkpoint_step(at.name) for at in found if layout.is_complete(at.name, at.size)]
        return max((step for step in steps if step is not None), default=0)

    def trains(self, beyond: int | None = None) -> None:
        """Wait until there is a checkpoint beyond a step, or beyond the newest of now."""
        least = self.checkpoint() if beyond is None else beyond
        wait_until(lambda: self.checkpoint() > least, "a newer checkpoint", PATIENCE_SECONDS)

    def pod(self, worker: int) -> str:
        """Name of a worker's pod that runs, awaited."""

        def running() -> str | None:
            pods = self.kubectl.get("pods", "-l", f"batch.kubernetes.io/job-name={self.name}")["items"]
            for pod in pods:
                metadata, phase = pod["metadata"], pod["status"].get("phase")
                if (
                    metadata["annotations"][COMPLETION_INDEX] == str(worker)
                    and phase == "Running"
                    and "deletionTimestamp" not in metadata
                ):
                    return str(metadata["name"])
            return None

        found: str = self.kubectl.wait_for(f"a pod of worker {worker}", running, PATIENCE_SECONDS)
        return found

    @contextmanager
    def struck(self, *reasons: str) -> Iterator[None]:
        """What is done in the block makes the run restart; `status` gives a reason that matches each pattern.

        Afterwards it trains again.
        """
        said, reached = len(self.story), self.checkpoint()
        assert reached < STEPS, "the run was over before it was struck; more steps are needed"
        yield

        def told(reason: str) -> bool:
            return any(
                told["state"] == "restarting" and re.search(reason, told["explanation"])
                for told in self.story[said:]
            )

        for reason in reasons:
            wait_until(lambda: told(reason), f"'restarting' because of {reason!r}", PATIENCE_SECONDS)  # noqa: B023
        # A worker that is asked to stop saves first: that checkpoint is none of those who go on.
        wait_until(lambda: self.story[-1]["state"] in ("running", "finished"), "training", PATIENCE_SECONDS)
        if self.story[-1]["state"] == "running":
            self.trains(beyond=max(reached, self.story[-1]["step"] - 1))

    def finish(self) -> dict[str, Any]:
        """Wait for the end; the Job's status. Until then nobody said that the run had ended."""
        waited = self._launcher("wait", self.name, *self._root, "--timeout", "10m", timeout=700)
        assert waited.returncode == 0, waited.stdout + waited.stderr
        _, complaints = self._watch.communicate(timeout=240)
        assert self._watch.returncode == 0, complaints
        *meanwhile, last = self.story
        assert {told["state"] for told in meanwhile} <= UNDER_WAY
        assert (last["state"], last["step"], last["checkpoint_step"]) == ("finished", STEPS, STEPS)
        assert [worker["exit_code"] for worker in last["workers"]] == [0, 0]

        def counted() -> dict[str, Any] | None:
            # The controller counts pods a moment after they have ended.
            job: dict[str, Any] = self.kubectl.get("job", self.name)["status"]
            return job if job.get("succeeded") == 2 else None

        job: dict[str, Any] = self.kubectl.wait_for("the Job to count its pods", counted)
        return job
