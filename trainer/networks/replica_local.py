"""A replica's own copy of a variable, read and written without a word to the others.

For values that every replica computes alike: an assignment under a strategy would reduce them once more.
"""

import tensorflow as tf


def read(variable: tf.Variable) -> tf.Tensor:
    """The value as this replica has it now, in its context."""
    return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)


def write(variable: tf.Variable, value: tf.Tensor) -> None:
    """Give this replica's copy a value, in its context."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
