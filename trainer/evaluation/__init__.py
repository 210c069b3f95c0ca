"""Whether a run's images are good: figures with their names, counts and floors.

The mathematics is NumPy in float64 and knows neither runs nor networks: `frechet`, `manifold`, `classes`,
`copies`. `features` is the table of networks in whose features it is done, `drawing` draws a run's images,
`evaluate` puts them together, `told` prints. Images are 8-bit, as pictures are stored.
"""
