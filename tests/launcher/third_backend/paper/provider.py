"""Runs of a clerk: ``paper.json`` is all that there is of one."""

import json
from contextlib import nullcontext
from typing import NamedTuple

from launcher.backends.base import PLAIN, Attempt, LogChoice, Provider, Update
from launcher.errors import RunAlive, RunExists
from launcher.records.follow import LogLine
from launcher.records.states import RUNNING, STOPPED, State
from launcher.records.status import WorkerStatus, assemble, read_files
from trainer.errors import ObjectMissing
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import open_store

from .kind import KIND

SHEET = "paper.json"


class Started(NamedTuple):
    path: RunPath
    backend: str = KIND.name


def sheet_of(store):
    try:
        return json.loads(store.read(SHEET))
    except ObjectMissing:
        return None


class Paper:
    name = KIND.name

    def status(self, found):
        files, sheet = read_files(found.store), sheet_of(found.store)
        workers = [WorkerStatus(worker, sheet["runs"]) for worker in range(sheet["spec"]["workers"])]
        state, attempt = self.by_files(found, files), sheet["attempt"]
        return assemble(found, files, state, attempt=attempt, backend=self.name, workers=workers)

    def by_files(self, found, files):
        return State(RUNNING if sheet_of(found.store)["runs"] else STOPPED, "")

    def asked(self, found):
        return sheet_of(found.store)["spec"]

    def placed(self):
        return {}

    def logs(self, found, choice):
        return [LogLine(0, f"attempt {sheet_of(found.store)['attempt']}")]

    def follow(self, found, choice):
        yield Update(self.logs(found, LogChoice()), self.status(found))

    def wait(self, found, seconds):
        return None if sheet_of(found.store)["runs"] else self.status(found)

    def check_idle(self, found, *, abandon=False):
        if sheet_of(found.store)["runs"]:
            raise RunAlive(f"run '{found.path.name}' is being written")

    def held(self, found):
        return nullcontext()

    def check_next(self, found, spec, options=PLAIN):
        self.check_idle(found)

    def resume(self, found, spec, options=PLAIN):
        return write(spec, sheet_of(found.store)["attempt"] + 1)

    def request_stop(self, found, *, kill=False):
        sheet = sheet_of(found.store)
        found.store.write(SHEET, json.dumps({**sheet, "runs": False}).encode())
        return sheet["runs"]

    def cancel(self, found, *, kill=False):
        self.request_stop(found, kill=kill)
        return self.status(found)

    def delete(self, found):
        found.store.delete(SHEET)
        return [f"Sheet/{found.path.name}"]

    def where(self, found):
        return "the clerk's desk"


def write(spec, attempt):
    store = open_store(spec.path.url)
    begun = {"preset": spec.preset, "overrides": spec.overrides, "world_size": spec.workers}
    begun["config"] = spec.config().model_dump(mode="json")
    store.write(layout.RUN, json.dumps(begun).encode())
    sheet = {"attempt": attempt, "runs": True, "spec": spec.model_dump(mode="json")}
    store.write(SHEET, json.dumps(sheet).encode())
    return Started(spec.path)


class Clerk(Provider):
    kind = KIND

    def submit(self, spec, ready=lambda: None, options=PLAIN):
        self.check_new(spec)
        ready()
        return write(spec, 1)

    def check_new(self, spec, options=PLAIN):
        if sheet_of(open_store(spec.path.url)):
            raise RunExists(f"name '{spec.name}' is on a sheet")

    def recorded(self, found, place):
        return None if sheet_of(found.store) is None else Paper()

    def newest(self, store):
        sheet = sheet_of(store)
        if sheet is None:
            return None
        told = {"hands": sheet["spec"]["workers"]}
        return Attempt(sheet["attempt"], "2026-11-30T12:00:00+00:00", where="a sheet of paper", told=told)


PROVIDER = Clerk()
