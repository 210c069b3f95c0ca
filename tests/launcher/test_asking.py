"""Which Jobs a list of runs asks for: a namespace that was not asked has not lost a run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.jobs.owner import owner_of, sign
from launcher.backends.kubernetes.jobs.record import ClusterRecord, record_of
from launcher.backends.kubernetes.status.overview import Jobs
from launcher.backends.kubernetes.status.reading import read_jobs
from launcher.commands.list import table
from launcher.errors import ApiRejected, ClusterUnreachable, Forbidden, NotLoggedIn
from launcher.runs.find import Place
from tests.launcher.kubernetes_objects import BEGAN, job
from trainer.run.layout import RunPath

SERVER = "https://a:6443"
ROOT = "gs://runs/gan"


def made(namespace, name="one", **status):
    found = job(annotations={"gantry/owner": "ada"}, **status)
    found["metadata"] |= {"namespace": namespace, "name": name}
    return found


class Cluster:
    """An API server of which a user may read some namespaces' Jobs, the namespaces, or the Jobs of all."""

    server, now = SERVER, BEGAN

    def __init__(self, jobs, may=(), namespaces=(), all_jobs=False, namespace="team", asked=None):
        self.jobs, self.may, self.namespaces, self.all_jobs = jobs, may, namespaces, all_jobs
        self.namespace, self.asked = namespace, [] if asked is None else asked

    def inside(self, namespace):
        return Cluster(self.jobs, self.may, self.namespaces, self.all_jobs, namespace, self.asked)

    def list(self, kind, selector="", fields="", *, everywhere=False):
        self.asked.append((kind, None if everywhere else self.namespace))
        if kind == "Namespace":
            if not self.namespaces:
                raise Forbidden("namespaces")
            return {"items": [{"metadata": {"name": name}} for name in self.namespaces]}
        if not (self.all_jobs if everywhere else self.namespace in self.may):
            raise Forbidden(f"jobs in {self.namespace}")
        return {
            "items": [
                each for each in self.jobs if everywhere or each["metadata"]["namespace"] == self.namespace
            ]
        }


JOBS = [made("team"), made("lim", "two"), made("far", "three")]


@pytest.fixture(autouse=True)
def kubeconfig(tmp_path, monkeypatch):
    contexts = {"c": ("c", "team"), "far": ("c", "far"), "other": ("d", "lim")}
    content = {
        "current-context": "c",
        "contexts": [
            {"name": name, "context": {"cluster": cluster, "namespace": namespace}}
            for name, (cluster, namespace) in contexts.items()
        ],
        "clusters": [
            {"name": "c", "cluster": {"server": SERVER}},
            {"name": "d", "cluster": {"server": "https://d"}},
        ],
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(content))
    monkeypatch.setenv("KUBECONFIG", str(path))


def names(read):
    return [each["metadata"]["name"] for each in read.jobs]


def test_all_namespaces_are_one_request_where_that_is_allowed():
    cluster = Cluster(JOBS, all_jobs=True)
    read = read_jobs(lambda: cluster, everywhere=True)
    assert (names(read), read.notes, read.has("anything")) == (["one", "two", "three"], (), True)
    assert cluster.asked == [("Job", None)]


def test_else_each_namespace_that_may_be_read_and_the_others_are_named():
    cluster = Cluster(JOBS, may=("team", "lim"), namespaces=("far", "lim", "secret", "team"))
    read = read_jobs(lambda: cluster, everywhere=True)
    assert names(read) == ["two", "one"]
    assert (read.has("lim"), read.has("far")) == (True, False)
    assert read.notes == ("namespaces whose Jobs you may not list: far, secret",)


def test_else_those_that_the_kubeconfig_names_of_this_cluster():
    cluster = Cluster(JOBS, may=("team",))
    read = read_jobs(lambda: cluster, everywhere=True)
    assert names(read) == ["one"]
    assert read.notes[0] == "namespaces whose Jobs you may not list: far"
    assert read.notes[1].endswith("those of the kubeconfig's contexts, far, team")


def test_nothing_that_may_be_read_is_told_and_no_run_is_taken_for_gone():
    read = read_jobs(lambda: Cluster(JOBS), everywhere=True)
    assert (read.jobs, isinstance(read.error, Forbidden)) == ([], True)


def record(namespace="team", server=SERVER):
    return ClusterRecord(1, "one", namespace, "c", server, 2, BEGAN.isoformat(), {})


@pytest.fixture
def place(monkeypatch):
    """A place whose connections lead to a cluster, which notes what is asked."""

    def at(cluster):
        monkeypatch.setattr(Place, "connect", lambda self: cluster.inside(self.namespace or "team"))
        return Place()

    return at


