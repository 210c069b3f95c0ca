"""What is tried again and what is final, whose credentials are sent, and lists that come in pages."""

import json
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from launcher.backends.kubernetes.client import plugin as plugins
from launcher.backends.kubernetes.client import transport
from launcher.backends.kubernetes.client.api import connect
from launcher.errors import (
    ApiFailed,
    ApiRejected,
    BadKubeconfig,
    ClusterLost,
    ClusterUnreachable,
    Expired,
    NotLoggedIn,
)
from tests.cluster.harness.certificates import self_signed
from tests.launcher.api_server import (
    CONTEXT,
    NAMESPACE,
    Answer,
    ApiServer,
    Plugin,
    status,
    write_kubeconfig,
)
from tests.launcher.kubectl import KUBECTL, needs_kubectl
from tests.launcher.terminal import Terminal

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
WEBHOOK = status(
    'Internal error occurred: failed calling webhook "a.b.c": failed to call webhook: Post "https://x/": '
    "dial tcp: connection refused",
    "InternalError",
)


@pytest.fixture
def server():
    with ApiServer() as found:
        found.objects[PODS] = []
        yield found


@pytest.fixture
def use(server, desk, monkeypatch):
    """Let KUBECONFIG lead to the server as some user; no plugin is known from before."""
    monkeypatch.setattr(plugins.PLUGINS, "_known", {})

    def write(user=None, **cluster):
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(desk, user or {"token": "t"}, **cluster)))
        return connect()

    return write


def reached(api):
    """An `Api` whose server has answered, and that has heard it."""
    api.read("/version")
    return api


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (429, status("slow down", "TooManyRequests", 429)),
        (502, b""),
        (503, b"<html>no healthy upstream</html>"),
        (504, status("the server was unable to return a response in time", "Timeout", 504)),
        (500, status("etcdserver: leader changed", "InternalError")),
        (500, status("etcdserver: request timed out", "InternalError")),
        (500, status("rpc error: code = Unavailable desc = transport is closing", "InternalError")),
        (500, status("the server could not find time", "ServerTimeout")),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["known", "first"])
def test_what_passes_is_tried_again_at_first_contact_too(server, use, code, body, known):
    api = reached(use()) if known else use()
    server.say(code, body, times=2)
    assert api.list("Pod")["items"] == []


@pytest.mark.parametrize("known", [True, False], ids=["known", "first"])
def test_a_broken_webhook_is_judged_at_once_with_the_servers_words(server, use, known):
    api = reached(use()) if known else use()
    server.say(500, WEBHOOK, times=9)
    before = len(server.asked)
    with pytest.raises(ApiFailed, match=r'failed calling webhook "a\.b\.c".*connection refused'):
        api.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}})
    assert len(server.asked) == before + 1


def test_what_does_not_pass_is_told_as_it_was_said(server, use, capsys):
    api = reached(use())
    api.transport.patience = 1.5
    server.rule(lambda asked: Answer(503, status("the storage is away", code=503)))
    with pytest.raises(
        ClusterLost, match=r"has answered with errors for 2 s: status 503, the storage is away"
    ):
        api.list("Pod")
    assert capsys.readouterr().err.count("answers with errors (status 503") == 1


def test_at_first_contact_patience_is_short_and_it_is_no_cluster_that_went_away(server, use):
    api = use()
    api.transport.first_patience = 0.5
    server.rule(lambda asked: Answer(503, b"<html>no healthy upstream</html>"))
    with pytest.raises(ClusterUnreachable, match=r"context 'loop' at http://\S+: status 503, no healthy"):
        api.list("Pod")


def test_a_server_is_left_alone_for_as_long_as_it_wants_but_not_for_ever(server, use, monkeypatch):
    api = reached(use())
    server.say(429, status("slow down", code=429), Retry_After="1")
    api.list("Pod")
    first, second = server.asked[-2:]
    assert second.moment - first.moment >= 1.0
    monkeypatch.setattr(transport, "_LONGEST_WISH", 0.3)
    server.say(429, status("slow down", code=429), Retry_After="3600")
    assert api.list("Pod")["items"] == []


