/** Open clients of one kind by the names the tests gave them. */
export class Named {
    #clients = new Map();

    /** Keeps a client that has been started. */
    put(name, client) {
        if (this.#clients.has(name)) {
            throw new Error(`there is a client named ${name} already`);
        }
        this.#clients.set(name, client);
    }

    /** The client that a command names. */
    of(command) {
        const client = this.#clients.get(command.name);
        if (client === undefined) {
            throw new Error(`there is no client named ${command.name}`);
        }
        return client;
    }

    /** Shuts the client down that a command names. */
    async close(command) {
        const client = this.of(command);
        this.#clients.delete(command.name);
        await client.shutdown();
    }
}
