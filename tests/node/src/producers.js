import { Producer } from 'rocketmq-client-nodejs';
import { build } from './messages.js';
import { Named } from './named.js';
import { connection } from './settings.js';

/** Producers, and sending with them. */
export class Producers {
    #producers = new Named();

    /** Starts a producer. */
    async open(command) {
        const producer = new Producer({
            ...connection(command),
            topics: command.topics,
            maxAttempts: command.maxAttempts,
        });
        await producer.startup();
        this.#producers.put(command.name, producer);
    }

    /** Sends the messages one after the other, or all at once if the command says `async`. */
    async send(command) {
        const producer = this.#producers.of(command);
        const messages = command.messages.map(build);
        if (command.async) {
            const receipts = await Promise.all(messages.map((message) => producer.send(message)));
            return receipts.map((receipt) => receipt.messageId);
        }
        const ids = [];
        for (const message of messages) {
            const receipt = await producer.send(message);
            ids.push(receipt.messageId);
        }
        return ids;
    }

    /** Shuts a producer down. */
    close(command) {
        return this.#producers.close(command);
    }
}
