// Asks a node of the development grid with the unmodified Go NodeClient, over the grid's relay and chain.
// Prints one JSON object: for every function its value, or the text of its error.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	substrate "github.com/threefoldtech/tfchain/clients/tfchain-client-go"
	"github.com/threefoldtech/tfgrid-sdk-go/rmb-sdk-go/peer"
	"github.com/threefoldtech/zos/client"
)

type answer struct {
	Value any    `json:"value"`
	Error string `json:"error"`
}

func main() {
	relay, seed, chain := os.Args[1], os.Args[2], os.Args[3]
	twin, err := strconv.Atoi(os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 240*time.Second)
	defer cancel()
	manager := substrate.NewManager(chain)
	bus, err := peer.NewRpcClient(ctx, seed, manager,
		peer.WithRelay(relay), peer.WithSession("go-node"), peer.WithKeyType(peer.KeyTypeEd25519))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	node := client.NewNodeClient(uint32(twin), bus)
	answers := map[string]answer{}
	note := func(name string, value any, err error) {
		if err != nil {
			answers[name] = answer{Error: err.Error()}
		} else {
			answers[name] = answer{Value: value}
		}
	}
	version, err := node.SystemVersion(ctx)
	note("version", version, err)
	hypervisor, err := node.SystemHypervisor(ctx)
	note("hypervisor", hypervisor, err)
	counters, err := node.Counters(ctx)
	note("counters", counters, err)
	pools, err := node.Pools(ctx)
	note("pools", pools, err)
	ports, err := node.NetworkListWGPorts(ctx)
	note("ports", ports, err)
	ips, err := node.NetworkListPublicIPs(ctx)
	note("public ips", ips, err)
	private, err := node.NetworkListPrivateIPs(ctx, "nothing")
	note("private ips", private, err)
	six, err := node.HasPublicIPv6(ctx)
	note("ipv6", six, err)
	interfaces, err := node.NetworkListInterfaces(ctx)
	note("interfaces", interfaces, err)
	config, err := node.NetworkGetPublicConfig(ctx)
	note("public config", config, err)
	list, err := node.DeploymentList(ctx)
	note("deployments", len(list), err)
	_, err = node.DeploymentGet(ctx, 424242)
	note("get", nil, err)
	_, err = node.DeploymentChanges(ctx, 424242)
	note("changes", nil, err)
	note("delete", nil, node.DeploymentDelete(ctx, 424242))
	dmi, err := node.SystemDMI(ctx)
	note("dmi", dmi, err)
	gpus, err := node.GPUs(ctx)
	note("gpus", gpus, err)
	diagnostics, err := node.SystemDiagnostics(ctx)
	note("diagnostics", diagnostics, err)
	exit, err := node.NetworkGetPublicExitDevice(ctx)
	note("exit device", exit, err)
	note("set exit device", nil, node.NetworkSetPublicExitDevice(ctx, "eth9"))
	all, err := node.NetworkListAllInterfaces(ctx)
	note("all interfaces", all, err)
	note("at once", atOnce(ctx, node), nil)

	connection, err := manager.Substrate()
	note("chain", nil, err)
	owner, err := substrate.NewIdentityFromEd25519Phrase(seed)
	note("identity", nil, err)
	note("life", nil, life(ctx, node, connection, owner, 1, note))

	// Another session of the same twin, which takes the key from the chain: what follows is not encrypted.
	plain, err := peer.NewRpcClient(ctx, seed, manager, peer.WithRelay(relay), peer.WithSession("go-plain"),
		peer.WithKeyType(peer.KeyTypeEd25519), peer.WithEncryption(false))
	note("cleared its key", nil, err)
	if err == nil {
		number, _ := connection.GetTwinByPubKey(owner.PublicKey())
		found, err := connection.GetTwin(number)
		note("key on the chain", err == nil && found.Pk.IsSome(), err)
		version, err = client.NewNodeClient(uint32(twin), plain).SystemVersion(ctx)
		note("version without a key", version, err)
	}
	line, _ := json.Marshal(answers)
	fmt.Println(string(line))
}
