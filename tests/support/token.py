"""Join tokens as src/pki/token.hpp lays them out: Crockford base32 of bytes that end with their CRC-32.

For tests that put a proxy between a joining machine and its controller: the addresses are in the token.
"""
import struct
import zlib

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PREFIX = "rx1_"


def decode(token):
    digits = token.removeprefix(PREFIX).lower()
    value = 0
    for digit in digits:
        value = value << 5 | ALPHABET.index(digit)
    size = len(digits) * 5 // 8
    raw = (value >> len(digits) * 5 - size * 8).to_bytes(size, "big")
    assert struct.unpack(">I", raw[-4:])[0] == zlib.crc32(raw[:-4])
    return raw[:-4]


def encode(body):
    raw = body + struct.pack(">I", zlib.crc32(body))
    bits = len(raw) * 8
    count = -(-bits // 5)
    value = int.from_bytes(raw, "big") << count * 5 - bits
    return PREFIX + "".join(ALPHABET[value >> 5 * (count - 1 - i) & 31] for i in range(count))


def with_addresses(token, addresses):
    body = decode(token)
    at = 3
    for _ in range(body[2]):
        at += 1 + body[at]
    listed = b"".join(bytes([len(a)]) + a.encode() for a in addresses)
    return encode(body[:2] + bytes([len(addresses)]) + listed + body[at:])
