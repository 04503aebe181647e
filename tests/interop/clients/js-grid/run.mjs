// Two accounts of the development grid with the unmodified TypeScript clients: calls over the relay, and a machine
// deployed and removed through `GridClient`.  Arguments: two seeds, a node's number and twin, an image.
// Prints one JSON object for each step.
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { mkdtempSync } from 'node:fs';

process.env.HOME = mkdtempSync(`${tmpdir()}/grid-client-`); // it keeps notes there
const require = createRequire(import.meta.url); // the packages' ES modules are not for Node
const { Client } = require('@threefold/rmb_direct_client');
const { GridClient, events } = require('@threefold/grid_client');

const [callerSeed, userSeed, node, twin, flist] = process.argv.slice(2);
const print = console.log;
console.log = (...words) => console.error(...words);
const say = (step, value) => print(JSON.stringify({ step, value }));
const urls = {
  relayURL: 'wss://relay.devgrid',
  substrateURL: 'wss://tfchain.devgrid/ws',
  proxyURL: 'https://gridproxy.devgrid',
  graphqlURL: 'https://graphql.devgrid/graphql',
  activationURL: 'https://activation.devgrid/activation/activate',
};

const caller = new Client(urls.substrateURL, urls.relayURL, callerSeed, 'interop', 'sr25519', 5);
await caller.connect();
const call = async (command, payload) => caller.read(await caller.send(command, payload, Number(twin), 1));
say('version', (await call('zos.system.version', '')).zos);
say('counters', Number((await call('zos.statistics.get', '')).total.mru));
try {
  await call('zos.deployment.get', JSON.stringify({ contract_id: 424242 }));
} catch (problem) {
  say('refused', String(problem.message));
}
const many = await Promise.all(Array.from({ length: 20 }, () => call('zos.system.version', '')));
say('at once', new Set(many.map((one) => one.zos)).size);

events.addListener('logs', (words) => console.error(words));
const grid = new GridClient({
  network: 'dev',
  mnemonic: userSeed,
  storeSecret: 'secret',
  keypairType: 'sr25519',
  projectName: 'interop',
  deploymentTimeoutMinutes: 3,
  ...urls,
});
await grid.connect();
say('connected', grid.twinId);
const vms = {
  name: 'tsgroup',
  network: { name: 'tsnet', ip_range: '10.77.0.0/16', addAccess: false },
  machines: [
    {
      name: 'tsvm',
      node_id: Number(node),
      cpu: 1,
      memory: 512,
      rootfs_size: 1,
      disks: [{ name: 'tsdisk', size: 1, mountpoint: '/data' }],
      flist,
      entrypoint: '/sbin/zinit init',
      public_ip: false,
      public_ip6: false,
      planetary: true,
      mycelium: false,
      env: { GREETING: 'hello' },
    },
  ],
};
const deployed = await grid.machines.deploy(vms);
say('contracts', deployed.contracts.created.length);
const [machine] = await grid.machines.getObj('tsgroup');
say('machine', {
  status: machine.status,
  ip: machine.interfaces[0].ip,
  planetary: machine.planetary,
  mounts: machine.mounts.map((one) => [one.name, one.mountPoint, one.state]),
});
const listed = await grid.contracts.listMyContracts({ state: ['Created', 'GracePeriod'] });
say('listed', listed.nodeContracts.map((one) => one.state));
const gone = await grid.machines.delete({ name: 'tsgroup' });
say('deleted', gone.deleted.length);
say('left', await grid.machines.list());
process.exit(0);
