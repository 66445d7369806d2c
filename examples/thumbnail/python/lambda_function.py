"""Tells what a photograph is: reads the markers of a JPEG, with nothing but the standard library.

The event is {"image": base64 of a JPEG}.
"""

import base64
import struct

FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless"}
COLORS = {1: "gray", 3: "YCbCr", 4: "CMYK"}


def segments(data):
    """The marker segments of a JPEG up to its pixels: (marker, payload)."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("not a JPEG: no marker at byte %d" % at)
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        yield marker, data[at + 4 : at + 2 + length]
        if length < 2 or marker == 0xDA:
            return
        at += 2 + length


def lambda_handler(event, context):
    data = base64.b64decode(event["image"], validate=True)
    comments, density = [], None
    for marker, payload in segments(data):
        if marker == 0xFE:
            comments.append(payload.decode("utf-8", "replace"))
        elif marker == 0xE0 and payload[:5] == b"JFIF\0" and len(payload) >= 12:
            density = list(struct.unpack(">HH", payload[8:12]))
        elif marker in FRAMES and len(payload) >= 6:
            bits, height, width, components = struct.unpack(">BHHB", payload[:6])
            print("%d x %d photograph, %d bytes" % (width, height, len(data)))
            return {
                "format": "JPEG",
                "width": width,
                "height": height,
                "bytes": len(data),
                "color": COLORS.get(components, str(components)),
                "bits": bits,
                "process": FRAMES[marker],
                "density": density,
                "comments": comments,
            }
    raise ValueError("not a JPEG: no frame")
