import { setTimeout as sleep } from 'node:timers/promises';
import { ConsumeResult, PushConsumer } from 'rocketmq-client-nodejs';
import { view } from './messages.js';
import { Named } from './named.js';
import { connection, subscriptions } from './settings.js';

/** Push consumers; each message is reported when its handler begins, and again when it ends. */
export class PushConsumers {
    #consumers = new Named();
    #wire;

    constructor(wire) {
        this.#wire = wire;
    }

    /** Starts a push consumer. It has no threads: its handlers run side by side, one for each message there is. */
    async open(command) {
        const consumer = new PushConsumer({
            ...connection(command),
            consumerGroup: command.group,
            subscriptions: subscriptions(command),
            enableFifoConsumeAccelerator: command.accelerated !== undefined,
            messageListener: { consume: (message) => this.#handle(command, message) },
        });
        await consumer.startup();
        this.#consumers.put(command.name, consumer);
    }

    /** Shuts a push consumer down. */
    close(command) {
        return this.#consumers.close(command);
    }

    /** Takes `holdMs` of time; fails attempts up to `failFirst`, of `failBody` only if there is one. */
    async #handle(command, message) {
        const shown = view(message);
        this.#wire.event('received', command.name, shown);
        await sleep(command.holdMs ?? 0);
        const meant = command.failBody === undefined || command.failBody === shown.body;
        const fails = meant && shown.attempt <= (command.failFirst ?? 0);
        this.#wire.event(fails ? 'failed' : 'handled', command.name, shown);
        return fails ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
    }
}
