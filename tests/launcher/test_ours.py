"""No verb of one run reaches an object of another, however their names meet: the real client and commands."""

import json
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from launcher.backends.kubernetes.client.api import connect
from launcher.backends.kubernetes.jobs.naming import other_job_name
from launcher.backends.kubernetes.jobs.record import ClusterRecord, read_record
from launcher.backends.kubernetes.status.ours import Own, is_orphan
from launcher.cli import main
from launcher.errors import NotFound
from launcher.render import job_name, render
from launcher.render.cronjob import Timing, render_schedule
from launcher.render.labels import firing_run
from launcher.spec.runspec import make_spec
from tests.launcher.objects_server import serving
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import open_store

SETS = ("steps=60", "batch_size=12")
DUE = 29_432_100  # minutes since 1970


@dataclass(frozen=True)
class Player:
    """One side of a collision: an attempt of a run, or a schedule's firing, with two pods."""

    experiment: str
    root: str
    name: str
    attempt: int = 1
    schedule: str | None = None
    running: bool = True

    @property
    def job(self):
        return f"{self.schedule}-{DUE}" if self.schedule else job_name(self.name, self.attempt)

    def spec(self, home):
        more = {
            "image": "reg/gantry:1",
            "root": f"{home}/{self.root}",
            "namespace": "team",
            "context": "here",
        }
        name = self.schedule or self.name
        return make_spec("mlp", SETS, name, experiment=self.experiment, workers=2, **more)

    def path(self, home):
        return RunPath(f"{home}/{self.root}", self.experiment, self.name)

    def manifest(self, home):
        """Its Job as it is sent, or as the CronJob controller makes it."""
        if self.schedule is None:
            job = render(self.spec(home), self.attempt)[0]
        else:
            template = render_schedule(self.spec(home), Timing("0 3 * * 1", "UTC"))[0]["spec"]["jobTemplate"]
            job = {"apiVersion": "batch/v1", "kind": "Job", **template}
        job["metadata"] = {**job["metadata"], "name": self.job}
        job["spec"]["suspend"] = False
        return job


X, FIRED = Player("gan", "a", "x"), firing_run("weekly", f"weekly-{DUE}", "")
FIRING = Player("gan", "a", FIRED, schedule="weekly")
MEETINGS = {
    "another experiment": (X, Player("faces", "a", "x")),
    "another root": (X, Player("gan", "b", "x")),
    "both": (X, Player("faces", "b", "x")),
    "second attempts": (replace(X, attempt=2), Player("faces", "a", "x", attempt=2)),
    "a name like an attempt's": (replace(X, attempt=2), Player("gan", "a", "x-r2")),
    "a name like the next attempt's": (X, Player("gan", "a", "x-r2")),
    "a name like an attempt's, elsewhere": (replace(X, attempt=3), Player("faces", "b", "x-r3")),
    "a firing in another root": (FIRING, Player("gan", "b", FIRED, schedule="weekly")),
    "a firing's run and one that is called so": (FIRING, Player("faces", "a", FIRED)),
    "a firing's Job and a run that is called so": (FIRING, Player("gan", "a", f"weekly-{DUE}")),
    "a schedule and a run that is called so": (FIRING, Player("gan", "a", "weekly")),
    "digits at the end": (Player("gan", "a", f"weekly-{DUE}"), Player("faces", "a", f"weekly-{DUE}")),
}
MEETING = st.sampled_from(sorted(MEETINGS))
VERBS = {
    "status": [],
    "logs": [],
    "wait": ["--timeout", "0s"],
    "cancel": [],
    "cancel --now": [],
    "resume": ["--set", "steps=120"],
    "delete": [],
    "delete --force --artifacts --yes": [],
    "explain": [],
    "show": [],
}


