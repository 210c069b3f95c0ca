"""The program in the container: trains a GAN with TensorFlow, one process for each worker."""

__version__ = "0.1.0"
