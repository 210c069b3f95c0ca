"""What `bench/gpu.py` asks a GPU, row by row.

Rows are answered by groups, each a process of its own with whatever it starts: a group that dies is begun
anew with the rows behind the one that killed it. The referee imports nothing of TensorFlow. A row is added by
a line of `plan.py` and, where it asks something new, a task of the group that it belongs to.
"""
