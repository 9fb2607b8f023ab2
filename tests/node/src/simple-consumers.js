import { SimpleConsumer } from 'rocketmq-client-nodejs';
import { view } from './messages.js';
import { Named } from './named.js';
import { connection, subscriptions } from './settings.js';

/** Simple consumers; a received message is named by a number (`ref`) when it is settled. */
export class SimpleConsumers {
    #consumers = new Named();
    #received = new Map();

    /** Starts a simple consumer. */
    async open(command) {
        const consumer = new SimpleConsumer({
            ...connection(command),
            consumerGroup: command.group,
            subscriptions: subscriptions(command),
            awaitDuration: command.awaitMs,
        });
        await consumer.startup();
        this.#consumers.put(command.name, consumer);
    }

    /** Receives once; the messages stay known by their numbers. */
    async receive(command) {
        const messages = await this.#consumers.of(command).receive(command.max, command.invisibleMs);
        return messages.map((message) => {
            const ref = this.#received.size;
            this.#received.set(ref, message);
            return { ...view(message), ref };
        });
    }

    /** Acknowledges a message. */
    ack(command) {
        return this.#consumers.of(command).ack(this.#referred(command));
    }

    /** Changes how long a message stays invisible from now on. */
    changeInvisible(command) {
        return this.#consumers.of(command).changeInvisibleDuration(this.#referred(command), command.invisibleMs);
    }

    /** Shuts a simple consumer down. */
    close(command) {
        return this.#consumers.close(command);
    }

    #referred(command) {
        const message = this.#received.get(command.ref);
        if (message === undefined) {
            throw new Error(`no message was received as ${command.ref}`);
        }
        return message;
    }
}
