"""One-time passcodes that change each half minute. Source: RFC 6238, RFC 4226."""

import base64
import binascii
import hmac
import struct

PERIOD_S = 30
DIGITS = 6


def passcodes(seed: str, now: float, previous_windows: int) -> set[str]:
    """Return the passcodes that count at `now`; none if `seed` is not base32.

    `previous_windows` says how many of the half minutes before still do.
    """
    try:
        key = base64.b32decode(seed + "=" * (-len(seed) % 8), casefold=True)
    except (binascii.Error, ValueError):
        return set()
    step = int(now) // PERIOD_S
    return {_passcode(key, step - i) for i in range(previous_windows + 1)}


def _passcode(key: bytes, counter: int) -> str:
    digest = hmac.digest(key, struct.pack(">Q", counter), "sha1")
    at = digest[-1] & 0xF
    number = struct.unpack(">I", digest[at : at + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"
