"""Whether a run's images are good: figures with their names, counts, intervals and floors.

The mathematics is NumPy in float64 and knows neither runs nor networks: `frechet`, `kernel`, `manifold`,
`classes`, `wasserstein`, `copies`; `figures` is its table. `features` is the table of networks in whose
features it is done, `choosing` finds one, `drawing` draws a run's images, `judge` compares them, `evaluate`
puts all together, `told` prints. Images are 8-bit, as pictures are stored.
"""
