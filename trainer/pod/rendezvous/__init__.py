"""Where the workers of a run meet, each time anew: generation by generation.

A MultiWorkerMirroredStrategy that lost a worker can only be built again by all. The first processes of the
pods therefore meet before every start of their trainers: the chief's pod listens at its name in DNS and
GANTRY_PORT, the others call. When all are there the chief hands out a generation's number and the addresses
of its trainers, with ports that no trainer listened on before. A trainer of an older generation, one that was
paused and wakes up late, say, has addresses at which nobody is any more, and so can never join a newer one.

The connections stay open while the trainers run. As soon as one trainer ends badly, or one pod falls silent,
the generation is over for all of them; nobody waits for TensorFlow to find out.
"""

from trainer.pod.rendezvous.base import Alone, Generation, Meeting
from trainer.pod.rendezvous.caller import Caller
from trainer.pod.rendezvous.host import Host

__all__ = ["Alone", "Caller", "Generation", "Host", "Meeting"]
