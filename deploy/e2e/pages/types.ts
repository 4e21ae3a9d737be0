/** Checks that the SDK has the types that icebox.d.ts declares. This file is only type-checked, never run. */

import type * as promised from '../../../signal/web/static/sdk/icebox.js';
import type { Call } from '../../../signal/web/static/sdk/call.js';
import type { Client } from '../../../signal/web/static/sdk/client.js';
import type { IncomingCall } from '../../../signal/web/static/sdk/incoming.js';
import type { listDevices, LocalMedia, openMedia } from '../../../signal/web/static/sdk/media.js';
import type { Party } from '../../../signal/web/static/sdk/party.js';
import type { judge } from '../../../signal/web/static/sdk/stats.js';

declare function same<Promised>(made: Promised): void;
declare const made: {
  call: Call; client: Client; incoming: IncomingCall; media: LocalMedia; party: Party;
  openMedia: typeof openMedia; listDevices: typeof listDevices; stats: ReturnType<typeof judge>;
};

same<promised.Call>(made.call);
same<promised.IncomingCall>(made.incoming);
same<promised.LocalMedia>(made.media);
same<promised.Party>(made.party);
same<promised.Stats>(made.stats);
same<typeof promised.openMedia>(made.openMedia);
same<typeof promised.listDevices>(made.listDevices);

// Methods that take options are checked separately, because icebox.d.ts declares LocalMedia as an
// interface, and the SDK's LocalMedia is a class with private members.
same<Omit<promised.Client, 'createCall' | 'join' | 'call' | 'on' | 'once' | 'off'>>(made.client);
export const calling: Promise<promised.Call>[] = [made.client.createCall(), made.client.join('id'), made.client.call('name')];

/** Uses the SDK as an application in TypeScript does. */
export async function use({ connect, IceboxError }: typeof promised): Promise<string> {
  const client = await connect({ name: 'alice', token: async () => 'jwt', transport: 'events' });
  client.on('presence', ({ name, online }) => void [name.length, online === true]);
  const stop = client.on('call', (incoming) => void incoming.answer({ media: { audio: true, video: false } }));
  stop();
  await client.send({ id: 'x' }, 'note', { any: 'thing' });
  const call = await client.createCall({ max: 4, policy: 'relay' });
  call.on('left', ({ party, reason }) => void [party.name, reason]);
  // @ts-expect-error the event does not exist
  call.on('nothing', () => {});
  const [{ stats }] = await call.stats();
  await call.media.setCamera(null);
  try {
    await client.join('gone');
  } catch (failure) {
    if (failure instanceof IceboxError) return failure.code;
  }
  return `${stats.route} ${stats.quality} ${call.state}`;
}
