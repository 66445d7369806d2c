"""JSON as AWS's Python runtimes write it: Decimal as a number, named tuples as objects, bytes as text."""

import json
import os
import sys

# On AWS, answers are written with ASCII escapes up to Python 3.11 and in UTF-8 from 3.12 on.
ENSURE_ASCII = sys.version_info < (3, 12)


class Encoder(json.JSONEncoder):
    def __init__(self):
        super().__init__(ensure_ascii=ENSURE_ASCII)
        self.mark = None

    def default(self, o):
        if isinstance(o, (bytes, bytearray)):
            return bytes(o).decode("utf-8")
        if callable(getattr(o, "_asdict", None)):
            return plain(o._asdict())
        decimal = sys.modules.get("decimal")
        if decimal is None or not isinstance(o, decimal.Decimal):
            return super().default(o)
        if o.is_nan():
            return float("nan")
        # The standard encoder cannot write a number it does not know, so it writes a marked string and encode() strips the mark.
        if self.mark is None:
            self.mark = os.urandom(16).hex()
        return self.mark + str(o) + self.mark

    def encode_text(self, o):
        try:
            o = plain(o) if strange(o) else o
        except RecursionError:
            pass  # the encoder finds out whether it is a circle, and says so
        text = self.encode(o)
        if self.mark is not None:
            text = text.replace('"' + self.mark, "").replace(self.mark + '"', "")
        return text


def strange(o):
    """Whether o holds what the standard encoder would write otherwise than AWS: named tuples and bytes as keys."""
    if isinstance(o, dict):
        return any(type(k) is bytes or strange(v) for k, v in o.items())
    if isinstance(o, tuple) and callable(getattr(o, "_asdict", None)):
        return True
    return isinstance(o, (list, tuple)) and any(map(strange, o))


def plain(o):
    if isinstance(o, tuple) and callable(getattr(o, "_asdict", None)):
        o = o._asdict()
    if isinstance(o, dict):
        return {(k.decode("utf-8") if type(k) is bytes else k): plain(v) for k, v in o.items()}
    return list(map(plain, o)) if isinstance(o, (list, tuple)) else o
