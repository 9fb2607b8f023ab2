import { crc32 } from 'node:zlib';

/** Longer bodies are reported by size and checksum only. */
const SHOWN_BYTES_MAX = 4096;

/** The body is `body`, or `size` bytes of a pattern that the tests know too. */
export function build(message) {
    return {
        topic: message.topic,
        body: message.size === undefined ? Buffer.from(message.body) : pattern(message.size),
        tag: message.tag,
        keys: message.keys,
        messageGroup: message.messageGroup,
        properties: new Map(Object.entries(message.properties ?? {})),
    };
}

/** What the client shows of a message; an absent tag or message group it shows as an empty text. */
export function view(message) {
    return {
        messageId: message.messageId,
        topic: message.topic,
        attempt: message.deliveryAttempt,
        size: message.body.length,
        crc32: crc32(message.body),
        ...(message.body.length <= SHOWN_BYTES_MAX && { body: message.body.toString() }),
        ...(message.tag && { tag: message.tag }),
        ...(message.messageGroup && { messageGroup: message.messageGroup }),
        keys: message.keys,
        properties: Object.fromEntries(message.properties),
        bornHost: message.bornHost,
        bornTimestamp: message.bornTimestamp.getTime(),
        handle: message.receiptHandle,
        offset: message.offset,
        // Absent in a message that is sound.
        corrupted: message.corrupted === true,
    };
}

function pattern(size) {
    const body = Buffer.alloc(size);
    for (let i = 0; i < size; i++) {
        body[i] = i * 31 + (i >> 8);
    }
    return body;
}
