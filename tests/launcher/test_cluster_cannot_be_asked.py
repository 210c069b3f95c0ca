"""Every verb with a cluster that cannot be asked, for whatever reason.

What a folder has the answer to is answered from it, with a note where a cluster would have told more; what
has to act on a cluster is refused in one line.
"""

import json
import os

import pytest

from launcher.backends.kubernetes.client import plugin as plugins
from launcher.backends.kubernetes.jobs.claim import Claim
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.cli import main
from launcher.render import render, to_yaml
from launcher.spec.runspec import make_spec
from tests.launcher.api_server import (
    CONTEXT,
    NAMESPACE,
    Answer,
    ApiServer,
    Plugin,
    status,
    write_kubeconfig,
)
from tests.launcher.run_folder import write_run
from trainer.storage import open_store

CANNOT = (
    'jobs.batch is forbidden: User "eve" cannot list resource "jobs" in API group "batch" '
    f'in the namespace "{NAMESPACE}"'
)
ANSWERS = {
    "expired": Answer(401, status("Unauthorized", "Unauthorized", 401)),
    "forbidden": Answer(403, status(CANNOT, "Forbidden", 403)),
    "failing": Answer(500, status("Internal error occurred: no idea", "InternalError")),
}
FILES = (
    "directory",
    "below a file",
    "endless",
    "not YAML",
    "not text",
    "no contexts",
    "context gone",
    "no user",
)
USERS = ("plugin fails", "plugin absent", "token file absent")
OTHERS = ("away", "not TLS", "elsewhere", "unreadable")
TROUBLES = (*ANSWERS, *FILES, *USERS, *OTHERS)
# One of each kind; the context of a run is found by its server, whichever is current.
SOME = (
    *ANSWERS,
    "directory",
    "not YAML",
    "no user",
    "plugin fails",
    "token file absent",
    "away",
    "elsewhere",
)


@pytest.fixture
def server():
    with ApiServer() as found:
        yield found


@pytest.fixture
def plugin(tmp_path):
    return Plugin(tmp_path / "plugin").runs_script("echo no credit >&2; exit 3")


@pytest.fixture
def trouble(desk, server, plugin, monkeypatch):
    """Let KUBECONFIG be one that leads to no answer."""
    monkeypatch.setattr(plugins.PLUGINS, "_known", {})

    def make(kind):
        path = desk / "trouble"
        monkeypatch.setenv("KUBECONFIG", str(path))
        if kind in ANSWERS:
            server.rule(lambda asked: ANSWERS[kind])
            write_kubeconfig(path, server.url, {"token": "expired"})
        elif kind in FILES:
            monkeypatch.setenv("KUBECONFIG", str(_file(kind, path, server.url)))
        elif kind in USERS:
            users = {
                "plugin fails": plugin.user(),
                "plugin absent": plugin.user("absent-plugin"),
                "token file absent": {"tokenFile": "absent"},
            }
            write_kubeconfig(path, server.url, users[kind])
        else:
            addresses = {"elsewhere": "http://127.0.0.1:9", "not TLS": server.url.replace("http", "https")}
            write_kubeconfig(path, addresses.get(kind, server.url), {"token": "token"})
        if kind == "away":
            server.stop()
        if kind == "unreadable":
            if os.geteuid() == 0:
                pytest.skip("root may read everything")
            path.chmod(0)
        return path

    return make


def _file(kind, path, address):
    """Make a file that is no kubeconfig; what KUBECONFIG is to be."""
    if kind == "directory":
        path.mkdir()
    elif kind == "below a file":
        path.write_text("")
        return path / "config"
    elif kind == "endless":
        path.symlink_to(path)
    elif kind == "not YAML":
        path.write_text("contexts: [")
    elif kind == "not text":
        path.write_bytes(b"\xff\xfe\x00")
    elif kind == "no contexts":
        path.write_text("contexts: 3")
    else:
        write_kubeconfig(path, address, {})
        key, value = ("user: u", "user: x") if kind == "no user" else (f": {CONTEXT}\n", ": gone\n")
        path.write_text(path.read_text().replace(key, value, 1))
    return path