def test_other_500s_are_final_unless_the_server_has_just_come_back(server, use):
    api = reached(use())
    server.say(500, status("Internal error occurred: no idea", "InternalError"))
    with pytest.raises(ApiFailed, match="no idea"):
        api.list("Pod")
    server.say(503, b"", times=3)  # an outage that is told
    server.say(500, status("Internal error occurred: no idea", "InternalError"))
    assert api.list("Pod")["items"] == []


# Lists.


def pods(count):
    return [{"metadata": {"name": f"pod-{number}"}} for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1003])
def test_a_list_comes_in_pages_and_is_whole(server, use, count):
    server.objects[PODS] = pods(count)
    listed = use().list("Pod", "a=b", "c=d")
    assert listed["items"] == server.objects[PODS]
    assert listed["metadata"] == {"resourceVersion": "7"}
    asked = [each.query for each in server.asked]
    assert {each["limit"] for each in asked} == {"500"}
    assert {(each["labelSelector"], each["fieldSelector"]) for each in asked} == {("a=b", "c=d")}
    assert len(asked) == max(1, -(-count // 500))


def test_a_list_that_the_server_forgets_between_two_pages_is_asked_for_at_once(server, use):
    server.objects[PODS] = pods(1200)

    def forgotten(asked):
        if asked.query.get("continue") != "1000":
            return None
        inconsistent = {"metadata": {"continue": "inconsistent"}}
        return Answer(
            410, status("The provided continue parameter is too old", "Expired", 410, **inconsistent)
        )

    server.rule(forgotten)
    assert use().list("Pod") == {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": pods(1200)}
    assert "limit" not in server.asked[-1].query
    assert "continue" not in server.asked[-1].query


def test_a_watch_that_is_too_old_is_told(server, use):
    server.say(410, status("too old resource version", "Expired", 410))
    with pytest.raises(Expired):
        list(use().watch("Pod", resource_version="1", timeout=1))


# Credentials.


def bearer(*tokens):
    return lambda authorization: authorization in {f"Bearer {token}" for token in tokens}


def test_a_plugin_is_run_once_for_all_threads_and_connections(server, use, tmp_path):
    soon = (datetime.now(UTC) + timedelta(seconds=20)).isoformat().replace("+00:00", "Z")
    plugin = Plugin(tmp_path / "plugin").gives("good", then="sleep 0.2", expirationTimestamp=soon)
    server.accepts = bearer("good")
    use(plugin.user())

    def ask(_):
        api = connect()
        return [api.list("Pod")["items"] for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [[[]] * 5] * 8
    assert len(plugin.runs) == 1


def test_a_plugin_is_run_again_when_its_time_is_up(server, use, tmp_path):
    plugin = Plugin(tmp_path / "plugin")
    over = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    plugin.answers({"token": "one", "expirationTimestamp": over}, {"token": "two"})
    api = use(plugin.user())
    api.list("Pod")
    threading.Event().wait(1.1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: (api.list("Pod"), connect().list("Pod")), range(4)))
    assert len(plugin.runs) == 2
    assert {each.headers["Authorization"] for each in server.asked[1:]} == {"Bearer two"}


def test_a_credential_that_is_over_when_it_comes_is_used_until_it_is_refused(server, use, tmp_path):
    """The workstation's clock is ahead: the plugin would be run for every request."""
    plugin = Plugin(tmp_path / "plugin").gives("one", expirationTimestamp="2001-01-01T00:00:00Z")
    api = use(plugin.user())
    for _ in range(3):
        api.list("Pod")
    assert len(plugin.runs) == 1


def test_a_plugins_credential_that_is_refused_is_renewed_once_for_all(server, use, tmp_path):
    plugin = Plugin(tmp_path / "plugin").gives("old", "new")
    server.accepts = bearer("old")
    apis = [use(plugin.user()), connect(), connect()]
    for api in apis:
        api.list("Pod")
    server.accepts = bearer("new")
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda api: api.list("Pod")["items"], apis * 4)) == [[]] * 12
    assert len(plugin.runs) == 2


def test_a_plugin_that_has_nothing_better_is_not_run_for_ever(server, use, tmp_path):
    plugin = Plugin(tmp_path / "plugin").gives("bad")
    server.accepts = bearer("good")
    use(plugin.user())
    for _ in range(3):
        with pytest.raises(NotLoggedIn, match="log in again"):
            connect().list("Pod")
    assert len(plugin.runs) == 2


def test_a_plugin_that_fails_during_an_outage_is_waited_for(server, use, tmp_path):
    plugin = Plugin(tmp_path / "plugin").gives("old", "new", then=f"[ ! -e {tmp_path}/away ]||exit 7")
    server.accepts = bearer("old")
    api = reached(use(plugin.user()))
    server.accepts = bearer("new")
    (tmp_path / "away").touch()
    threading.Timer(0.5, (tmp_path / "away").unlink).start()
    assert api.list("Pod")["items"] == []


def test_a_plugins_certificate_is_what_a_connection_is_made_with(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(plugins.PLUGINS, "_known", {})
    files = {each: (tmp_path / f"{each}.key", tmp_path / f"{each}.crt") for each in ("server", "old", "new")}
    for each, (key, certificate) in files.items():
        self_signed(each, key, certificate, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server"][1], files["server"][0])
    context.load_verify_locations(files["old"][1])
    context.load_verify_locations(files["new"][1])
    context.verify_mode = ssl.CERT_REQUIRED
    plugin = Plugin(tmp_path / "plugin").answers(
        *(
            {"clientKeyData": files[each][0].read_text(), "clientCertificateData": files[each][1].read_text()}
            for each in ("old", "new")
        )
    )
    with ApiServer(context) as server:
        server.objects[PODS] = []
        more = {"certificate-authority": "../server.crt"}
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(desk, plugin.user(), **more)))
        api = connect()
        assert api.list("Pod")["items"] == []
        server.say(401, status("Unauthorized", code=401))
        assert api.list("Pod")["items"] == []
    assert [each.user for each in server.asked] == ["old", "old", "new"]
    assert len(plugin.runs) == 2


def test_a_plugin_is_called_as_kubectl_calls_it(server, use, tmp_path, monkeypatch):
    plugin = Plugin(tmp_path / "bin/plug").gives("t")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    user = plugin.user("plug", args=["a", "b"], env=[{"name": "EXTRA", "value": "more"}])
    user["exec"]["provideClusterInfo"] = True
    use(user, extensions=[extension], **{"tls-server-name": "name"}).list("Pod")
    [[folder, arguments, told, extra]] = plugin.runs
    assert (folder, arguments, extra) == (str(tmp_path / "desk"), "a b", "more")
    cluster = {"server": server.url, "tls-server-name": "name", "config": {"audience": "x"}}
    assert json.loads(told) == {
        "kind": "ExecCredential",
        "apiVersion": Plugin.VERSION,
        "spec": {"interactive": False, "cluster": cluster},
    }


@needs_kubectl
@pytest.mark.parametrize("command", ["bin/plug", "./bin/plug", "plug"])
def test_kubectl_runs_the_same_plugin_in_the_same_way(tmp_path, desk, monkeypatch, command):
    monkeypatch.setattr(plugins.PLUGINS, "_known", {})
    every = {each: Plugin(tmp_path / each / "bin/plug").gives("t") for each in ("first", "second", "path")}
    monkeypatch.setenv("PATH", f"{tmp_path}/path/bin:/usr/bin:/bin")
    first = tmp_path / "first/config"
    server = {"server": "https://127.0.0.1:9", "insecure-skip-tls-verify": True, "tls-server-name": "n"}
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    cluster = {**server, "extensions": [extension]}
    first.write_text(json.dumps({"clusters": [{"name": "c", "cluster": cluster}]}))
    env = [{"name": "EXTRA", "value": "more"}]
    user = every["second"].user(command, args=["a", "b"], env=env, provideClusterInfo=True)
    second = write_kubeconfig(tmp_path / "second/config", "https://127.0.0.1:8", user)
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}")
    done = subprocess.run([KUBECTL, "get", "--raw", "/version"], capture_output=True, text=True, check=False)
    assert "refused" in done.stderr
    with pytest.raises(ClusterUnreachable, match="refused"):
        connect().read("/version")
    [ran] = [plugin for plugin in every.values() if plugin.runs]
    assert ran is every["path" if command == "plug" else "second"]
    (*theirs, told, extra), (*ours, our_told, our_extra) = ran.runs
    assert (theirs, extra) == (ours, our_extra)
    assert json.loads(told) == json.loads(our_told)


