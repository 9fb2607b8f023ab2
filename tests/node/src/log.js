import { format } from 'node:util';

function write(level, words) {
    process.stderr.write(`${new Date().toISOString()} ${level} ${format(...words)}\n`);
}

/**
 * The clients' log, on standard error, where the tests look for it. Some of the client's parts write to a file below the home
 * folder all the same.
 */
export const log = {
    // The client's types have it optional. It is called without a look for a failed message of a FIFO group, though, which its
    // group then waits for in vain.
    debug: () => {},
    info: (...words) => write('INFO', words),
    warn: (...words) => write('WARN', words),
    error: (...words) => write('ERROR', words),
};
