"""Images one after another as a film: GIF by Pillow, MP4 by ffmpeg where that is installed."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.errors import ConfigError, GantryError
from trainer.pictures.grid import scale
from trainer.storage.whole_file import whole_file

GIF, MP4 = ".gif", ".mp4"
_PROGRAM = "ffmpeg"
_TICK = 10  # milliseconds, in which a GIF counts


def check_ending(out: Path) -> None:
    """Refuse a film that could not be written.

    Raises:
        ConfigError: its name ends otherwise, or ffmpeg is wanted and not installed.
    """
    if out.suffix not in (GIF, MP4):
        raise ConfigError(f"--out {out}: expected a name ending in {GIF} or {MP4}")
    if out.suffix == MP4 and shutil.which(_PROGRAM) is None:
        raise ConfigError(
            f"--out {out}: {_PROGRAM} is not installed, expected it (apt install {_PROGRAM}), or a name "
            f"ending in {GIF}"
        )


def write_film(images: NDArray[np.uint8], out: Path, fps: float) -> None:
    """Write uint8 [N, H, W, C] as a film that is `fps` frames a second fast, a GIF as one without an end.

    Small images are enlarged as those of a grid are, by whole factors.

    Raises:
        OSError: the file cannot be written.
        GantryError: ffmpeg fails.
    """
    times = scale(*images.shape[1:3])
    if out.suffix == MP4:  # whose colours have half as many pixels
        times += times % 2 if any(side * times % 2 for side in images.shape[1:3]) else 0
    large = images.repeat(times, axis=1).repeat(times, axis=2)
    if out.suffix == GIF:
        _write_gif(large, out, fps)
    else:
        _write_mp4(large, out, fps)


def _write_gif(images: NDArray[np.uint8], out: Path, fps: float) -> None:
    first, *rest = (Image.fromarray(each[..., 0] if each.shape[-1] == 1 else each) for each in images)
    milliseconds = max(2, round(1000 / fps / _TICK)) * _TICK  # less, and browsers take a tenth of a second
    with whole_file(out) as file:
        first.save(file, format="GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)


def _write_mp4(images: NDArray[np.uint8], out: Path, fps: float) -> None:
    height, width, channels = images.shape[1:]
    command = [
        _PROGRAM, "-loglevel", "error", "-y", "-f", "rawvideo", "-framerate", str(fps),
        "-pix_fmt", "gray" if channels == 1 else "rgb24", "-video_size", f"{width}x{height}", "-i", "-",
        "-pix_fmt", "yuv420p", "-movflags", "+faststart",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="gantry-") as folder:
        made = Path(folder) / f"film{MP4}"
        done = subprocess.run([*command, str(made)], input=images.tobytes(), capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace").splitlines()
            raise GantryError(f"--out {out}: {_PROGRAM} failed: {said[-1] if said else done.returncode}")
        with whole_file(out) as file, made.open("rb") as source:
            shutil.copyfileobj(source, file)