def test_a_relative_path_is_relative_to_its_own_file(server, tmp_path, desk, monkeypatch):
    monkeypatch.setattr(plugins.PLUGINS, "_known", {})
    wrong, right = Plugin(tmp_path / "first/bin/plug").gives("bad"), Plugin(tmp_path / "second/bin/plug")
    right.gives("good")
    server.accepts = bearer("good")
    first = tmp_path / "first/config"
    first.write_text(f"clusters: [{{name: c, cluster: {{server: '{server.url}'}}}}]")
    second = write_kubeconfig(tmp_path / "second/config", "http://127.0.0.1:9", right.user("bin/plug"))
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}")
    assert connect().list("Pod")["items"] == []
    assert (len(wrong.runs), len(right.runs)) == (0, 1)
    token = tmp_path / "second/token"
    token.write_text("good\n")
    write_kubeconfig(tmp_path / "second/config", "http://127.0.0.1:9", {"tokenFile": "token"})
    assert connect().list("Pod")["items"] == []
    token.write_text("other")
    with pytest.raises(NotLoggedIn):
        connect().list("Pod")


def test_a_tokens_file_is_read_again_when_the_token_is_refused(server, use, tmp_path):
    token = tmp_path / "token"
    token.write_text("old")
    server.accepts = bearer("old")
    api = reached(use({"tokenFile": str(token)}))
    token.write_text("new\n")
    server.accepts = bearer("new")
    assert api.list("Pod")["items"] == []


