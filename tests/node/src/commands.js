import { Producers } from './producers.js';
import { PushConsumers } from './push-consumers.js';
import { SimpleConsumers } from './simple-consumers.js';

/** What answers each command that has to do with clients. */
export function commands(wire) {
    const producers = new Producers();
    const pushConsumers = new PushConsumers(wire);
    const simpleConsumers = new SimpleConsumers();
    return {
        'producer': (command) => producers.open(command),
        'send': (command) => producers.send(command),
        'close-producer': (command) => producers.close(command),
        'push-consumer': (command) => pushConsumers.open(command),
        'close-push-consumer': (command) => pushConsumers.close(command),
        'simple-consumer': (command) => simpleConsumers.open(command),
        'receive': (command) => simpleConsumers.receive(command),
        'ack': (command) => simpleConsumers.ack(command),
        'change-invisible': (command) => simpleConsumers.changeInvisible(command),
        'close-simple-consumer': (command) => simpleConsumers.close(command),
    };
}
