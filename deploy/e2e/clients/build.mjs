// Bundles the pages into the directory that is the first argument, with the package versions of the
// lock file. The PocketBase page is built for both versions of its SDK. The page for simple-peer is
// the example in the SDK's README, with the host that is the second argument.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const [out, host] = process.argv.slice(2);
const common = { bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning', conditions: ['module'] };
const pages = (names, more) => build({ ...common, ...more, outdir: out, entryPoints: names.map((name) => `${here}pages/${name}.js`) });

await pages(['peerjs', 'y-webrtc', 'trystero']);
for (const version of ['0.19', '0.28']) {
  await pages(['pocketbase'], { alias: { pocketbase: `pocketbase-${version}` }, entryNames: `[name]-${version}` });
}

const readme = await readFile(`${here}../../../signal/web/static/sdk/README.md`, 'utf8');
const example = readme.match(/```js\n(import SimplePeer [^]*?)```/)[1];
await build({
  ...common, outfile: `${out}/simple-peer.js`,
  stdin: { contents: example.replaceAll('call.example.org', host), resolveDir: here, sourcefile: 'README.js' },
});
