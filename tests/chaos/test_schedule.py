"""Schedules are a function of their seed and hold a good mix."""

from tests.chaos.schedule import HEAVY, STEPS, Kind, schedule
from tests.support.faults import Rates

SCHEDULES = [schedule(seed, workers) for seed in range(200) for workers in (2, 3)]


def test_the_same_seed_gives_the_same_schedule_and_another_one_another():
    assert [schedule(seed, workers) for seed in range(200) for workers in (2, 3)] == SCHEDULES
    assert len(set(SCHEDULES)) == len(SCHEDULES)


def test_everything_that_can_happen_does_to_every_worker():
    for workers in (2, 3):
        events = [event for seed in range(200) for event in schedule(seed, workers).events]
        aimed = {(event.kind, event.worker) for event in events}
        assert aimed == {
            (kind, worker) for kind in Kind for worker in ([None] if kind is Kind.OUTAGE else range(workers))
        }
    assert {found.rates for found in SCHEDULES} == {Rates(), HEAVY}


def test_events_are_few_in_order_and_bounded():
    for found in SCHEDULES:
        steps = [event.step for event in found.events]
        assert 3 <= len(steps) <= 5
        assert steps == sorted(steps)
        assert steps[0] >= 0 and steps[-1] <= STEPS
        for event in found.events:
            assert 0 <= event.after <= 9
            lasts = event.kind in (Kind.PAUSE_TRAINER, Kind.PAUSE_POD, Kind.OUTAGE)
            assert (0.5 <= event.seconds <= 16) if lasts else event.seconds == 0
