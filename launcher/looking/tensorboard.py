"""TensorBoard on runs: their lines and grids become event files, which are kept current while they train.

An `EventLog` is one run's event file. It knows what it has read, so that a look at a run that did not move
costs two listings. Lines carry no time of day:
an event's wall time is when the run was created plus the seconds of training up to it, so that TensorBoard's
relative axis shows time spent training and no pause between two attempts.

TensorFlow is not needed, and not imported where it is installed: that takes 4 s and 600 MB.
"""

import socket
import sys
import types
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory
from typing import Any, Self

from launcher.errors import NotInstalled, SpecError
from launcher.looking.curves import CurveReader, Curves
from launcher.looking.evaluated import metrics
from launcher.records.run_folder import Found
from launcher.records.states import parse_time
from launcher.records.status import read_json
from launcher.runs.find import Place, locate
from trainer.errors import ObjectMissing, UserError
from trainer.run import evaluations, layout
from trainer.storage import Store

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = Struct(">16xIIxB")  # width, height and colour type, which every PNG begins with
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # colour type to channels, as TensorBoard counts them


class EventLog:
    """The event file of one run, which grows with it."""

    def __init__(self, store: Store, folder: Path) -> None:
        """Nothing is read yet; `folder` is made, and its name is what TensorBoard calls the run.

        Raises:
            NotInstalled: TensorBoard is not there.
        """
        _without_tensorflow()
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ModuleNotFoundError:
            raise _missing() from None
        self._store = store
        self._reader = CurveReader(store)
        self._grids: set[str] = set()
        self._judged: dict[str, int] = {}
        self._figures: dict[tuple[int, str], float] = {}
        self._begun: float | None = None
        self._steps: list[int] = []
        self._times: list[float] = []
        self._images = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventFileWriter(str(folder))

    def update(self) -> int:
        """Add what the run has written since the last time; how many values and grids that were.

        Raises:
            GantryError: a file of the run is damaged, or its storage does not answer.
        """
        if self._begun is None:
            created = parse_time((read_json(self._store, layout.RUN) or {}).get("created"))
            self._begun = created.timestamp() if created else None
        count = self._add_lines(self._reader.read()) + sum(map(self._add_grid, self._new_grids()))
        count += self._add_evaluations()
        self._writer.flush()
        return count

    def close(self) -> None:
        """Write what is left and close the file."""
        self._writer.close()

    def _add_lines(self, curves: Curves) -> int:
        """Lines beyond the newest known; one that a restart wrote again differs in its speed alone."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        count = 0
        for row in range(
            bisect_right(curves.steps, self._steps[-1] if self._steps else -1), len(curves.steps)
        ):
            line = {key: column[row] for key, column in curves.values.items() if column[row] is not None}
            self._pass_time(curves.steps[row], curves.images[row], line.get("images_per_second"))
            values = [Summary.Value(tag=tag(key), simple_value=value) for key, value in line.items()]
            self._add(curves.steps[row], values)
            count += len(values)
        return count

    def _pass_time(self, step: int, images: int, speed: float | None) -> None:
        took = (images - self._images) / speed if speed else 0.0
        self._times.append((self._times[-1] if self._times else self._begun or 0.0) + max(0.0, took))
        self._steps.append(step)
        self._images = images

    def _new_grids(self) -> list[tuple[int, str]]:
        """Grids that are not known yet, by step; one that a restart drew again is the same."""
        names = {stat.name for stat in self._store.list("samples/")} - self._grids
        found = [(step, name) for name in names if (step := layout.sample_step(name)) is not None]
        # Real images are of no step; at the first one they are there from the beginning.
        return sorted(found + [(0, name) for name in names if name == layout.REAL_GRID])

    def _add_grid(self, grid: tuple[int, str]) -> int:
        from tensorboard.compat.proto.summary_pb2 import Summary

        step, name = grid
        self._grids.add(name)
        try:
            content = self._store.read(name)
        except ObjectMissing:  # a resumed run removed it meanwhile
            return 0
        if not content.startswith(_PNG) or len(content) < _PNG_HEADER.size:
            return 0
        width, height, colours = _PNG_HEADER.unpack_from(content)
        image = Summary.Image(
            width=width, height=height, colorspace=_CHANNELS.get(colours, 3), encoded_image_string=content
        )
        tag = "real images" if name == layout.REAL_GRID else "samples"
        self._add(step, [Summary.Value(tag=tag, image=image)])
        return 1

    def _add_evaluations(self) -> int:
        """Figures that are new since, each under its whole name: no curve is of two kinds of them."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        count = 0
        listed = {stat.name: stat.generation for stat in self._store.list(layout.EVALUATIONS)}
        for name, generation in listed.items():
            step = layout.evaluation_step(name)
            if step is None or self._judged.get(name) == generation:
                continue
            self._judged[name] = generation
            new = {
                f"judged/{figure['name']}": float(figure["value"])
                for entry in evaluations.read(self._store, step)
                for figure in metrics(entry).values()
                if "name" in figure and isinstance(figure.get("value"), int | float)
            }
            values = {key: value for key, value in new.items() if self._figures.get((step, key)) != value}
            self._figures |= {(step, key): value for key, value in values.items()}
            self._add(step, [Summary.Value(tag=key, simple_value=value) for key, value in values.items()])
            count += len(values)
        return count

    def _add(self, step: int, values: list[Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        at = bisect_right(self._steps, step) - 1
        time = self._times[at] if at >= 0 else self._begun or 0.0
        self._writer.add_event(Event(step=step, wall_time=time, summary=Summary(value=values)))


class Logs:
    """The event files of several runs below one folder, each in ``<experiment>/<run>``."""

    def __init__(self, runs: Sequence[Found], folder: Path) -> None:
        self.folder = folder
        self._logs = [
            EventLog(found.store, folder / found.path.experiment / found.path.name) for found in runs
        ]

    def update(self) -> int:
        """Add what is new of every run; how many events that were.

        Raises:
            GantryError: a file of a run is damaged, or its storage does not answer.
        """
        return sum(log.update() for log in self._logs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for log in self._logs:
            log.close()


def tag(key: str) -> str:
    """What TensorBoard calls a value of a metrics line; it groups tags by what is before the slash."""
    if "accuracy" in key:
        return f"accuracy/{key}"
    if "loss" in key:
        return f"loss/{key}"
    return f"speed/{key}" if key.endswith("per_second") else f"metrics/{key}"


def export(where: Place | str, runs: Sequence[str], to: Path) -> int:
    """Write the event files of runs as they are now below a folder; how many events that were.

    Raises:
        NoSuchRun: there is no run of a name.
        UserError: `to` is a file, or holds event files of one of the runs already.
    """
    found = _find(where, runs)
    for each in found:
        folder = to / each.path.experiment / each.path.name
        if any(folder.glob("events.out.tfevents.*")):
            raise UserError(f"--export {to}: expected a folder without event files, {folder} has some")
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--export {to}: expected a folder that can be written to ({error.strerror})"
        ) from None
    with Logs(found, to) as logs:
        return logs.update()


@contextmanager
def board(
    where: Place | str, runs: Sequence[str], host: str = "localhost", port: int | None = None
) -> Iterator[tuple[str, Logs]]:
    """A TensorBoard that serves runs from a temporary folder: its address, and the files to keep current.

    Port 0 is any free one, None the first free one from 6006 on. Both end with the context.

    Raises:
        NoSuchRun: there is no run of a name.
        NotInstalled: TensorBoard is not there.
        SpecError: host and port cannot be listened on.
    """
    found = _find(where, runs)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gantry-tensorboard-")))
        logs = stack.enter_context(Logs(found, folder))
        logs.update()
        yield _launch(folder, host, port), logs


def _find(where: Place | str, runs: Sequence[str]) -> list[Found]:
    return list({found.path.url: found for found in (locate(where, run).found for run in runs)}.values())


def _launch(folder: Path, host: str, port: int | None) -> str:
    """Start TensorBoard in this process, on a thread that ends with it; its address."""
    _without_tensorflow()
    try:
        from tensorboard import program
    except ModuleNotFoundError:
        raise _missing() from None
    _check_address(host, port)
    server = program.TensorBoard()
    arguments = ["tensorboard", "--logdir", str(folder), "--host", host, "--load_fast", "false"]
    server.configure(argv=[*arguments, *([] if port is None else ["--port", str(port)])])
    try:
        return str(server.launch())
    except program.TensorBoardServerException as error:
        raise SpecError(f"--port: {' '.join(error.msg.split())}") from None


def _check_address(host: str, port: int | None) -> None:
    """Refuse what cannot be listened on, for which TensorBoard's server would end this process.

    Raises:
        SpecError: the host is not this machine's, or the port is taken.
    """
    asked = f"--host {host}" + ("" if port is None else f" --port {port}")
    try:
        family, *_, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        expected = "expected an address of this machine and a free port"
        raise SpecError(f"{asked}: {expected} ({error.strerror})") from None


def _without_tensorflow() -> None:
    """TensorBoard's own switch: with a module of this name it takes its stub of TensorFlow."""
    name = "tensorboard.compat.notf"
    sys.modules.setdefault(name, types.ModuleType(name))


def _missing() -> NotInstalled:
    return NotInstalled("TensorBoard is not installed: pip install 'gantry[look]'")