def call(arguments):
    """A command's exit code."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patch, serving(folder) as (api, url):
        patch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
        patch.chdir(folder)
        yield api, url


def put(api, player, home):
    """A player's Job and pods in the cluster; the uids of all."""
    job = api.add("Job", player.manifest(home))
    if not player.running:
        job["status"] = {
            "conditions": [{"type": "Complete", "status": "True", "reason": "CompletionsReached"}]
        }
    template, uid = job["spec"]["template"], job["metadata"]["uid"]
    phase = "Running" if player.running else "Succeeded"
    container = {"running": {}} if player.running else {"terminated": {"exitCode": 0}}
    marks = {"batch.kubernetes.io/job-name": player.job, "batch.kubernetes.io/controller-uid": uid}
    pods = [
        {
            "metadata": {
                "name": f"{player.job}-{index}-{uuid.uuid4().hex[:5]}",
                "labels": {**template["metadata"]["labels"], **marks},
                "annotations": {
                    **template["metadata"]["annotations"],
                    "batch.kubernetes.io/job-completion-index": str(index),
                },
                "ownerReferences": [{"kind": "Job", "name": player.job, "uid": uid, "controller": True}],
            },
            "spec": template["spec"],
            "status": {
                "phase": phase,
                "containerStatuses": [{"name": "trainer", "ready": player.running, "state": container}],
            },
        }
        for index in range(2)
    ]
    kept = [api.add("Pod", pod) for pod in pods]
    for about in (job, *kept):
        warning = {"metadata": {"name": uuid.uuid4().hex}, "type": "Warning", "reason": "Failed"}
        told = {key: about["metadata"][key] for key in ("name", "uid")} | {"kind": about["kind"]}
        api.add("Event", {**warning, "message": f"about {uid}", "involvedObject": told})
    return [uid, *(pod["metadata"]["uid"] for pod in kept)]


def write_folder(player, home, server, uid=None):
    """What a run has in the bucket once it was submitted and has trained."""
    store, now = open_store(player.path(home).url), datetime.now(UTC).isoformat()
    spec = player.spec(home)
    config = spec.config().model_dump(mode="json")
    run = {"format": 1, "created": now, "preset": "mlp", "overrides": SETS, "world_size": 2, "config": config}
    kept = spec.model_copy(update={"name": player.name}).model_dump(mode="json")
    record = ClusterRecord(player.attempt, player.job, "team", "here", server, 2, now, kept, uid)
    store.write(layout.RUN, json.dumps({**run, "seed": 0, "versions": {}}).encode())
    store.write(layout.CLUSTER, record.to_json())
    store.write(layout.STATUS, json.dumps({"state": "finished", "step": 60, "updated": now}).encode())


@settings(
    max_examples=16,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.generate],  # an example is ten commands: to shrink one takes minutes
)
@given(
    meeting=MEETING,
    swapped=st.booleans(),
    running=st.tuples(st.booleans(), st.sampled_from([True, True, False])),
    there=st.booleans(),
    known=st.booleans(),
    verbs=st.permutations(list(VERBS)),
)
def test_runs_whose_names_meet_never_touch_each_other(
    cluster, gcs_root, capsys, meeting, swapped, running, there, known, verbs
):
    """`known`: whether the run's record has its Job's uid, which launchers before did not write."""
    ours, theirs = MEETINGS[meeting][:: -1 if swapped else 1]
    ours, theirs = replace(ours, running=running[0]), replace(theirs, running=running[1])
    api, url = cluster
    api.objects.clear()
    home = f"{gcs_root}/{uuid.uuid4().hex[:8]}"
    uids = put(api, theirs, home)
    write_folder(theirs, home, url)
    mine = put(api, ours, home) if there and ours.job != theirs.job else []
    write_folder(ours, home, url, (mine[0] if mine else str(uuid.uuid4())) if known else None)
    before, folder = api.of(*uids), _folder(theirs, home)
    pods = [each["metadata"]["name"] for each in before.values() if each["kind"] == "Pod"]
    for verb in verbs:
        word, *flags = verb.split()
        root = ["--root", ours.path(home).root]
        code = call([word, f"{ours.experiment}/{ours.name}", *flags, *VERBS[verb], *root])
        printed = capsys.readouterr()
        assert code in (0, 1, 2, 3, 4), printed.err
        assert api.of(*uids) == before, (verb, printed)
        assert not any(text in printed.out for text in (*pods, uids[0])), (verb, printed.out)
    assert _folder(theirs, home) == folder


def _folder(player, home):
    store = open_store(player.path(home).url)
    return {found.name: store.read(found.name) for found in store.list()}


def test_an_object_that_took_a_name_is_neither_patched_nor_deleted(cluster):
    api, _ = cluster
    api.objects.clear()
    client = connect("here", "team")
    before = client.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {}})
    client.delete("Job", before)
    after = client.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {}})
    with pytest.raises(NotFound, match="Job 'one' is gone, and another has its name"):
        client.patch("Job", before, {"spec": {"suspend": True}})
    client.delete("Job", before)
    assert client.get("Job", "one") == after


