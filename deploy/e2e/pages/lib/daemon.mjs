/**
 * Starts a daemon for a test file on free ports of 127.0.0.1. ICEBOX_BIN names the binary; without
 * it, the repository's is built.
 */

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const repository = join(import.meta.dirname, '../../../..');

export class Daemon {
  #child;
  #binary;
  #directory;
  #output = [];

  /** Starts a daemon with the tests' configuration; changes override its top-level keys. */
  static async start(changes = {}) {
    const daemon = new Daemon();
    daemon.#directory = await mkdtemp(join(tmpdir(), 'icebox-pages-'));
    daemon.#binary = process.env.ICEBOX_BIN || (await build(daemon.#directory));
    const [http, turn, admin] = [await freePort(), await freePort(), await freePort()];
    daemon.url = `http://127.0.0.1:${http}/`;
    daemon.turn = `127.0.0.1:${turn}`;
    // JSON is a subset of YAML.
    await writeFile(daemon.#file, JSON.stringify({
      public_host: '127.0.0.1',
      state_dir: join(daemon.#directory, 'state'),
      turn: { listen: [{ address: daemon.turn, transports: ['udp', 'tcp'] }] },
      http: { listen: [{ address: `127.0.0.1:${http}` }] },
      admin: { address: `127.0.0.1:${admin}` },
      ...changes,
    }));
    await daemon.run();
    return daemon;
  }

  get #file() {
    return join(this.#directory, 'icebox.yaml');
  }

  /** Runs the daemon, for the first time or again after kill(), and waits until it serves pages. */
  async run() {
    // The daemon refuses unknown ICEBOX_ variables, including those of the tests.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ICEBOX_')));
    this.#child = spawn(this.#binary, ['serve', '--config', this.#file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (data) => this.#output.push(data));
    const deadline = Date.now() + 30_000;
    for (;;) {
      const response = await fetch(this.url).catch(() => null);
      if (response?.ok) return;
      if (this.#child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the daemon serves no pages:\n${Buffer.concat(this.#output)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Ends the daemon, by default abruptly, as a crash would. */
  async kill(signal = 'SIGKILL') {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill(signal);
    await ended;
  }

  /** Ends the daemon and removes its files. */
  async stop() {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function build(directory) {
  const binary = join(directory, 'icebox');
  await promisify(execFile)('go', ['build', '-o', binary, './cmd/icebox'], { cwd: repository });
  return binary;
}

/** Returns a port that is currently free for both TCP and UDP. */
export async function freePort() {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address();
    const socket = createSocket('udp4');
    const free = await new Promise((resolve) => {
      socket.once('error', () => resolve(false)).bind(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    socket.close();
    if (free) return port;
  }
}
