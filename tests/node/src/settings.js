import { log } from './log.js';

/** The connection: what a command leaves out stays as the client has it by default, plaintext among it. */
export function connection(command) {
    return {
        endpoints: command.endpoints,
        logger: log,
        ...(command.ssl !== undefined && { sslEnabled: command.ssl }),
        ...(command.namespace !== undefined && { namespace: command.namespace }),
        ...(command.requestTimeoutMs !== undefined && { requestTimeout: command.requestTimeoutMs }),
    };
}

/** Topics with their tag expressions. */
export function subscriptions(command) {
    return new Map(Object.entries(command.subscriptions));
}
