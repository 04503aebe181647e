// Asks a node with the unmodified Go client of 2022, over the Redis of a local peer of generation 1.
// Arguments: Redis, the node's twin.  Prints one JSON object: for every function its value, or the text of its error.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/threefoldtech/zos/client"
	"github.com/threefoldtech/zos/pkg/rmb"
)

type answer struct {
	Value interface{} `json:"value"`
	Error string      `json:"error"`
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	bus, err := rmb.NewClient(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	twin, err := strconv.ParseUint(os.Args[2], 10, 32)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	node := client.NewNodeClient(uint32(twin), bus)
	answers := map[string]answer{}
	note := func(name string, value interface{}, err error) {
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
	total, used, err := node.Counters(ctx)
	note("total", total, err)
	note("used", used, err)
	ports, err := node.NetworkListWGPorts(ctx)
	note("ports", ports, err)
	ips, err := node.NetworkListPublicIPs(ctx)
	note("public ips", ips, err)
	six, err := node.HasPublicIPv6(ctx)
	note("ipv6", six, err)
	interfaces, err := node.NetworkListInterfaces(ctx)
	note("interfaces", len(interfaces) > 0, err)
	_, err = node.DeploymentGet(ctx, 424242)
	note("get", nil, err)
	var nothing interface{}
	note("unknown", nil, bus.Call(ctx, uint32(twin), "zos.nothing.like.it", nil, &nothing))

	var group sync.WaitGroup
	var lock sync.Mutex
	good := 0
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if found, err := node.SystemVersion(ctx); err == nil && found.ZOS == version.ZOS {
				lock.Lock()
				good++
				lock.Unlock()
			}
		}()
	}
	group.Wait()
	note("at once", good, nil)
	line, _ := json.Marshal(answers)
	fmt.Println(string(line))
}
