"""Whether a picture shows colours, which a model of one channel would not."""

from typing import Any

_SIDE = 16  # pixels of each edge that are looked at
_SPREAD = 16  # of 255 between a pixel's channels: JPEG's own rounding makes grey differ by less


def shows_colours(image: Any) -> bool:
    """Whether one of 256 pixels of a loaded PIL image, spread over it, is not grey."""
    if image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I"):
        return False
    small = image.resize((min(_SIDE, image.width), min(_SIDE, image.height)), 0).convert("RGB")
    content = small.tobytes()
    return any(
        max(content[at : at + 3]) - min(content[at : at + 3]) > _SPREAD for at in range(0, len(content), 3)
    )
