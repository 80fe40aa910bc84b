// Object storage of its own: moto, which speaks S3's language, in a process on loopback.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { waitFor } from '../support/processes.mjs';

const BUCKET = 'heap-dumps';

/** @param {{app: string, python: string}} installed */
export async function startStore({ app, python }) {
  const port = await freePort();
  const server = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', `${port}`], { stdio: 'ignore' });
  const endpoint = `http://127.0.0.1:${port}`;
  await waitFor('the store', () => fetch(endpoint).then(() => true, () => false));
  const env = { AWS_ENDPOINT_URL: endpoint, AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
  // Of Node.js 20, on standard error.
  env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const s3 = createRequire(join(app, 'tables.mjs'))('@aws-sdk/client-s3');
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = new s3.S3Client({ region: env.AWS_REGION, endpoint, credentials });
  await client.send(new s3.CreateBucketCommand({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: env.AWS_REGION } }));
  return {
    env,
    async keys(Prefix) {
      const found = [];
      for await (const { Contents = [] } of s3.paginateListObjectsV2({ client }, { Bucket: BUCKET, Prefix })) found.push(...Contents.map(({ Key }) => Key));
      return found;
    },
    put: (Key, Body) => client.send(new s3.PutObjectCommand({ Bucket: BUCKET, Key, Body })),
    remove: (Key) => client.send(new s3.DeleteObjectCommand({ Bucket: BUCKET, Key })),
    /** As `aws s3 sync` does. */
    async sync(Prefix, directory) {
      for (const Key of await this.keys(Prefix)) {
        const file = join(directory, Key.slice(Prefix.length));
        mkdirSync(dirname(file), { recursive: true });
        const { Body } = await client.send(new s3.GetObjectCommand({ Bucket: BUCKET, Key }));
        await pipeline(Body, createWriteStream(file));
      }
    },
    async stop() {
      client.destroy();
      server.kill();
      await once(server, 'exit');
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
