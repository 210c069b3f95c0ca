"""The zoo: what each part of a method is worth, by real runs of equal length and their figures.

`rows` is the table, `play` trains and judges a row with one seed, `record` is a file of docs/zoo for each,
and `table` writes the table of docs/methods.md from these files.
"""
