"""Messages to and from JSON."""

import zlib

from rocketmq import Message

# Longer bodies are reported by size and checksum only.
SHOWN_BYTES_MAX = 4096


def build(message):
    """The body is `body`, or `size` bytes of a pattern that the tests know too."""
    built = Message()
    built.topic = message["topic"]
    built.body = pattern(message["size"]) if "size" in message else message["body"].encode()
    if "tag" in message:
        built.tag = message["tag"]
    for key in message.get("keys", []):
        # An assignment adds one key to those there are; a list is refused.
        built.keys = key
    if "messageGroup" in message:
        built.message_group = message["messageGroup"]
    for name, value in message.get("properties", {}).items():
        built.add_property(name, value)
    return built


def view(message):
    """What the client shows of a message; it shows no offset, and keeps the keys in no order."""
    shown = {
        "messageId": message.message_id,
        "topic": message.topic,
        "attempt": message.delivery_attempt,
        "size": len(message.body),
        "crc32": zlib.crc32(message.body),
        "keys": sorted(message.keys),
        "properties": dict(message.properties),
        "bornHost": message.born_host,
        "bornTimestamp": message.born_timestamp,
        "handle": message.receipt_handle,
        "corrupted": message.corrupted,
    }
    if len(message.body) <= SHOWN_BYTES_MAX:
        shown["body"] = message.body.decode(errors="replace")
    if message.tag is not None:
        shown["tag"] = message.tag
    if message.message_group is not None:
        shown["messageGroup"] = message.message_group
    return shown


def pattern(size):
    """Byte `i` is the low byte of `i * 31 + (i >> 8)`: blocks of 256 bytes that differ by what is added to each byte."""
    blocks = [bytes((i * 31 + block) & 0xFF for i in range(256)) for block in range(256)]
    return b"".join(blocks[block & 0xFF] for block in range((size + 255) >> 8))[:size]
