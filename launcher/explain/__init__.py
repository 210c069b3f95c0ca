"""Why a run or a schedule is not well: one sentence, the evidence, and the command that mends it.

`facts.gather` asks cluster and bucket; every cause in `causes/` is a pure function of those facts; `explain`
takes the first cause that is found, in the order of `causes.CAUSES`, from what is certain to what is guessed.
"""
