// The life of a twin with the unmodified polkadot-js API.  Prints one JSON object for each step.
import { createInterface } from 'node:readline';
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';

const [url] = process.argv.slice(2);
const say = (step, value) => console.log(JSON.stringify({ step, value }));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const api = await ApiPromise.create({ provider: new WsProvider(url, 500), noInitWarn: true });
const user = new Keyring({ type: 'sr25519' }).addFromUri('//Charlie');
say('connected', api.runtimeVersion.specVersion.toNumber());

function send(call) {
  return new Promise((resolve, reject) => {
    call
      .signAndSend(user, ({ status, events, dispatchError }) => {
        if (!status.isInBlock) return;
        const names = events.map(({ event }) => `${event.section}.${event.method}`);
        const error = dispatchError?.isModule ? api.registry.findMetaError(dispatchError.asModule).name : null;
        resolve({ names, error, events });
      })
      .catch(reject);
  });
}

await send(api.tx.tfgridModule.userAcceptTc('https://example.org/terms', '1a2b'));
const twin = await send(api.tx.tfgridModule.createTwin(null, null));
say('twin', twin.names.includes('tfgridModule.TwinStored'));
say('twin id', (await api.query.tfgridModule.twinIdByAccountID(user.address)).unwrap().toNumber());

const made = await send(api.tx.smartContractModule.createNameContract('jsname'));
const created = made.events.find(({ event }) => event.method === 'ContractCreated').event.data[0];
say('contract', created.contractId.toNumber());
const stored = await api.query.smartContractModule.contracts(created.contractId);
say('contract name', stored.unwrap().contractType.asNameContract.name.toUtf8());
const missing = await send(api.tx.smartContractModule.cancelContract(999999));
say('module error', missing.error);

say('restart', null);
await lines.next();
if (!api.isConnected) await new Promise((resolve) => api.once('connected', resolve));
const gone = await send(api.tx.smartContractModule.cancelContract(created.contractId));
say('cancelled', gone.names.includes('smartContractModule.NameContractCanceled'));
const head = await new Promise((resolve) => api.rpc.chain.subscribeNewHeads(resolve));
say('head', head.number.toNumber() > 0);
process.exit(0);
