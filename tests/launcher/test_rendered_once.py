"""A manifest is rendered once a submit, from the command line to the objects that an API server keeps."""

import pytest

from launcher.cli import main
from launcher.render import cronjob, manifests
from tests.launcher.objects_server import serving

FLAGS = ["--preset", "mlp", "--image", "registry/gantry:0.1.0", "--profile", "network-policy"]
MONDAYS = ["--schedule", "0 3 * * 1"]


@pytest.fixture
def cluster(desk, tmp_path):
    with serving(tmp_path) as (api, _):
        yield api


@pytest.fixture
def rendered(monkeypatch):
    """The runs whose values were put into a Job, each time that they were."""
    runs = []
    plain = manifests.fill_job

    def counting(job, spec, attempt, *more):
        runs.append((spec.name, attempt))
        plain(job, spec, attempt, *more)

    monkeypatch.setattr(manifests, "fill_job", counting)
    monkeypatch.setattr(cronjob, "fill_job", counting)
    return runs


def call(capsys, *arguments):
    """What a command says; it ends with 0."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return out


def test_a_submit_and_a_resume(cluster, gcs_root, rendered, capsys):
    root = ["--root", gcs_root]
    call(capsys, "submit", "--name", "one", *FLAGS, *root)
    assert rendered == [("one", 1)]
    kinds = ("Job", "Service", "NetworkPolicy")
    assert [("one" in key, key[0] in kinds) for key in cluster.objects] == [(True, True)] * 3
    call(capsys, "cancel", "one", *root)
    call(capsys, "resume", "one", *root)
    assert rendered == [("one", 1), ("one", 2)]
    assert ("Job", "team", "one-r2") in cluster.objects


@pytest.mark.parametrize("how", ["client", "server"])
def test_a_dry_run(cluster, gcs_root, rendered, capsys, how):
    out = call(capsys, "submit", "--name", "dry", *FLAGS, "--root", gcs_root, "--dry-run", how)
    assert rendered == [("dry", 1)]
    call(capsys, "cron", "create", "dry", *MONDAYS, *FLAGS, "--root", gcs_root, "--dry-run", how)
    assert rendered == [("dry", 1), ("dry", 1)]
    assert out.count("namespace: team") >= 3
    assert cluster.objects == {}


def test_a_schedule_and_its_update(cluster, gcs_root, rendered, capsys):
    call(capsys, "cron", "create", "weekly", *MONDAYS, *FLAGS, "--root", gcs_root)
    assert rendered == [("weekly", 1)]
    assert ("CronJob", "team", "weekly") in cluster.objects
    call(capsys, "cron", "update", "weekly", "--yes")  # with nothing to change
    assert len(rendered) == 2
    call(capsys, "cron", "update", "weekly", "--set", "steps=30", "--yes")  # as it is, and as it shall be
    assert len(rendered) == 4
