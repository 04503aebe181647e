// The life of a twin with the unmodified Go chain client.  Prints one JSON object for each step.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	substrate "github.com/threefoldtech/tfchain/clients/tfchain-client-go"
)

func say(step string, value any) {
	line, _ := json.Marshal(map[string]any{"step": step, "value": value})
	fmt.Println(string(line))
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	user := must(substrate.NewIdentityFromSr25519Phrase("//Dave"))
	manager := substrate.NewManager(os.Args[1])
	chain := must(manager.Substrate())
	connection, _, err := chain.GetClient()
	check(err)
	say("connected", must(connection.RPC.State.GetRuntimeVersionLatest()).SpecVersion)

	check(chain.AcceptTermsAndConditions(user, "https://example.org/terms", "1a2b"))
	twin := must(chain.CreateTwin(user, "relay.example.org", nil))
	say("twin", must(chain.GetTwin(twin)).Account.String() == user.Address())
	say("twin id", must(chain.GetTwinByPubKey(user.PublicKey())))

	contract := must(chain.CreateNameContract(user, "gotfname"))
	say("contract", contract)
	say("contract name", must(chain.GetContract(contract)).ContractType.NameContract.Name)
	// The client tells the runtime's error by its own compiled-in name.
	err = chain.CancelContract(user, 999999)
	words := strings.Fields(fmt.Sprint(err))
	say("module error", words[len(words)-1])

	check(chain.KVStoreSet(user, "colour", "green"))
	say("kept", string(must(chain.KVStoreGet(user, "colour"))))
	batch := []substrate.BatchCreateContractData{{Name: "gotffirst"}, {Name: "gotfsecond"}}
	say("together", must(chain.BatchAllCreateContract(user, batch)))
	height := must(chain.GetCurrentHeight())
	records := must(chain.GetEventsForBlock(height))
	say("events", len(records.SmartContractModule_ContractCreated))

	say("restart", nil)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	check(chain.CancelContract(user, contract))
	_, err = chain.GetContract(contract)
	say("cancelled", err == substrate.ErrNotFound || strings.Contains(fmt.Sprint(err), "not found"))
	say("head", must(chain.GetCurrentHeight()) > 0)
}
