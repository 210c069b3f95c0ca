"""Where a value comes from, which one wins, and mistakes in files by line and column."""

import json

import pytest
import yaml

from launcher.cli import main
from launcher.spec.settings import defaults, layered, shown, spec_from, user_file
from launcher.spec.yaml_file import read_settings
from trainer.errors import UserError

RUN = """\
preset: mlp
image: registry/gantry:0.1.0
root: gs://bucket/gan
"""


@pytest.fixture
def write(desk):
    """Write a file at the desk; ``user`` is the one in the user's folder."""

    def to(name, text):
        path = user_file() if name == "user" else desk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return to


def refused(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_strongest_word_counts_and_says_where_it_is_from(desk, write, monkeypatch):
    keys = ("experiment", "root", "image", "workers", "memory", "cpu")
    write("user", "experiment: user\nroot: gs://user/x\nimage: user:1\nworkers: 8\nmemory: 1Gi\ncpu: 1\n")
    write("gantry.yaml", "# ours\nroot: gs://here/x\nimage: here:1\nworkers: 4\nmemory: 2Gi\n")
    monkeypatch.setenv("GANTRY_ROOT", "gs://environment/x")
    file = write("run.yaml", "preset: mlp\nname: one\nimage: file:1\nworkers: 2\n")
    found = layered({"workers": 1, "cpu": None}, file)
    assert {key: found.values[key] for key in keys} == {
        "experiment": "user", "root": "gs://environment/x", "image": "file:1",
        "workers": 1, "memory": "2Gi", "cpu": "1",
    }  # fmt: skip
    assert [found.origin(key) for key in keys] == [
        f"{user_file()}:1:13",
        "environment GANTRY_ROOT",
        f"{file}:3:8",
        "flag --workers",
        "gantry.yaml:5:9",
        f"{user_file()}:6:6",
    ]
    spec = spec_from(found)
    assert (spec.workers, spec.root, spec.image, spec.cpu) == (1, "gs://environment/x", "file:1", "1")


def test_set_and_env_are_merged_entry_by_entry_and_lists_are_not(write):
    write("gantry.yaml", "env: {A: 1, B: off}\nset: {steps: 10, optimizer: {beta1: 0.4}}\nprofiles: [spot]\n")
    file = write(
        "run.yaml",
        RUN + "env: {B: on}\nset:\n  optimizer.beta1: 0.5\n  network:\n    latent_size: 7\n"
        "    generator_units: [32, 64]\nprofiles: [nccl]\n",
    )
    found = layered({"overrides": ["steps=20"], "env": ["C=x=y"], "name": "one"}, file)
    spec = spec_from(found)
    assert spec.env == {"A": "1", "B": "on", "C": "x=y"}
    assert spec.profiles == ("nccl",)
    config = spec.config()
    assert (config.steps, config.optimizer.beta1) == (20, 0.5)
    assert (config.network.latent_size, config.network.generator_units) == (7, (32, 64))
    assert found.origin("set.steps") == "flag --set"
    assert found.origin("set.optimizer.beta1") == f"{file}:6:20"
    assert found.origin("env.A") == "gantry.yaml:1:10"


def test_what_is_written_in_set_is_what_set_would_be_told(write):
    file = write("run.yaml", "set: {xla: off, data.source: 'npz:a.npz', optimizer: {learning_rate: 1e-4}}\n")
    assert layered({}, file).entries("set") == {
        "xla": "off",
        "data.source": "npz:a.npz",
        "optimizer.learning_rate": "1e-4",
    }


def test_an_empty_value_takes_back_what_a_weaker_file_gave(write):
    write("gantry.yaml", "queue: team\nprofiles: [spot]\n")
    file = write("run.yaml", RUN + "name: one\nqueue:\nprofiles: []\n")
    spec = spec_from(layered({}, file))
    assert (spec.queue, spec.profiles) == (None, ())


@pytest.mark.parametrize(
    ("flags", "backend", "origin"),
    [
        ({}, "local", "as there is no image and root is no bucket"),
        ({"image": "a:1"}, "kubernetes", "as image is given"),
        ({"root": "gs://bucket/x"}, "kubernetes", "as root is a bucket"),
        ({"image": "a:1", "backend": "local"}, "local", "flag --backend"),
    ],
)
def test_the_backend_is_given_or_derived_with_its_reason(desk, flags, backend, origin):
    found = layered(flags)
    assert (found.values["backend"], found.origin("backend")) == (backend, origin)


def test_a_local_run_does_without_what_files_for_all_runs_say_of_kubernetes(write):
    write("gantry.yaml", "context: kind\nnamespace: gan\nprofiles: [spot]\nenv: {A: 1}\nworkers: 2\n")
    spec = spec_from(layered({"preset": "mlp", "name": "one"}))
    assert (spec.backend, spec.workers, spec.context, spec.profiles, spec.env) == ("local", 2, None, (), {})
    text = refused(spec_from, layered({"preset": "mlp", "gpus": 1}))
    assert text.startswith("gpus is '1': expected none, as backend is local; workers here use what GPUs")


def test_defaults_are_what_every_command_goes_by(desk, write, monkeypatch):
    assert defaults().values == {}
    write("user", "root: runs\ncontext: kind\nworkers: 2\n")
    write("gantry.yaml", "root: gs://bucket/gan\nnamespace: gan\n")
    found = defaults()
    assert found.values == {"root": "gs://bucket/gan", "context": "kind", "namespace": "gan"}
    assert found.origin("root") == "gantry.yaml:1:7"
    monkeypatch.setenv("GANTRY_ROOT", "/data")
    assert defaults().values["root"] == "/data"
    assert defaults().origin("root") == "environment GANTRY_ROOT"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("preset: mlp\nworkrs: 2\n", "run.yaml:2:1: workrs: there is no such key (did you mean 'workers'?)"),
        ("ttl: 60\n", "run.yaml:1:1: ttl: there is no such key (did you mean 'ttl_seconds_after_finished'?)"),
        ("xyzzy: 1\n", "run.yaml:1:1: xyzzy: there is no such key; keys are preset, root"),
        ("overrides: [steps=1]\n", "run.yaml:1:1: overrides: there is no such key"),
        ("workers: 2\n\nworkers: 3\n", "run.yaml:3:1: workers is there twice"),
        ("workers: two\n", "run.yaml:1:10: workers is 'two': expected a whole number"),
        ("workers: '2'\n", "run.yaml:1:10: workers is '2': expected a whole number"),
        ("workers: true\n", "run.yaml:1:10: workers is 'true': expected a whole number"),
        ("workers: 2.0\n", "run.yaml:1:10: workers is '2.0': expected a whole number"),
        ("workers:\n", "run.yaml:1:9: workers is empty: expected a whole number"),
        ("workers: [2]\n", "run.yaml:1:10: workers is a list: expected a whole number"),
        ("  name: 2026\n", "run.yaml:1:9: name is '2026': expected a text, in quotes"),
        ("name: {a: b}\n", "run.yaml:1:7: name is a mapping: expected a text"),
        ("profiles: spot\n", "run.yaml:1:11: profiles is 'spot': expected a list of texts"),
        ("profiles: [1]\n", "run.yaml:1:11: profiles is a list: expected a list of texts"),
        ("env: [A=1]\n", "run.yaml:1:6: env is a list: expected a mapping"),
        ("env: {A: [1]}\n", "run.yaml:1:10: env.A is a list: expected a text"),
        ("env: {A: 1, A: 2}\n", "run.yaml:1:13: A is there twice"),
        ("set: steps=2\n", "run.yaml:1:6: set is 'steps=2': expected a mapping"),
        ("set: {optimizer: {}, steps: }\n", "run.yaml:1:29: set.steps is empty"),
        (
            "set:\n  optimizer: {beta1: 0.1}\n  optimizer.beta1: 0.2\n",
            "run.yaml:3:20: set.optimizer.beta1 is there twice",
        ),
        ("[a]\n", "run.yaml:1:1: a settings' file is a list: expected a mapping"),
        ("? [a]\n: b\n", "run.yaml:1:3: a settings' file has a key that is a list"),
        ("a: b: c\n", "run.yaml:1:5: not YAML"),
        ("a: [\n", "run.yaml:2:1: not YAML"),
        ("a: \x00\n", "run.yaml"),
    ],
)
def test_a_mistake_in_a_file_is_named_by_line_and_column(write, text, words):
    file = write("run.yaml", text)
    told = refused(read_settings, file)
    assert told.startswith(str(file.parent))
    assert words in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workers: 0\n", "gantry.yaml:1:10: workers is 0: expected greater than or equal to 1"),
        ("workers: 3\n", "gantry.yaml:1:10: batch_size is 64: expected a multiple of the 3 workers"),
        ("preset: nope\n", "gantry.yaml:1:9: unknown preset 'nope'"),
        ("set: {stps: 3}\n", "gantry.yaml:1:13: set.stps: there is no such key (did you mean 'steps'?)"),
        ("set: {steps: 0}\n", "gantry.yaml:1:14: preset mlp: steps is 0: expected"),
        ("set: {batch_size: 7}\nworkers: 2\n", "gantry.yaml:1:19: batch_size is 7"),
        ("image: gantry\nroot: gs://bucket/x\n", "gantry.yaml:1:8: image is 'gantry'"),
        ("image: a:1\nroot: runs\n", "gantry.yaml:2:7: root is 'runs': expected gs://"),
        (RUN + "profiles: [spto]\n", "gantry.yaml:4:11: unknown profile 'spto'"),
        (RUN + "memory: 8\n", "gantry.yaml:4:9: memory is '8'"),
        (RUN + "env: {GANTRY_JOB: x}\n", "gantry.yaml:4:19: env is 'GANTRY_JOB'"),
    ],
)
def test_a_value_that_cannot_be_is_named_where_it_is_written(write, text, words):
    write("gantry.yaml", text)
    told = refused(lambda: spec_from(layered({"preset": None if "preset" in text else "mlp", "name": "one"})))
    assert words in told


