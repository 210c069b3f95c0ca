"""Speed, side by side in one run: ``python -m bench`` measures and writes docs/benchmarks.md.

Each contestant lives in a process of its own and takes steps when it is told; only one runs at a time. They
take turns in rounds, because a shared machine's speed drifts by more than the differences that are measured,
and what is reported are medians over rounds of the ratios within each.
"""