@pytest.fixture
def call(capfd):
    """Run a command in this process: its exit code and what it wrote."""

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in words])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return ended.value.code, said.out, said.err

    return run


LOCAL = {  # verbs and their exit codes
    ("status", "done"): 0,
    ("status", "done", "-o", "json"): 0,
    ("logs", "done"): 0,
    ("logs", "done", "--follow"): 0,
    ("wait", "done"): 0,
    ("show", "done"): 0,
    ("compare", "done", "bad"): 0,
    ("samples", "done"): 0,
    ("artifacts", "list", "done"): 0,
    ("artifacts", "download", "done", "--to", "out"): 0,
    ("explain", "done"): 0,
    ("explain", "bad"): 1,
    ("report", "done", "--out", "report.html"): 0,
    ("tensorboard", "done", "--export", "events"): 0,
    ("reindex",): 0,
    ("diff", "done"): 2,
    ("resume", "done"): 2,
    ("delete", "done"): 0,
    ("config", "show", "--backend", "local"): 0,
    ("render", "--backend", "local"): 2,
    ("list", "--root", "runs"): 0,
}


@pytest.fixture
def runs(desk):
    """Two runs of this machine in the folder ``runs``."""
    write_run(desk / "runs/gan/done", grids=1)
    write_run(desk / "runs/gan/bad", grids=1, state="failed", message="out of luck")
    return desk


@pytest.mark.parametrize("kind", ["expired", "plugin fails"])
def test_runs_of_this_machine_are_none_of_the_clusters_business(kind, runs, call, trouble, server, plugin):
    trouble(kind)
    for words, expected in LOCAL.items():
        code, out, err = call(*words)
        assert code == expected, (words, out, err)
        told = err.lower()
        assert not any(word in told for word in ("cannot be asked", "kubeconfig", "no cluster", "context")), (
            err
        )
    assert server.asked == []
    assert plugin.runs == []


@pytest.mark.parametrize("kind", TROUBLES)
def test_a_table_of_all_runs_is_of_the_files_and_says_why(kind, runs, call, trouble):
    trouble(kind)
    code, out, err = call("list")
    assert (code, out.count("gan ")) == (0, 2)
    assert err.startswith("note: the table is of the files alone: ")
    assert err.count("\n") == 1


@pytest.fixture
def submitted(gcs_root, server, tmp_path, monkeypatch):
    """Runs in a bucket, one that has finished and one that trains, as a submit to the server left them."""
    monkeypatch.setenv("KUBECONFIG", os.devnull)
    for name, state in (("done", "finished"), ("busy", "running")):
        more = {"image": "reg/gantry:1", "workers": 2, "namespace": NAMESPACE, "root": gcs_root}
        spec = make_spec("mlp", backend="kubernetes", name=name, **more)
        values = spec.model_dump(mode="json")
        record = ClusterRecord(1, name, NAMESPACE, CONTEXT, server.url, 2, "2026-01-02T03:04:05Z", values)
        store = open_store(spec.path.url)
        Claim(spec.path, store).write(spec, record, to_yaml(render(spec)), new=True)
        folder = write_run(tmp_path / "written" / name, grids=1, state=state)
        said = json.loads((folder / "status.json").read_text())
        (folder / "status.json").write_text(json.dumps(said | {"attempt": f"{name} attempt 1"}))
        for path in folder.rglob("*"):
            if path.is_file():
                store.write(str(path.relative_to(folder)), path.read_bytes())
    return gcs_root


TOLD = {  # verbs, their exit codes, and whether they would have asked the cluster
    ("status", "done"): (0, True),
    ("status", "busy", "-o", "json"): (0, True),
    ("list",): (0, True),
    ("logs", "done"): (0, True),
    ("logs", "done", "--follow"): (0, True),
    ("wait", "done"): (0, True),
    ("show", "done"): (0, True),
    ("diff", "done"): (0, True),
    ("explain", "done"): (0, True),
    ("samples", "done"): (0, False),
    ("artifacts", "list", "done"): (0, False),
    ("compare", "done", "busy"): (0, False),
}


