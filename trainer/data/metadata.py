"""An encoded picture without what it carries beside its pixels: for files whose metadata stops a decoder.

What cannot be taken apart comes back as it was; nothing here raises.
"""

import struct
import zlib

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_JPEG_PLAIN = (0xE0, 0xEE)  # APP0 (JFIF) and APP14 (Adobe), which say how colours are coded
_WEBP_KEPT = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_VP8X_ALPHA_ANIMATION = 0x12  # the flags of a VP8X chunk that are about pixels
# Tags of TIFF's baseline and of its compressions: sizes, strips, tiles, tables, samples.
_TIFF_KEPT = frozenset(
    (
        *range(256, 260),
        262,
        266,
        273,
        *range(277, 280),
        284,
        292,
        293,
        317,
        320,
        *range(322, 326),
        338,
        339,
        347,
    )
) | {530, 531, 532}


def without_metadata(content: bytes) -> bytes:
    """The same picture with its pixels alone; the content itself where that is not known how."""
    try:
        if content.startswith(_PNG):
            return _png(content)
        if content.startswith(b"\xff\xd8"):
            return _jpeg(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp(content)
        if content[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(content)
    except (struct.error, IndexError):
        pass
    return content


def _png(content: bytes) -> bytes:
    parts, at = [_PNG], len(_PNG)
    while at + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind = content[at + 4 : at + 8]
        if kind in _PNG_KEPT:
            body = content[at + 8 : at + 8 + length]
            # The sum of transparency, which may be wrong, is made anew; those of pixels tell of damage.
            tail = content[at + 8 + length : at + 12 + length]
            if kind == b"tRNS":
                tail = struct.pack(">I", zlib.crc32(kind + body))
            parts.append(content[at : at + 8] + body + tail)
        at += 12 + length
    return b"".join(parts)


def _jpeg(content: bytes) -> bytes:
    parts, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker == 0xDA:  # the scan: pixels from here on
            return b"".join([*parts, content[at:]])
        (length,) = struct.unpack_from(">H", content, at + 2)
        is_metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not is_metadata or marker in _JPEG_PLAIN:
            parts.append(content[at : at + 2 + length])
        at += 2 + length
    return content


def _webp(content: bytes) -> bytes:
    parts, at = [], 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        chunk = content[at : at + 8 + length + length % 2]
        if kind == b"VP8X" and length >= 10:
            chunk = chunk[:8] + bytes([chunk[8] & _VP8X_ALPHA_ANIMATION]) + chunk[9:]
        if kind in _WEBP_KEPT:
            parts.append(chunk)
        at += 8 + length + length % 2
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(content: bytes) -> bytes:
    """The first directory with the tags of pixels alone, and no directory after it."""
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, start)
    entries = [content[start + 2 + 12 * each : start + 14 + 12 * each] for each in range(count)]
    kept = [each for each in entries if struct.unpack(order + "H", each[:2])[0] in _TIFF_KEPT]
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    return content[:start] + directory + content[start + len(directory) :]
