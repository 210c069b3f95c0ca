"""The command that explain prints for a run, filled in as a person would and run as it stands."""

import json
import os
import pty
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from launcher.spec import templates
from tests.cluster.harness.access import Cluster
from tests.cluster.kubectl import Kubectl

RECORD = "GANTRY_FIXES"  # variable: a file that is told what was done


def running(kubectl: Kubectl, job: str, seconds: float = 120, *others: str) -> bool:
    """Whether a pod of a Job runs, awaited; a phase of `others`, such as Succeeded, is as good."""

    def began() -> bool:
        pods = kubectl.get("pods", "-l", f"batch.kubernetes.io/job-name={job}")["items"]
        return any(pod["status"]["phase"] in ("Running", *others) for pod in pods)

    return bool(kubectl.wait_for(f"a pod of {job}", began, seconds))


def tell(cause: str, fix: str, where: list[str], there: str) -> None:
    """Note what a printed command was found to have done, for the page of `fixes_page`.

    `where`: the flags of the place, its namespace and root the fourth and the last.
    """
    if path := os.environ.get(RECORD):
        for name, value in ((where[-1], "ROOT"), (where[3], "NAMESPACE")):
            fix = fix.replace(name, value)
        with Path(path).open("a") as file:
            file.write(json.dumps({"cause": cause, "command": fix, "there": there}) + "\n")


class Fixing:
    """``fix = fixing("one", "image-missing")``, then ``fixing.run(fix)`` in processes of its own."""

    def __init__(self, cluster: Cluster, where: list[str], folder: Path, user: str = "") -> None:
        """`user`: whose kubeconfig of the cluster's test users is used; the administrator's where empty."""
        self.cluster, self._where, self._folder = cluster, where, folder
        # Without settings of whoever runs the tests; and `kubectl edit` needs nobody.
        self._environment = os.environ | {
            "XDG_CONFIG_HOME": str(folder / "config"), "NO_COLOR": "1", "EDITOR": "true",
        }  # fmt: skip
        self._cause = ""
        if path := cluster.user_kubeconfig(user) if user else cluster.kubeconfig:
            self._environment["KUBECONFIG"] = path

    def __call__(self, name: str, cause: str, seconds: float = 90) -> list[list[str]]:
        """The commands that explain prints for a run or a schedule, as soon as it knows the cause."""
        deadline = time.monotonic() + seconds
        while True:
            done = self.launcher("explain", name, *self._where, "-o", "json")
            assert done.returncode in (0, 1), done.stderr
            found = json.loads(done.stdout)
            if found["cause"] == cause:
                self._cause = cause
                return found["commands"]
            assert time.monotonic() < deadline, f"{name}: {cause} is not found: {found}"
            time.sleep(0.5)

    def launcher(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Any command of the launcher."""
        return self._call(["launcher", *words])

    def run(self, commands: list[list[str]], **blanks: str) -> "subprocess.CompletedProcess[str]":
        """Run commands one after another, each of which must leave with 0; the last one's output."""
        done = None
        for command in commands:
            done = self._call([self._filled(word, blanks) for word in command])
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert done is not None
        return done

    def own_manifests(self) -> Path:
        """The copy of k8s/ that stands for DIR, for a test to change before `run`."""
        own = self._folder / "own"
        if not own.exists():
            shutil.copytree(templates.folder(), own)
        return own

    def tell(self, commands: list[list[str]], there: str) -> None:
        """Note what a fix promised and was found to be there."""
        tell(self._cause, " && ".join(map(shlex.join, commands)), self._where, there)

    def _call(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        own, its = pty.openpty()  # some commands ask before they change something
        os.write(own, b"y\n")
        try:
            return subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=300,
                env=self._environment,
                cwd=self._folder,
                stdin=its,
                check=False,
            )
        finally:
            os.close(own)
            os.close(its)

    def _filled(self, word: str, blanks: dict[str, str]) -> str:
        """A word with what a person knows; a file and a folder are made."""
        if word == "FILE":
            (self._folder / "run.yaml").write_text("memory: 128Mi\n")
            return str(self._folder / "run.yaml")
        if "FILE" in word:
            (self._folder / "value").write_text("a value")
        if word == "DIR":
            self.own_manifests()
        known = {
            "NAME:TAG": self.cluster.image,
            "=FILE": f"={self._folder}/value",
            "DIR": str(self._folder / "own"),
        }
        for blank, value in {**blanks, **known}.items():
            word = word.replace(blank, value)
        return word
