"""The first process of a pod: it meets its peers and starts the trainer, again where need be."""
