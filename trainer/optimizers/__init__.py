"""How gradients become updates; mathematics only."""
