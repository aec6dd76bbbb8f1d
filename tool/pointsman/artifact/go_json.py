"""JSON as Go's encoding/json writes it. Versions are hashes of this text."""

from __future__ import annotations


def number(value: float) -> str:
    """The finite `value` with the fewest digits: plain for 1e-6 <= |value| < 1e21, else like 1e-7 and 1.5e+300."""
    text = repr(value).removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    sign = "-" * mantissa.startswith("-")
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    shift = int(exponent)
    if not -7 < shift < 21:
        return f"{mantissa}e{shift:+d}"
    if shift < 0:
        return f"{sign}0.{'0' * (-shift - 1)}{whole}{fraction}"
    return sign + (whole + fraction).ljust(shift + 1, "0")


def html_safe(document: bytes) -> bytes:
    """The JSON text `document` with `<`, `>`, `&`, U+2028 and U+2029 escaped. They are found only inside strings."""
    document = document.replace(b"<", rb"\u003c").replace(b">", rb"\u003e").replace(b"&", rb"\u0026")
    if document.isascii():
        return document
    return document.replace("\u2028".encode(), rb"\u2028").replace("\u2029".encode(), rb"\u2029")
