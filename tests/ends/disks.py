"""Real disks of the tests, which can be filled, made read-only and made to fail; they need root."""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

_CHUNK = 4096
_BUSY_SECONDS = 20.0  # for processes that have been seen to end to let go of what they had open


def run(*words: object, codes=(0,)) -> None:
    """Run a command of the system, or skip the test where it is not permitted."""
    try:
        done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"{error.filename} is not installed")
    if done.returncode not in codes:
        pytest.skip(f"disks cannot be made here: {' '.join(map(str, words))}: {done.stderr.strip()}")


class Disk:
    """A disk in memory of 16 MiB, or, with `failing`, an ext4 one of a file, which can be told to fail."""

    def __init__(self, place: Path, *, failing: bool = False) -> None:
        if os.geteuid():
            pytest.skip("mounting a disk needs root")
        self.folder, self._image = place / "disk", place / "image"
        self.folder.mkdir()
        self._failing = failing
        if failing:
            self._image.touch()
            os.truncate(self._image, 16 << 20)
            run("mkfs.ext4", "-q", "-O", "^has_journal", self._image)
        self._mount()

    def _mount(self) -> None:
        if self._failing:
            run("mount", "-o", "loop,errors=remount-ro", self._image, self.folder)
        else:
            run("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", self.folder)

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes of it free."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(_CHUNK))
        size = self._ballast.stat().st_size
        os.truncate(self._ballast, size - leave)

    def make_room(self) -> None:
        """Take away what `fill` has put there."""
        self._ballast.unlink()

    def make_read_only(self) -> None:
        """Mount it so, as somebody would who looks at it; tried until nobody has a file open there."""
        end = time.monotonic() + _BUSY_SECONDS
        while subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], capture_output=True).returncode:
            assert time.monotonic() < end, "somebody has a file open on the disk for ever"

    def fail(self) -> None:
        """Have the kernel find an error on it: whatever is open there cannot be written to any more."""
        source = subprocess.run(
            ["findmnt", "-no", "SOURCE", str(self.folder)], capture_output=True, text=True, check=True
        ).stdout.strip()
        Path(f"/sys/fs/ext4/{Path(source).name}/trigger_fs_error").write_text("1")

    def mend(self) -> None:
        """Have it writable again."""
        if not self._failing:
            run("mount", "-o", "remount,rw", self.folder)
            return
        end = time.monotonic() + _BUSY_SECONDS
        while subprocess.run(["umount", str(self.folder)], capture_output=True).returncode:
            assert time.monotonic() < end, "somebody uses the disk for ever"
            time.sleep(0.1)
        run("e2fsck", "-p", self._image, codes=(0, 1))
        self._mount()

    def remove(self) -> None:
        """Unmount it, whoever uses it."""
        subprocess.run(["umount", "-l", str(self.folder)], check=False)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"
