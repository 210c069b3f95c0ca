"""The same figures by torch-fidelity and prdc: ``PYTHON second_metrics.py FEATURES.npz`` prints them as JSON.

Run by a Python that has both and NumPy, and nothing of ours. `bench.metrics` runs it.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version

import numpy as np
import torch
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric


def main() -> None:
    """Compute and print."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with np.load(sys.argv[1]) as archive:
        real, fake, shares = (archive[name].astype(np.float64) for name in ("real", "fake", "shares"))
    one, other = torch.from_numpy(real), torch.from_numpy(fake)
    each = min(len(real), len(fake), 5000)
    found, seconds = {}, {}

    def take(names: Iterable[str], compute: Callable[[], Iterable[float]]) -> None:
        start = time.perf_counter()
        values = compute()
        seconds.update(dict.fromkeys(names, time.perf_counter() - start))
        found.update(zip(names, map(float, values), strict=True))

    def frechet() -> Iterable[float]:
        statistics = [fid_features_to_statistics(rows) for rows in (one, other)]
        return fid_statistics_to_metric(*statistics, False).values()

    with contextlib.redirect_stdout(sys.stderr):
        size = min(1000, len(real) // 2, len(fake) // 2)
        take(("fd",), frechet)
        take(
            ("kid", "kid_deviation"),
            lambda: kid_features_to_metric(
                one, other, kid_subsets=100, kid_subset_size=size, rng_seed=2020, verbose=False
            ).values(),
        )
        prc = {"prc_neighborhood": 3, "prc_batch_size": 10_000, "save_cpu_ram": False, "verbose": False}
        take(
            ("precision", "recall"),
            lambda: [*prc_features_to_metric(other[:each], one[:each], **prc).values()][:2],
        )
        take(
            ("density", "coverage"),
            lambda: [*compute_prdc(real[:each], fake[:each], nearest_k=5).values()][2:],
        )
        logits = torch.from_numpy(np.log(shares))
        take(("score",), lambda: [*isc_features_to_metric(logits, 1, False).values()][:1])
    used = {name: version(name) for name in ("torch-fidelity", "prdc", "torch", "numpy")}
    print(json.dumps({"values": found, "seconds": seconds, "versions": used}))


if __name__ == "__main__":
    main()
