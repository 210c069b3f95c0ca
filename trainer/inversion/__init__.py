"""GAN inversion: the latent whose image comes nearest to a given one, and the command ``project``."""