def test_a_run_of_another_namespace_is_asked_about_there_and_each_once(place):
    cluster = Cluster(JOBS, may=("team", "lim"))
    jobs = Jobs(place(cluster))
    for _ in range(3):
        assert set(jobs.at(record("lim")).by_name) == {"two"}
        assert jobs.at(record()) == ({"one": JOBS[0]}, BEGAN)
    assert cluster.asked == [("Job", "team"), ("Job", "lim")]


def test_what_cannot_be_asked_is_told_once_and_is_not_gone(place, capsys):
    jobs = Jobs(place(Cluster(JOBS, may=("team",))))
    for _ in range(3):
        with pytest.raises(Forbidden):
            jobs.at(record("lim"))
        with pytest.raises(ClusterUnreachable, match="no context of the kubeconfig has that address"):
            jobs.at(record(server="https://gone"))
    assert jobs.at(record()).by_name
    told = capsys.readouterr().err.splitlines()
    assert [line.split(" are told")[0] for line in told] == [
        "note: runs in namespace 'lim' of https://a:6443",
        "note: runs in namespace 'team' of https://gone",
    ]


@pytest.mark.parametrize("error", [ClusterUnreachable("away"), NotLoggedIn("expired")])
def test_a_cluster_that_does_not_answer_is_asked_once(monkeypatch, capsys, error):
    asked = []

    def connect(self):
        asked.append(self.namespace)
        raise error

    monkeypatch.setattr(Place, "connect", connect)
    jobs = Jobs(Place())
    assert (jobs.all, jobs.of(RunPath(ROOT, "gan", "one"))) == ([], None)
    for namespace in ("team", "lim", "far"):
        with pytest.raises(type(error)):
            jobs.at(record(namespace))
    assert len(asked) <= 2  # where it was, and once by the address that the runs have
    assert "files alone" in capsys.readouterr().err


@given(st.sets(st.sampled_from(["team", "lim", "far", "secret"])), st.booleans(), st.booleans())
def test_whatever_may_be_read_an_answer_about_a_namespace_is_about_that_one(may, all_jobs, everywhere):
    """For every namespace the answer is its own Jobs, or an error; never none where there are some."""
    cluster = Cluster(JOBS, may, ("far", "lim", "secret", "team"), all_jobs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Place, "connect", lambda self: cluster.inside(self.namespace or "team"))
        jobs = Jobs(Place(), everywhere)
        for each in JOBS:
            namespace, name = each["metadata"]["namespace"], each["metadata"]["name"]
            try:
                known = jobs.at(record(namespace)).by_name
            except Forbidden:
                assert namespace not in may
            else:
                assert set(known) == {name}


def test_a_run_whose_folder_is_another_s_is_told_of_by_its_job(place):
    where = place(Cluster(JOBS, all_jobs=True))
    jobs = Jobs(where, everywhere=True)
    trains = made("lim", active=2, ready=2)
    told = jobs.by_job(RunPath(ROOT, "gan", "one"), trains)
    assert (told.state, told.namespace, told.owner) == ("running", "lim", "ada")
    assert "cannot be read" in told.explanation
    waits = jobs.by_job(RunPath(ROOT, "gan", "one"), made("lim"))
    assert waits.state == "pending"
    heading, row = table([told], owners=True)
    assert heading.split()[:4] == ["namespace", "owner", "experiment", "run"]
    assert row.split()[:5] == ["lim", "ada", "gan", "one", "running"]
    assert table([told])[0].split()[0] == "experiment"


class Reviews:
    """An API server that says who we are, or cannot."""

    def __init__(self, answer):
        self.answer = answer

    def create(self, manifest):
        assert manifest["kind"] == "SelfSubjectReview"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [ApiRejected("no such kind", 404), Forbidden("no"), {"status": {}}])
def test_the_owner_is_who_the_server_takes_us_for_else_who_we_are_here(answer, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    monkeypatch.setattr("socket.gethostname", lambda: "lap")
    assert owner_of(Reviews({"status": {"userInfo": {"username": "oidc:ada@x"}}})) == "oidc:ada@x"
    assert owner_of(Reviews(answer)) == "ada@lap"
    manifest = job()
    sign(manifest, "ada@lap")
    assert record_of(manifest).owner == "ada@lap"
    assert manifest["metadata"]["annotations"]["gantry/root"] == ROOT
    sign(manifest, None)
    assert record_of(manifest).owner == "ada@lap"
