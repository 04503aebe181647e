// The life of a twin with the unmodified TypeScript chain client.  Prints one JSON object for each step.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

// Its ES modules leave out the endings of file names, which Node does not forgive.
const { Client } = createRequire(import.meta.url)('@threefold/tfchain_client');

const [url] = process.argv.slice(2);
const print = console.log;
console.log = (...words) => console.error(...words); // the client talks on the standard output
const say = (step, value) => print(JSON.stringify({ step, value }));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const client = new Client({ url, mnemonicOrSecret: '//Charlie', keypairType: 'sr25519', keepReconnecting: true });
await client.connect();
say('connected', client.api.runtimeVersion.specVersion.toNumber());
const run = async (made) => (await made).apply();

await run(client.termsAndConditions.accept({ documentLink: 'https://example.org/terms', documentHash: '1a2b' }));
const twin = await run(client.twins.create({ relay: null, pk: null }));
say('twin', twin.accountId === client.address);
say('twin id', await client.twins.getMyTwinId());

const made = await run(client.contracts.createName({ name: 'tsname' }));
say('contract', made.contractId);
const stored = await client.contracts.get({ id: made.contractId });
say('contract name', stored.contractType.nameContract.name);
try {
  await run(client.contracts.createName({ name: 'tsname' }));
} catch (problem) {
  say('module error', problem.keyError);
}

await run(client.kvStore.set({ key: 'colour', value: 'green' }));
say('kept', [await client.kvStore.list(), await client.kvStore.get({ key: 'colour' })]);
const other = client.keypair.derive('//other').address;
await run(client.balances.transfer({ address: other, amount: 12_345_678 }));
say('transferred', (await client.balances.get({ address: other })).free);
const two = await client.applyAllExtrinsics(
  await Promise.all(['tsfirst', 'tssecond'].map((name) => client.contracts.createName({ name }))),
);
say('together', two.map((one) => one.contractId));

say('restart', null);
await lines.next();
const gone = await run(client.contracts.cancel({ id: made.contractId }));
say('cancelled', gone === made.contractId && (await client.contracts.getContractIdByName({ name: 'tsname' })) === 0);
say('head', (await client.api.rpc.chain.getHeader()).number.toNumber() > 0);
process.exit(0);