def test_a_user_who_acts_as_another_says_so(server, use):
    user = {"token": "t", "as": "eve", "as-uid": "7", "as-groups": ["one", "two"]}
    use(user).list("Pod")
    headers = server.asked[-1].headers
    assert headers["Impersonate-User"] == "eve"
    assert headers["Impersonate-Uid"] == "7"
    assert [part for each in headers.get_all("Impersonate-Group") for part in each.split(", ")] == [
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    ("change", "script", "words"),
    [
        (
            {"command": "absent-plugin", "installHint": "get it\nfrom here"},
            "",
            ["no such program", "get it from"],
        ),
        ({"command": ""}, "", ["no such program"]),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "", ["v1alpha1", "expected", "/v1beta1"]),
        ({"interactiveMode": "Sometimes"}, "", ["interactiveMode is 'Sometimes'", "IfAvailable"]),
        ({"interactiveMode": "Always"}, "", ["expected a terminal"]),
        ({"args": 3}, "", ["args: expected a list"]),
        ({"env": [{"name": "A"}]}, "", ["name and value"]),
        ({}, "echo no credit >&2; exit 3", ["exit code 3", "no credit"]),
        ({}, "echo secret", ["no JSON"]),
        ({}, "echo 3", ["no JSON object"]),
        ({}, 'echo \'{"kind": "ExecCredential", "apiVersion": "x"}\'', ["wrote x ExecCredential: expected"]),
        ({}, {}, ["neither a token nor a certificate"]),
        ({}, None, ["neither a token nor a certificate"]),
        ({}, {"clientKeyData": "secret"}, ["or a key alone"]),
        ({}, {"token": "secret", "expirationTimestamp": "tomorrow"}, ["no RFC 3339 time"]),
        ({}, {"clientCertificateData": "secret", "clientKeyData": "secret"}, ["no cluster reachable"]),
    ],
)
def test_a_plugin_that_is_broken_is_told_in_one_line(use, tmp_path, change, script, words):
    plugin = Plugin(tmp_path / "plugin")
    plugin.runs_script(script) if isinstance(script, str) else plugin.answers(script)
    user = plugin.user()
    user["exec"] |= change
    cluster = {"server": "https://127.0.0.1:9"}
    with pytest.raises((NotLoggedIn, ClusterUnreachable)) as refused:
        use(user, **cluster).list("Pod")
    text = str(refused.value)
    assert "\n" not in text
    assert f"context '{CONTEXT}'" in text
    assert "secret" not in text
    assert all(word in text for word in words), text