@pytest.mark.parametrize("kind", SOME)
def test_what_the_folder_of_a_run_on_a_cluster_tells_is_told(kind, submitted, desk, call, trouble):
    trouble(kind)
    for words, (expected, asks) in TOLD.items():
        code, out, err = call(*words, "--root", submitted)
        assert code == expected, (words, out, err)
        assert out or words[0] == "diff"  # which has nothing to show
        told = " ".join((out + err).split())
        said = any(each in told for each in ("cannot be asked", "not asked: the cluster", "files alone"))
        assert said == asks, (words, out, err)
        # Neither the context's cluster nor the run's, of which no context is, can be asked.
        assert err.count("\n") <= (2 if kind == "elsewhere" else 1), (words, err)
    code, out, _ = call("status", "busy", "--root", submitted, "-o", "json")
    assert json.loads(out)["state"] == "running"


def test_a_run_that_had_finished_before_it_was_resumed_is_waited_for(submitted, desk, call, trouble):
    store = open_store(f"{submitted}/gan/done")
    record = json.loads(store.read("cluster.json"))
    store.write("cluster.json", json.dumps(record | {"attempt": 2, "job": "done-r2"}).encode())
    trouble("expired")
    code, out, err = call("wait", "done", "--root", submitted)
    assert (code, out, err.count("\n")) == (2, "", 1)


ACTS = (
    ("submit", "--preset", "mlp", "--image", "reg/gantry:1", "--name", "new", "--detach"),
    ("cancel", "busy"),
    ("resume", "busy"),
    ("delete", "busy"),
    ("wait", "busy"),
    ("logs", "busy", "--follow"),
    ("logs", "busy", "--since", "1h"),
)
SCHEDULES = (("cron", "list"), ("cron", "next", "every"), ("cron", "trigger", "every"))


@pytest.mark.parametrize("kind", SOME)
def test_what_acts_on_a_cluster_is_refused_in_one_line(kind, submitted, desk, call, trouble):
    trouble(kind)
    before = sorted(each.name for each in open_store(submitted).list())
    for words in (*((*each, "--root", submitted) for each in ACTS), *SCHEDULES):
        code, out, err = call(*words)
        refused = kind == "failing" and words[0] != "delete"  # which a run that trains is refused anyway
        assert code == (1 if refused else 2), (words, out, err)
        assert (out, err.count("\n")) == ("", 1), (words, err)
        assert err.startswith("error: ")
    assert sorted(each.name for each in open_store(submitted).list()) == before


@pytest.mark.parametrize("kind", TROUBLES)
def test_a_name_that_no_folder_has_is_no_such_run(kind, runs, call, trouble):
    trouble(kind)
    for words in (("status", "absent"), ("explain", "absent"), ("logs", "absent"), ("diff", "absent")):
        code, out, err = call(*words)
        assert (code, out, err.count("\n")) == (3, "", 1), (words, err)
        assert err.startswith("error: no run 'absent' in root runs")
        assert err.count("cannot be asked") == 1, err


@pytest.mark.parametrize("kind", ["expired", "not YAML", "context gone", "plugin absent"])
def test_a_doctor_says_what_is_wrong(kind, desk, call, trouble):
    trouble(kind)
    _, out, err = call("doctor", "-o", "json")
    [found] = [each for each in json.loads(out)["checks"] if each["check"] == "cluster"]
    assert (found["level"], err) == ("warn", "")


def test_a_context_that_was_typed_is_checked_and_one_of_a_settings_file_is_a_note(
    runs, call, server, monkeypatch
):
    path = write_kubeconfig(runs / "config", server.url, {"token": "token"})
    monkeypatch.setenv("KUBECONFIG", str(path))
    code, out, err = call("status", "done", "--context", "lop")
    assert (code, out) == (2, "")
    assert err == f"error: context 'lop': there is no such context in {runs}/config (did you mean 'loop'?)\n"
    (runs / "gantry.yaml").write_text("context: elsewhere\n")
    assert call("status", "done")[::2] == (0, "")
    code, out, err = call("list")
    assert (code, out.count("gan ")) == (0, 2)
    assert err.startswith("note: the table is of the files alone: context 'elsewhere'")
