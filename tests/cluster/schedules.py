"""Schedules of small runs, and the commands about them."""

import json

from tests.cluster.flags import on
from tests.support.flags import set_flags

SMALL = ["batch_size=12", "xla=off", "steps=4", "checkpoints.every_steps=4", "samples.every_steps=4"]
SMALL += ["metrics.every_steps=4"]
SETS = set_flags(SMALL)
NEVER = "0 0 29 2 *"  # that is, not while this test runs


class Cron:
    """``cron("list")`` in the test's namespace; `data` is the same as JSON."""

    def __init__(self, launcher, cluster, namespace, bucket):
        self._launcher, self._flags = launcher, on(cluster, namespace, bucket)
        self.where = ["--context", cluster.context, "-n", namespace]

    def create(self, name, schedule, *words, check=True):
        small = ["--preset", "mlp", "--threads", "1", "--cpu", "50m", "--memory", "1Gi", *SETS]
        line = ["--schedule", schedule]
        return self._launcher("cron", "create", name, *line, *small, *self._flags, *words, check=check)

    def __call__(self, *words, check=True):
        return self._launcher("cron", *words, *self.where, check=check)

    def data(self, *words):
        return json.loads(self(*words, "-o", "json").stdout)
