import { createRequire } from 'node:module';

/** The versions of the client and of Node.js. */
export function versions() {
    const client = createRequire(import.meta.url)('rocketmq-client-nodejs/package.json');
    return { client: client.version, node: process.versions.node };
}
