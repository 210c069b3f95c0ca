"""Steps without a loop around them."""

from trainer.randomness import Shuffle, batches


def drawn(resolved, count, first, steps):
    """Which of `count` images each step takes, int64 [steps, images]."""
    shuffle = Shuffle(resolved.seed, count, resolved.data.shuffle_window)
    return batches(shuffle, resolved.images_per_step, first, steps)


def fed(stepper, resolved, count):
    """The stepper of a set of `count` images in memory, with what it takes; classes go round."""

    def run(first, steps, stop=False, propose=1):
        taken = drawn(resolved, count, first, steps)
        labels = (taken % resolved.conditioning.classes).astype("int32") if resolved.conditioning.on else None
        return stepper(first, steps, stop, propose, taken, labels)

    return run
