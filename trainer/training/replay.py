"""Finds the step and the tensor with which a run diverged, by playing its last steps once more.

Training is a pure function of its state, so the steps themselves need no watching: what is NaN or Inf stays
so until a call's end, where it is looked at and nothing of the call is kept. Then the steps since a copy of
the state are played again, with the same compiled program, one step a call where it went wrong.

The copy is of this process and at most `_CALLS` calls old: with the newest checkpoint in its place, finding a
name might take as long as the time between two of those. On a CPU it costs one more copy of the state in
memory and 15 of 32,000 ms; on an accelerator it lies in the host's memory.
"""

from collections.abc import Callable

from trainer.errors import Diverged
from trainer.run import checkpoints
from trainer.training.state import State
from trainer.training.step import Outcome

_CALLS = 32  # of about a second each

Play = Callable[[int, int], Outcome]
"""Takes so many steps after so many."""


class LastGood:
    """All that training changes as it was a few calls ago, when it was free of NaN and Inf."""

    def __init__(self, state: State, step: int) -> None:
        """`step`: steps taken so far."""
        self._state, self._calls = state, 0
        self._keep(step)

    def passed(self, step: int) -> None:
        """Say that a call ended well after `step` steps; every worker says so of the same calls."""
        self._calls += 1
        if self._calls % _CALLS == 0:
            self._keep(step)

    def diverged(self, begin: int, end: int, play_from: Callable[[int], Play]) -> Diverged:
        """What is to be said of a call that ended badly.

        Args:
            begin: steps taken before that call.
            end: steps taken after it.
            play_from: a way to take steps after so many, by the program that took them before.
        """
        seen = self._state.not_finite()
        self._state.assign(self._values)
        step, play = self.step, play_from(self.step)
        while step < end:
            count = min(end - begin, begin - step) if step < begin else 1
            outcome = play(step, count)
            step += count
            if not outcome.finite:
                what = self._state.not_finite() or "a tensor of another worker"
                return Diverged(f"step {step}: {what} is NaN or Inf")
            if outcome.stop:
                return Diverged(
                    f"step {end}: {seen} is NaN or Inf, since one of the last {end - begin} steps"
                )
        return Diverged(
            f"step {end}: {seen or 'a tensor of another worker'} is NaN or Inf; played again from step "
            f"{self.step} it is not, though the same steps give the same numbers: suspect this machine's "
            "memory or accelerator"
        )

    def _keep(self, step: int) -> None:
        self.step = step
        """Steps that had been taken."""
        tensors = checkpoints.snapshot(self._state.tensors())
        self._values = {name: tensor.numpy() for name, tensor in tensors.items()}