def test_a_root_from_the_environment_is_named_as_such(desk, monkeypatch):
    monkeypatch.setenv("GANTRY_ROOT", "/data")
    told = refused(lambda: spec_from(layered({"preset": "mlp", "image": "a:1"})))
    assert told.startswith("environment GANTRY_ROOT: root is '/data'")


@pytest.mark.parametrize("entry", ["steps", "=3"])
def test_flags_with_pairs_need_both_halves(desk, entry):
    assert "expected key=value" in refused(layered, {"overrides": [entry]})
    assert "expected key=value" in refused(layered, {"env": [entry]})


def test_a_file_that_is_not_there_is_named(desk):
    assert refused(layered, {}, desk / "gone.yaml").endswith(
        "gone.yaml: cannot be read (No such file or directory)"
    )


def test_a_file_of_comments_says_nothing(write):
    assert read_settings(write("run.yaml", "# nothing yet\n")) == {}


def test_every_value_is_shown_with_its_origin(desk, write):
    (desk.parent / "kubeconfig").write_text(
        yaml.safe_dump(
            {
                "current-context": "kind",
                "contexts": [{"name": "kind", "context": {"cluster": "c", "namespace": "gan"}}],
            }
        )
    )
    file = write("run.yaml", RUN + "set: {steps: 5}\n")
    found = shown(layered({"workers": 2}, file))
    assert found["workers"] == (2, "flag --workers")
    assert found["set.steps"] == ("5", f"{file}:4:14")
    assert found["backoff_limit"] == (3, "built in")
    assert found["name"] == (None, "not given")
    assert found["context"].value == "kind"
    assert found["context"].origin.startswith("current in ")
    assert found["namespace"] == ("gan", "context kind")


@pytest.mark.parametrize("form", ["text", "json", "yaml"])
def test_config_show_prints_values_and_origins(write, capsys, form):
    write("run.yaml", RUN)
    with pytest.raises(SystemExit) as left:
        main(["config", "show", "-f", "run.yaml", "--workers", "2", "-o", form])
    out = capsys.readouterr().out
    assert left.value.code == 0
    if form == "text":
        rows = [line.split(maxsplit=2) for line in out.splitlines()]
        assert ["workers", "2", "flag --workers"] in rows
        assert ["image", "registry/gantry:0.1.0", "run.yaml:2:8"] in rows
    else:
        found = (json.loads if form == "json" else yaml.safe_load)(out)
        assert found["workers"] == {"value": 2, "origin": "flag --workers"}
