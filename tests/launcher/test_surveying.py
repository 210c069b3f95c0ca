"""What a run's data is, said before it is sent: where it can be seen from here, and nothing else."""

import pytest

from launcher.runs.data_survey import data_lines
from launcher.spec.runspec import make_spec
from tests.data.test_survey import folder_of_pictures
from trainer.data import prepare
from trainer.errors import DataError
from trainer.storage import open_store


def on_cluster(source, *more):
    return make_spec(
        "mlp",
        (f"data.source={source}", *more),
        "one",
        root="gs://runs/gan",
        image="reg/gantry:1",
        namespace="n",
    )


def here(source, *more):
    return make_spec("mlp", (f"data.source={source}", *more), "one")


def test_a_local_run_counts_its_folder(tmp_path):
    lines = data_lines(here(folder_of_pictures(tmp_path)))
    assert lines[0].startswith(f"data.source images:{tmp_path}: 5 images of 28x28x1; 2 classes")
    assert lines[1].endswith("left out, as no images that are read: 2 .txt, 1 .csv, 1 without an ending")


def test_a_path_of_the_pods_is_not_looked_at(tmp_path):
    folder_of_pictures(tmp_path)
    for kind in ("images", "idx", "npz", "tfrecord"):
        assert data_lines(on_cluster(f"{kind}:{tmp_path}")) == []
        assert data_lines(on_cluster(f"{kind}:{tmp_path}/none")) == []
    assert data_lines(on_cluster("keras:mnist")) == []


def test_a_bucket_is_counted_for_the_pods(gcs_root, tmp_path):
    for number, name in enumerate(("a.csv", "b.csv")):
        open_store(f"{gcs_root}/set").write(name, bytes(number))
    prepare("digits", f"tfrecord:{gcs_root}/set")
    lines = data_lines(on_cluster(f"tfrecord:{gcs_root}/set"))
    assert lines[0].startswith(f"data.source tfrecord:{gcs_root}/set: 5000 images of 28x28x1; 10 classes")
    assert lines[1:] == [
        f"note: data.source tfrecord:{gcs_root}/set: left out, as no images that are read: 2 .csv"
    ]


def test_what_a_bucket_shows_now_refuses_no_pod(gcs_root):
    (line,) = data_lines(on_cluster(f"tfrecord:{gcs_root}/later/"))
    assert line.startswith("warning: ") and f"nothing in {gcs_root}/later matches *.tfrecord*" in line
    (line,) = data_lines(on_cluster("tfrecord:gs://no-such-bucket-of-anybody/x/"))
    assert line.startswith("note: data.source tfrecord:gs://no-such") and "not looked at from here: " in line


@pytest.mark.parametrize("kind", [here, on_cluster])
def test_a_set_that_everybody_has_is_judged_for_everybody(kind):
    assert data_lines(kind("digits"))[0].startswith("data.source digits: 5000 images of 28x28x1; 10 classes")
    with pytest.raises(DataError, match="images are 28x28x1, the model needs 32x28x1"):
        data_lines(kind("digits", "image.height=32"))


def test_a_preset_without_data_of_its_own_names_the_flag(desk):
    with pytest.raises(
        DataError, match=r"/data does not exist; that is the data of preset dcgan64.*--data images:"
    ):
        data_lines(make_spec("dcgan64", (), "one"))
    with pytest.raises(DataError) as error:
        data_lines(here("images:none"))
    assert "--data" not in str(error.value)


def test_submit_says_it_before_it_sends_and_leaves_nothing_where_it_refuses(launcher, root, tmp_path, desk):
    source = folder_of_pictures(tmp_path / "few")
    said = launcher(
        "submit", "--preset", "mlp", "--root", root, "--data", source, "--name", "one", "--detach"
    )
    assert (said.returncode, said.stdout) == (0, "one\n"), said.stderr
    assert f"data.source {source}: 5 images of 28x28x1" in said.stderr and ": 2 .txt, 1 .csv" in said.stderr
    assert "warning: " in said.stderr and "fewer than batch_size 64" in said.stderr
    launcher("cancel", "one", "--now", "--root", root)
    quiet = launcher("submit", "--preset", "mlp", "--root", root, "--data", source, "-qd", "--name", "two")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "two\n", "")
    launcher("cancel", "two", "--now", "--root", root)
    for more in ((), ("--detach",)):
        wrong = launcher(
            "submit",
            "--preset",
            "mlp",
            "--root",
            f"{root}/3",
            "--data",
            f"{source}/x",
            "--name",
            "one",
            *more,
        )
        assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
        assert wrong.stderr == f"error: data.source {source}/x: {tmp_path}/few/x does not exist\n"
    assert not (tmp_path / "runs" / "3").exists()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/data/faces", "images:/data/faces"),
        ("~/faces", "images:~/faces"),
        ("faces/2026", "images:faces/2026"),
        ("./faces.npz", "npz:./faces.npz"),
        ("faces.npz", "npz:faces.npz"),
        ("/x/a-*.tfrecord", "tfrecord:/x/a-*.tfrecord"),
        ("gs://bucket/faces", "tfrecord:gs://bucket/faces"),
        ("image:faces", "images:<folder>"),
    ],
)
def test_a_path_alone_is_offered_with_its_kind(typed, meant):
    with pytest.raises(Exception, match="unknown kind") as error:
        here(typed)
    assert f"(did you mean {meant}?)" in str(error.value)
