"""Laws of every method: the same steps on one replica and on two, and the same bits after a resume."""