def test_the_same_run_submitted_anew_is_another(cluster, gcs_root):
    """As for a `wait` that goes on while somebody deletes the run and submits it again."""
    api, _ = cluster
    api.objects.clear()
    player = Player("gan", "a", "x")
    first = put(api, player, gcs_root)
    own = Own(connect("here", "team"), player.path(gcs_root), "x", 1)
    assert own.job()["metadata"]["uid"] == first[0]
    api.objects.clear()
    second = put(api, player, gcs_root)
    assert (own.job(), own.pods(), own.delete()) == (None, [], False)
    assert len(api.of(*second)) == 3


def test_what_somebody_typed_goes_before_the_record_and_a_file_does_not(
    cluster, gcs_root, tmp_path, monkeypatch, capsys
):
    api, url = cluster
    api.objects.clear()
    home, player = f"{gcs_root}/typed", Player("gan", "a", "x")
    uids = put(api, player, home)
    write_folder(player, home, url, uids[0])
    open_store(player.path(home).url).delete(layout.STATUS)  # its trainer has not said a word yet
    (tmp_path / "gantry.yaml").write_text(f"namespace: elsewhere\nroot: {home}/a\n")
    monkeypatch.chdir(tmp_path)
    assert call(["status", "x"]) == 0
    assert "starting" in capsys.readouterr().out
    assert call(["cancel", "x", "-n", "elsewhere"]) == 1  # nothing of it is found there
    assert api.of(*uids)[uids[0]]["spec"]["suspend"] is False
    assert call(["resume", "x", "-n", "elsewhere", "--set", "steps=120"]) == 2
    assert "launcher cancel gan/x --namespace elsewhere" in capsys.readouterr().err
    assert read_record(open_store(player.path(home).url)).attempt == 1
    assert call(["cancel", "x"]) == 0
    assert api.of(*uids)[uids[0]]["spec"]["suspend"] is True


def test_a_resumed_run_whose_jobs_name_is_taken_gets_another(cluster, gcs_root, capsys):
    api, url = cluster
    api.objects.clear()
    home = f"{gcs_root}/taken"
    ours, theirs = Player("gan", "a", "x", running=False), Player("gan", "a", "x-r2")
    write_folder(ours, home, url)
    put(api, theirs, home)
    assert call(["resume", "x", "--set", "steps=120", "--root", f"{home}/a"]) == 0
    record = read_record(open_store(ours.path(home).url))
    name = other_job_name(ours.spec(home), 2)
    assert (record.attempt, record.job) == (2, name)
    assert name.startswith("x-r2-") and api.objects["Job", "team", name]["metadata"]["uid"] == record.uid
    service = api.objects["Service", "team", name]
    assert service["spec"]["selector"]["batch.kubernetes.io/job-name"] == name
    code = call(
        ["submit", "--preset", "mlp", "--image", "reg/gantry:1", "--root", f"{home}/b", "--name", "x-r2"]
    )
    said = capsys.readouterr().err
    assert code == 2
    assert (
        f"Job 'x-r2', which is of run 'gan/x-r2' in root {home}/a; choose another, such as --name gan-x-r2"
        in said
    )


@given(run=st.from_regex(r"[a-z][a-z0-9-]{0,54}[a-z0-9]", fullmatch=True), attempt=st.integers(2, 99))
def test_another_name_of_a_job_is_one_that_its_pods_can_have(run, attempt):
    spec = make_spec(
        "mlp", ("batch_size=20",), run[:56].rstrip("-"), image="r/g:1", root="gs://bucket", workers=10
    )
    name = other_job_name(spec, attempt)
    assert len(f"{name}-9") <= 63
    assert name != job_name(spec.name, attempt)
    assert name != other_job_name(spec.model_copy(update={"experiment": "faces"}), attempt)


def test_orphans_are_told_from_pods_that_are_about_to_go():
    owned = {"metadata": {"ownerReferences": [{"controller": True}]}, "status": {"phase": "Running"}}
    assert not is_orphan(owned)
    assert is_orphan({**owned, "metadata": {}})
    assert not is_orphan({**owned, "metadata": {"deletionTimestamp": "2026-11-20T12:00:00Z"}})
    assert not is_orphan({"metadata": {}, "status": {"phase": "Succeeded"}})
