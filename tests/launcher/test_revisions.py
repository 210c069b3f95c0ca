"""Runs and schedules that an earlier revision made, under the launcher and the trainer of now."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from launcher.diagnosis.diff import compare, laid_over
from launcher.render import render
from launcher.render.cronjob import render_schedule
from launcher.schedules.adopting import asked_of
from launcher.schedules.model import asked_timing
from launcher.spec.runspec import make_spec
from launcher.spec.settings import Layered
from trainer import __version__
from trainer.config import resolve
from trainer.config.carried import VARIABLE

REVISIONS = Path(__file__).parents[1] / "revisions"
MADE = sorted(path.name for path in REVISIONS.iterdir() if path.is_dir())


@pytest.fixture(params=MADE)
def before(request, root):
    """The folder of a run that a revision left."""
    folder = Path(root) / "gan/before"
    shutil.copytree(REVISIONS / request.param / "run", folder)
    for path in folder.glob("*.json"):
        path.write_text(path.read_text().replace('"/runs"', f'"{root}"'))
    return folder


def run_json(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_run_of_before_is_shown_and_goes_on(launcher, root, before):
    for words in (
        ["status", "before"],
        ["list"],
        ["show", "before"],
        ["metrics", "before"],
        ["explain", "before"],
    ):
        done = launcher(*words, "--root", root, "-o", "json")
        assert done.returncode == 0, done.stderr
    asked = json.loads(launcher("status", "before", "--root", root, "-o", "json").stdout)
    assert (asked["state"], asked["step"]) == ("finished", 20)
    done = launcher("resume", "before", "--root", root, "--set", "steps=40")
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stdout + done.stderr and "finished 40 steps" in done.stdout + done.stderr
    lines = [
        json.loads(line) for path in (before / "metrics").iterdir() for line in path.read_text().splitlines()
    ]
    assert sorted(line["step"] for line in lines) == [*range(5, 41, 5)]


def test_a_run_whose_preset_has_changed_since_keeps_its_values(launcher, root, before):
    """As if the preset had said 0.3 when it began, and the batch were another by now."""
    values = run_json(before)
    values["config"]["network"]["leaky_slope"] = 0.3
    values["config"]["optimizer"]["beta1"] = 0.4
    (before / "run.json").write_text(json.dumps(values))
    done = launcher("resume", "before", "--root", root, "--set", "steps=40")
    assert done.returncode == 0, done.stderr
    config = run_json(before)["config"]
    assert (config["network"]["leaky_slope"], config["optimizer"]["beta1"], config["steps"]) == (0.3, 0.4, 40)
    refused = launcher(
        "resume", "before", "--root", root, "--set", "steps=60", "--set", "optimizer.beta1=0.5"
    )
    assert refused.returncode == 2
    assert "--set optimizer.beta1=0.5: expected 0.4, as a resumed run keeps its values" in refused.stderr
    assert "`launcher submit --warm-start before`" in refused.stderr
    shown = json.loads(launcher("show", "before", "--root", root, "-o", "json").stdout)
    assert "steps=40" in shown["overrides"] and "steps=20" not in shown["overrides"]


def environment(objects):
    (job,) = [each for each in objects if each["kind"] == "Job"]
    return {
        each["name"]: each.get("value") for each in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }


def spec(**more):
    given = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0", "namespace": "gan", **more}
    return make_spec("mlp", ("seed=3", "data.source=images:$(HOME)"), "one", **given)


def test_the_configuration_and_the_version_travel_with_the_job(tmp_path):
    objects = render(spec())
    carried = json.loads(environment(objects)[VARIABLE].replace("$$", "$"))
    assert carried["config"] == resolve("mlp", ("seed=3", "data.source=images:$(HOME)")).model_dump(
        mode="json"
    )
    assert carried["chosen"] == ["data.source", "seed"]
    (job,) = [each for each in objects if each["kind"] == "Job"]
    assert job["metadata"]["labels"]["app.kubernetes.io/version"] == __version__
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"] == __version__

    # A copy of k8s/ from before it had a place for that.
    from launcher.spec import templates

    shutil.copytree(templates.folder(), tmp_path / "own")
    path = tmp_path / "own/job.yaml"
    old = yaml.safe_load(path.read_text())
    container = old["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [each for each in container["env"] if each["name"] != VARIABLE]
    del old["metadata"]["labels"]["app.kubernetes.io/component"]
    path.write_text(yaml.safe_dump(old))
    again = render(spec(manifests=str(tmp_path / "own")))
    assert environment(again)[VARIABLE] == environment(objects)[VARIABLE]
    assert again[0]["metadata"]["labels"] == objects[0]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("registry/gantry:9.9.9", "9.9.9"),
        ("registry/team/gantry-gpu:v9.9.9-cuda", "9.9.9"),
        (f"registry/gantry:{__version__}", None),
        ("registry/faces:9.9.9", None),
        ("registry/gantry:nightly", None),
        ("registry/gantry@sha256:" + 64 * "0", None),
    ],
)
def test_an_image_of_another_version_is_a_line_before_anything_is_sent(launcher, image, told):
    done = launcher(
        "render", "--preset", "mlp", "--name", "one", "--image", image, "--root", "gs://bucket/gan"
    )
    assert done.returncode == 0, done.stderr
    start = f"note: image {image} is of version {told} and this launcher of {__version__}: "
    assert done.stderr.startswith(start) if told else done.stderr == ""


@pytest.mark.parametrize("revision", MADE)
def test_a_schedule_of_before_differs_by_what_it_lacks_and_in_no_selector(revision):
    """Selectors cannot ask for a label that live pods have not."""
    live = list(yaml.safe_load_all((REVISIONS / revision / "cronjob.yaml").read_text()))
    asked = asked_of(live[0])
    found = compare(live, render_schedule(laid_over(asked.spec, Layered({}), "here"), asked_timing(live[0])))
    codes = "podFailurePolicy.rules"  # a run that has collapsed leaves with 3 now
    assert all(change.old is None or codes in change.path for change in found.changes), found.text
    label = 'metadata.labels["app.kubernetes.io/component"]'
    came = {(each.object, each.path.removesuffix(label)) for each in found.changes if label in each.path}
    places = ("", "spec.jobTemplate.", "spec.jobTemplate.spec.template.")
    assert came == {*(("CronJob/nightly", place) for place in places), ("Service/nightly", "")}
    assert not [each.path for each in found.changes if "elector" in each.path]
