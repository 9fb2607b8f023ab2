/**
 * Does with the official client what the lines on standard input say.
 *
 * A line is an object with `id` and `do`; it is answered by one line with the same `id` and either `ok` or `error`. Commands
 * run side by side, so that answers come in the order in which they are ready. What a push consumer receives is reported by
 * lines with `event` instead of `id`. The end of the input ends the process.
 */

import { createInterface } from 'node:readline';
import { versions } from './versions.js';
import { Wire } from './wire.js';

const wire = new Wire();
let loading;

/** The commands of clients; their module is loaded by the first of them, which may say whom TLS trusts. */
function commands(command) {
    if (loading === undefined && command.ca !== undefined) {
        // The client itself has no option for it. gRPC looks at this variable, once in a process and when it is loaded.
        process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = command.ca;
    }
    loading ??= import('./commands.js').then((module) => module.commands(wire));
    return loading;
}

async function execute(command) {
    if (command.do === 'hello') {
        return versions();
    }
    const known = await commands(command);
    if (!Object.hasOwn(known, command.do)) {
        throw new Error(`unknown command ${JSON.stringify(command)}`);
    }
    return known[command.do](command);
}

async function answer(command) {
    try {
        wire.ok(command.id, await execute(command));
    } catch (error) {
        wire.error(command.id, error);
    }
}

createInterface({ input: process.stdin })
    .on('line', (line) => answer(JSON.parse(line)))
    // Clients left open must not keep the process.
    .on('close', () => process.exit(0));