def test_a_plugin_may_ask_on_the_terminal_once(server, use, tmp_path, desk):
    script = 'echo "your name?" >&2; read name; echo "$name" > name\n'
    plugin = Plugin(tmp_path / "plugin").gives("good", then=script)
    server.accepts = bearer("good")
    server.objects[f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs"] = []
    use({"token": "any"})
    server.kubeconfig(desk, plugin.user(interactiveMode="IfAvailable"))
    terminal = Terminal("-m", "launcher", "cron", "list", cwd=desk)
    try:
        terminal.wait_for("your name?")
        terminal.press(b"eve\n")
        assert terminal.leave() == 0, terminal.text
    finally:
        terminal.close()
    assert (desk / "name").read_text() == "eve\n"
    [[_, _, told, _]] = plugin.runs
    assert json.loads(told)["spec"] == {"interactive": True}


def test_a_users_own_credentials_win_over_its_plugin(server, use, tmp_path):
    plugin = Plugin(tmp_path / "plugin").gives("bad")
    server.accepts = bearer("good")
    assert use({"token": "good", **plugin.user()}).list("Pod")["items"] == []
    assert plugin.runs == []


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"tokenFile": "absent"}, ["tokenFile", "/absent", "No such file"]),
        ({"auth-provider": {"name": "azure"}}, ["auth-provider 'azure'", "exec plugin"]),
        ({"as": "eve", "as-user-extra": {"a": ["b"]}}, ["as-user-extra", "not supported"]),
        ({"exec": "plugin"}, ["expected a mapping"]),
    ],
)
def test_other_credentials_that_cannot_be_used(use, user, words):
    with pytest.raises(NotLoggedIn) as refused:
        use(user)
    assert all(word in str(refused.value) for word in words), refused.value


def test_a_kubeconfig_that_lacks_what_its_context_names(server, desk, monkeypatch):
    path = desk / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    for contexts, words in (
        ("{cluster: c, user: nobody}", "there is no user 'nobody'"),
        ("{cluster: absent, user: u}", "cluster 'absent' has no server"),
        ("{user: u}", "names no cluster"),
    ):
        path.write_text(
            f"current-context: x\ncontexts: [{{name: x, context: {contexts}}}]\n"
            f"clusters: [{{name: c, cluster: {{server: '{server.url}'}}}}]\n"
            "users: [{name: u, user: {}}]\n"
        )
        with pytest.raises(BadKubeconfig, match=words):
            connect()


def test_a_refusal_in_words_is_no_fault_of_the_cluster(server, use):
    server.say(422, status("spec.x: Invalid value", "Invalid", 422))
    with pytest.raises(ApiRejected, match="Invalid value") as refused:
        use().list("Pod")
    assert not isinstance(refused.value, ApiFailed)
