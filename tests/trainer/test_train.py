"""What a run leaves behind, and what it refuses, in one process."""

import io
import json
import shutil
import subprocess
import tempfile
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

from tests.support.metrics import read_lines
from tests.support.runs import TINY, run_here
from tests.support.teams import WILD
from trainer.errors import (
    AccessError,
    ConfigError,
    DataError,
    DiskFull,
    Diverged,
    StorageError,
    UserError,
)
from trainer.run import checkpoints
from trainer.storage import open_store

LINE = {
    *("step", "images", "d_loss", "d_loss_real", "d_loss_fake"),
    *("d_accuracy_real", "d_accuracy_fake", "g_loss", "images_per_second"),
}


def written(path):
    return [found for found in path.rglob("*") if found.is_file()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    assert run_here(root) == 0
    return open_store(str(root / "e" / "run"))


def test_a_run_leaves_what_the_design_lists(finished):
    names = {stat.name for stat in finished.list()}
    assert {"run.json", "status.json", "result.json", "export/generator.keras", "export/loss.png"} <= names
    assert {name for name in names if name.startswith("samples/")} == {
        "samples/real.png",
        "samples/0.png",
        "samples/6.png",
        "samples/12.png",
    }
    assert checkpoints.complete_steps(finished) == [12, 8, 4]
    assert {name for name in names if name.startswith("metrics/")} == {
        "metrics/1.jsonl", "metrics/5.jsonl", "metrics/9.jsonl"}  # fmt: skip


def test_metrics_lines_have_the_names_that_scripts_lean_on(finished):
    lines = list(read_lines(finished))
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    for line in lines:
        of_grid = {"spread", "repeats", "g_norm", "d_norm"} if line["step"] % 6 == 0 else set()
        assert line.keys() == LINE | of_grid
        assert line["images"] == line["step"] * 8
        assert line["d_loss"] == pytest.approx((line["d_loss_real"] + line["d_loss_fake"]) / 2)
        assert 0 <= line["d_accuracy_real"] <= 1


def test_the_status_and_the_result_say_how_it_ended(finished):
    status, result = (json.loads(finished.read(name)) for name in ("status.json", "result.json"))
    assert {"state", "step", "steps", "images_per_second", "eta_seconds", "updated"} <= status.keys()
    assert (status["state"], status["step"], status["steps"], status["eta_seconds"]) == (
        "finished",
        12,
        12,
        0,
    )
    assert (result["state"], result["steps"], result["images"]) == ("finished", 12, 96)


def test_run_json_is_enough_to_reproduce_the_run(finished):
    record = json.loads(finished.read("run.json"))
    assert record["config"]["network"]["generator_units"] == [16]
    assert record["seed"] == 0 and record["world_size"] == 1
    assert {"python", "gantry", "keras"} <= record["versions"].keys()


def test_the_exported_generator_opens_without_gantry_and_draws_the_last_grid(finished, tmp_path):
    path = tmp_path / "generator.keras"
    finished.download("export/generator.keras", path)
    with zipfile.ZipFile(path) as archive:
        assert b"trainer" not in archive.read("config.json")
    generator = keras.models.load_model(path)
    from trainer import randomness
    from trainer.pictures.grid import encode_png, tile
    from trainer.sampling.sampler import to_bytes

    images = to_bytes(generator(randomness.sample_latents(0, 25, 100), training=False)).numpy()
    assert encode_png(tile(images, 5, 5)) == finished.read("samples/12.png")


def test_beside_the_grids_lie_real_images_and_what_new_weights_drew(finished):
    from trainer.config import RunConfig
    from trainer.data import open_source
    from trainer.pictures.grid import encode_png, tile
    from trainer.sampling.sampler import first_images

    config = RunConfig.model_validate(json.loads(finished.read("run.json"))["config"])
    source = open_source("digits", None)
    chosen = first_images(config, source.count)
    assert len(set(chosen.tolist())) == 25 and chosen.max() > 25
    assert finished.read("samples/real.png") == encode_png(tile(source.read(chosen), 5, 5))
    few = first_images(config, 7)
    assert sorted(few.tolist()) == list(range(7))
    before = Image.open(io.BytesIO(finished.read("samples/0.png")))
    assert before.size == (456, 456)  # 152 pixels, three times
    assert finished.read("samples/0.png") != finished.read("samples/6.png")


def test_the_loss_curves_are_a_readable_picture(finished, tmp_path):
    finished.download("export/loss.png", tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as picture:
        assert min(picture.size) > 500


def test_streaming_from_shards_gives_the_bits_of_memory(tmp_path, digits_shards):
    source = f"data.source=tfrecord:{digits_shards}"
    for run, placement in (("memory", "memory"), ("stream", "stream")):
        window = "data.shuffle_window=256"
        assert run_here(tmp_path, source, f"data.placement={placement}", window, run=run) == 0
    for steps, placement in ((6, "memory"), (12, "stream")):  # a resumed run may change its mind
        given = (source, f"data.placement={placement}", window, f"steps={steps}")
        assert run_here(tmp_path, *given, run="both") == 0
    stores = [open_store(str(tmp_path / "e" / run)) for run in ("memory", "stream", "both")]
    first, *others = (checkpoints.read(store, 12).values for store in stores)
    assert all(first[name].tobytes() == other[name].tobytes() for other in others for name in first)


def test_divergence_stops_the_run_with_step_tensor_and_the_last_good_checkpoint(tmp_path):
    every = ("checkpoints.every_steps=1", "checkpoints.keep=50", "metrics.every_steps=1")
    with pytest.raises(Diverged) as failure:
        run_here(tmp_path, *WILD, *every)
    store = open_store(str(tmp_path / "e" / "run"))
    last = checkpoints.complete_steps(store)[0]
    assert f"step {last + 1}: " in str(failure.value) and "is NaN or Inf" in str(failure.value)
    assert f"last good checkpoint: {store.url}/checkpoints/{last}/" in str(failure.value)
    values = checkpoints.read(store, last).values
    assert all(np.isfinite(value).all() for name, value in values.items() if not name.startswith("adam/"))
    status = json.loads(store.read("status.json"))
    assert status["state"] == "failed" and status["message"] == str(failure.value)
    assert [line["step"] for line in read_lines(store)][-1] == last


def test_resuming_with_other_values_is_refused_by_name_and_changes_nothing(finished, tmp_path):
    shutil.copytree(finished.url, tmp_path / "e" / "run")
    before = {stat.name: stat.generation for stat in open_store(str(tmp_path)).list()}
    with pytest.raises(ConfigError, match=r"optimizer.beta1 \(was 0.5, now 0.9\)"):
        run_here(tmp_path, "optimizer.beta1=0.9")
    with pytest.raises(ConfigError, match=r"steps \(was 12, now 8\)"):
        run_here(tmp_path, "steps=8")
    with pytest.raises(UserError, match="--fresh"):
        run_here(tmp_path, fresh=True)
    assert {stat.name: stat.generation for stat in open_store(str(tmp_path)).list()} == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "cannot be read"),
        (b'{"format": 99}', "format is 99"),
        (b'{"format": 1, "config": {"stps": 1}}', "stps"),
    ],
)
def test_a_run_directory_of_another_version_is_refused(tmp_path, content, message):
    store = open_store(str(tmp_path / "e" / "run"))
    store.write("run.json", content)
    with pytest.raises(UserError, match=message):
        run_here(tmp_path)
    assert store.read("run.json") == content and len(written(tmp_path)) == 1


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("data.source=npz:absent.npz", DataError, "absent.npz"),
        ("data.source=nonsense", ConfigError, "nonsense"),
        ("data.placement=stream", DataError, "only shards can be streamed"),
        ("image.height=32", DataError, "28x28x1"),
    ],
)
def test_bad_data_is_refused_before_anything_is_written(tmp_path, override, error, message):
    with pytest.raises(error, match=message):
        run_here(tmp_path, override)
    assert not written(tmp_path)


