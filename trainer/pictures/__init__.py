"""Images as pictures: side by side in one, and as PNG."""
