"""What known cards can do at most, by NVIDIA's data sheets: dense, without sparsity."""

from typing import NamedTuple


class Peak(NamedTuple):
    """TFLOP/s of products; 0 where a card has no such units."""

    float32: float
    tensorfloat32: float
    bfloat16: float


# The first whose words are all in the card's name, so the narrower come first.
_CARDS: tuple[tuple[str, Peak], ...] = (
    ("B200", Peak(75, 1125, 2250)),
    ("GH200", Peak(67, 494, 989)),
    ("H200 NVL", Peak(60, 418, 835)),
    ("H200", Peak(67, 494, 989)),
    ("H100 NVL", Peak(60, 418, 835)),
    ("H100 PCIe", Peak(51, 378, 756)),
    ("H100", Peak(67, 494, 989)),
    ("A100", Peak(19.5, 156, 312)),
    ("A30", Peak(10.3, 82, 165)),
    ("A10G", Peak(31.5, 35, 70)),
    ("A10", Peak(31.2, 62.5, 125)),
    ("L40S", Peak(91.6, 183, 362)),
    ("L40", Peak(90.5, 90.5, 181)),
    ("L4", Peak(30.3, 60, 121)),
    ("V100", Peak(15.7, 0, 0)),
    ("T4", Peak(8.1, 0, 0)),
)


def peak_of(card: str) -> Peak | None:
    """The peak of a card by its name as the driver gives it, None for one that is not known."""
    words = card.replace("-", " ").split()
    for name, peak in _CARDS:
        if set(name.split()) <= set(words):
            return peak
    return None
