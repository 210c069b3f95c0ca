"""The sizes of a Laplacian pyramid, without TensorFlow."""

LARGEST, SMALLEST = 64, 7
"""Pixels of the largest level's longer side at most, and of the smallest's shorter one at least."""


def levels(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of each, from the largest, of images of that size."""
    shrunk = max(1.0, max(height, width) / LARGEST)
    found = [(max(1, round(height / shrunk)), max(1, round(width / shrunk)))]
    while min(found[-1]) >= 2 * SMALLEST:
        found.append((found[-1][0] // 2, found[-1][1] // 2))
    return found
