/** The line-by-line way back to the tests. */
export class Wire {
    #write = process.stdout.write.bind(process.stdout);

    /** Keeps standard output for itself: what anything else prints goes to standard error. */
    constructor() {
        process.stdout.write = process.stderr.write.bind(process.stderr);
    }

    /** Answers a command that went well. */
    ok(id, result) {
        this.#line({ id, ok: result ?? null });
    }

    /** Answers a command that failed, with the kind of error and its text. */
    error(id, error) {
        this.#line({ id, error: `${error.constructor.name}: ${error.message}` });
    }

    /** Reports what happened to a message in a push consumer. */
    event(event, client, message) {
        this.#line({ event, client, message });
    }

    #line(line) {
        this.#write(`${JSON.stringify(line)}\n`);
    }
}