def test_a_set_too_large_for_memory_names_the_way_out(tmp_path):
    with pytest.raises(DataError, match="data prepare digits"):
        run_here(tmp_path, "data.memory_limit_mb=1")
    assert not written(tmp_path)


def test_a_root_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AccessError, match="is a file, expected a folder"):
        run_here(tmp_path / "file")


def test_a_bucket_that_does_not_exist_is_refused_by_name(gcs_server):
    with pytest.raises(AccessError, match="no-such-bucket"):
        run_here("gs://no-such-bucket/runs")


@pytest.fixture
def small_disk(tmp_path):
    """A disk with room for one checkpoint and not for two."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_run_with_the_last_checkpoint_intact(small_disk):
    with pytest.raises(StorageError, match="no space left"):
        run_here(small_disk, "checkpoints.keep=9", "steps=40")
    found = checkpoints.newest(open_store(str(small_disk / "e" / "run")), print)
    assert found.step >= 4


def test_a_full_scratch_folder_ends_the_run_and_is_named(small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with pytest.raises(
        DiskFull, match=rf"scratch folder {small_disk}/gantry-\w+ \(\d+ bytes free\)"
    ) as failure:
        run_here(tmp_path, "network.generator_units=[256]")
    assert failure.value.exit_code == 1 and "\n" not in str(failure.value)
    status = json.loads(open_store(str(tmp_path / "e" / "run")).read("status.json"))
    assert (status["state"], status["message"]) == ("failed", str(failure.value))


def test_dcgan_trains_and_moves_its_statistics(tmp_path):
    smaller = ("network.generator_filters=[8,4]", "network.discriminator_filters=[4,8]", *TINY[2:])
    assert run_here(tmp_path, preset="dcgan", sets=smaller) == 0
    values = checkpoints.read(open_store(str(tmp_path / "e" / "run")), 12).values
    assert np.abs(values["generator/normalize_project/moving_mean"]).max() > 0
    assert not np.allclose(values["discriminator/normalize_down_2/moving_variance"], 1)
