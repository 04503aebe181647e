// The life of a twin with the unmodified go-substrate-rpc-client.  Prints one JSON object for each step.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	gsrpc "github.com/centrifuge/go-substrate-rpc-client/v4"
	"github.com/centrifuge/go-substrate-rpc-client/v4/registry"
	"github.com/centrifuge/go-substrate-rpc-client/v4/registry/retriever"
	"github.com/centrifuge/go-substrate-rpc-client/v4/registry/state"
	"github.com/centrifuge/go-substrate-rpc-client/v4/signature"
	"github.com/centrifuge/go-substrate-rpc-client/v4/types"
	"github.com/centrifuge/go-substrate-rpc-client/v4/types/codec"
)

func say(step string, value any) {
	line, _ := json.Marshal(map[string]any{"step": step, "value": value})
	fmt.Println(string(line))
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

type client struct {
	api     *gsrpc.SubstrateAPI
	meta    *types.Metadata
	genesis types.Hash
	user    signature.KeyringPair
}

func connect(url string) *client {
	api := must(gsrpc.NewSubstrateAPI(url))
	return &client{
		api:     api,
		meta:    must(api.RPC.State.GetMetadataLatest()),
		genesis: must(api.RPC.Chain.GetBlockHash(0)),
		user:    must(signature.KeyringPairFromSecret("//Eve", 42)),
	}
}

// send submits a call, waits for its block and returns the names of the block's events.
func (c *client) send(name string, arguments ...any) ([]string, types.Hash) {
	call := must(types.NewCall(c.meta, name, arguments...))
	extrinsic := types.NewExtrinsic(call)
	version := must(c.api.RPC.State.GetRuntimeVersionLatest())
	var account types.AccountInfo
	key := must(types.CreateStorageKey(c.meta, "System", "Account", c.user.PublicKey))
	must(c.api.RPC.State.GetStorageLatest(key, &account))
	options := types.SignatureOptions{
		BlockHash: c.genesis, Era: types.ExtrinsicEra{IsMortalEra: false}, GenesisHash: c.genesis,
		Nonce: types.NewUCompactFromUInt(uint64(account.Nonce)), SpecVersion: version.SpecVersion,
		Tip: types.NewUCompactFromUInt(0), TransactionVersion: version.TransactionVersion,
	}
	if err := extrinsic.Sign(c.user, options); err != nil {
		must(0, err)
	}
	watch := must(c.api.RPC.Author.SubmitAndWatchExtrinsic(extrinsic))
	defer watch.Unsubscribe()
	for {
		select {
		case status := <-watch.Chan():
			if status.IsInBlock {
				return c.events(status.AsInBlock), status.AsInBlock
			}
		case <-time.After(60 * time.Second):
			must(0, fmt.Errorf("%s was not included", name))
		}
	}
}

func (c *client) events(block types.Hash) []string {
	reader := must(retriever.NewDefaultEventRetriever(state.NewEventProvider(c.api.RPC.State), c.api.RPC.State))
	names := []string{}
	for _, event := range must(reader.GetEvents(block)) {
		names = append(names, event.Name)
	}
	return names
}

func contains(names []string, wanted string) bool {
	for _, name := range names {
		if name == wanted {
			return true
		}
	}
	return false
}

func (c *client) number(pallet, item string, key []byte) uint32 {
	var value types.U32
	must(c.api.RPC.State.GetStorageLatest(must(types.CreateStorageKey(c.meta, pallet, item, key)), &value))
	return uint32(value)
}

func main() {
	url := os.Args[1]
	c := connect(url)
	say("connected", must(c.api.RPC.State.GetRuntimeVersionLatest()).SpecVersion)
	c.send("TfgridModule.user_accept_tc", "https://example.org/terms", "1a2b")
	names, _ := c.send("TfgridModule.create_twin", types.NewOptionBytesEmpty(), types.NewOptionBytesEmpty())
	say("twin", contains(names, "TfgridModule.TwinStored"))
	say("twin id", c.number("TfgridModule", "TwinIdByAccountID", c.user.PublicKey))
	names, _ = c.send("SmartContractModule.create_name_contract", "goname")
	var contract types.U64
	must(c.api.RPC.State.GetStorageLatest(
		must(types.CreateStorageKey(c.meta, "SmartContractModule", "ContractID")), &contract))
	say("contract", uint64(contract))
	if !contains(names, "SmartContractModule.ContractCreated") {
		must(0, fmt.Errorf("no ContractCreated in %v", names))
	}
	var byName types.U64
	encodedName := must(codec.Encode([]byte("goname")))
	must(c.api.RPC.State.GetStorageLatest(must(types.CreateStorageKey(
		c.meta, "SmartContractModule", "ContractIDByNameRegistration", encodedName)), &byName))
	if byName == contract {
		say("contract name", "goname")
	}
	names, block := c.send("SmartContractModule.cancel_contract", types.NewU64(999999))
	if contains(names, "System.ExtrinsicFailed") {
		say("module error", c.moduleError(block))
	}
	say("restart", nil)
	must(bufio.NewReader(os.Stdin).ReadString('\n'))
	c = connect(url) // this library has no reconnection of its own
	names, _ = c.send("SmartContractModule.cancel_contract", contract)
	say("cancelled", contains(names, "SmartContractModule.NameContractCanceled"))
	say("head", must(c.api.RPC.Chain.GetHeaderLatest()).Number > 0)
}

// moduleError is the name of the module error in a block.
func (c *client) moduleError(block types.Hash) string {
	reader := must(retriever.NewDefaultEventRetriever(state.NewEventProvider(c.api.RPC.State), c.api.RPC.State))
	for _, event := range must(reader.GetEvents(block)) {
		if event.Name != "System.ExtrinsicFailed" {
			continue
		}
		module, code, ok := findError(event.Fields)
		if !ok {
			return "no module error in the event"
		}
		return must(c.meta.FindError(module, code)).Name
	}
	return "no failed extrinsic in the block"
}

// findError looks for the pair (index of the pallet, error) in the decoded fields of an event.
func findError(fields registry.DecodedFields) (module types.U8, code [4]types.U8, ok bool) {
	var hasModule, hasCode bool
	for _, field := range fields {
		switch value := field.Value.(type) {
		case types.U8:
			module, hasModule = value, true
		case []any:
			if len(value) == len(code) {
				for i := range code {
					code[i], hasCode = value[i].(types.U8)
				}
			}
		case registry.DecodedFields:
			if module, code, ok = findError(value); ok {
				return module, code, ok
			}
		}
	}
	return module, code, hasModule && hasCode
}
