"""Generator and discriminator of every architecture, and what they cost."""
