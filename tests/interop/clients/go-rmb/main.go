// Calls a service behind our peer with the unmodified Go SDK of the message bus, over our relay and chain.
// Prints one JSON object for each step.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	substrate "github.com/threefoldtech/tfchain/clients/tfchain-client-go"
	"github.com/threefoldtech/tfgrid-sdk-go/rmb-sdk-go/peer"
)

const service = 1

func say(step string, value any) {
	line, _ := json.Marshal(map[string]any{"step": step, "value": value})
	fmt.Println(string(line))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func main() {
	chain, relay, seed := os.Args[3], os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	client, err := peer.NewRpcClient(
		ctx, seed, substrate.NewManager(chain),
		peer.WithRelay(relay), peer.WithSession("go"), peer.WithKeyType(peer.KeyTypeEd25519))
	if err != nil {
		fail(err)
	}
	add := func(a, b int) (sum int, err error) {
		calling, done := context.WithTimeout(ctx, 60*time.Second)
		defer done()
		err = client.Call(calling, service, "zos.add", []int{a, b}, &sum)
		return sum, err
	}
	sum, err := add(20, 22)
	if err != nil {
		fail(err)
	}
	say("sum", sum)

	var group sync.WaitGroup
	var lock sync.Mutex
	right := 0
	for n := 0; n < 20; n++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			if sum, err := add(n, 1); err == nil && sum == n+1 {
				lock.Lock()
				right++
				lock.Unlock()
			}
		}(n)
	}
	group.Wait()
	say("at once", right)
	say("refused", text(client.Call(ctx, service, "zos.refuse", nil, nil)))
	say("unknown", text(client.Call(ctx, service, "zos.nothing", nil, nil)))
	say("nobody", text(client.Call(ctx, 99, "zos.add", nil, nil)) != "")

	say("restart", nil)
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		fail(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for {
		calling, done := context.WithTimeout(ctx, 5*time.Second)
		err = client.Call(calling, service, "zos.add", []int{2, 3}, &sum)
		done()
		if err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		fail(err)
	}
	say("after the relay was killed", sum)
}
