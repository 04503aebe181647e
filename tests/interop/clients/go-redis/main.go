// A service and a client with the unmodified Go SDK, each on the Redis of a peer.  Prints one JSON object for each step.
// Arguments: Redis of the service, its twin, Redis of the client.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/threefoldtech/tfgrid-sdk-go/rmb-sdk-go"
)

func say(step string, value any) {
	line, _ := json.Marshal(map[string]any{"step": step, "value": value})
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	twin, err := strconv.ParseUint(os.Args[2], 10, 32)
	check(err)

	router, err := rmb.NewRouter(os.Args[1])
	check(err)
	calculator := router.Subroute("calculator")
	calculator.WithHandler("add", func(ctx context.Context, payload []byte) (interface{}, error) {
		var numbers []float64
		if err := json.Unmarshal(payload, &numbers); err != nil {
			return nil, err
		}
		return numbers[0] + numbers[1], nil
	})
	calculator.WithHandler("who", func(ctx context.Context, payload []byte) (interface{}, error) {
		return rmb.GetTwinID(ctx), nil
	})
	calculator.WithHandler("refuse", func(ctx context.Context, payload []byte) (interface{}, error) {
		return nil, fmt.Errorf("not today")
	})
	go func() { _ = router.Run(ctx) }()

	client, err := rmb.NewRMBClient(os.Args[3])
	check(err)
	call := func(command string, data any) (result float64, err error) {
		err = client.Call(ctx, uint32(twin), command, data, &result)
		return
	}
	sum, err := call("calculator.add", []float64{20, 22})
	check(err)
	say("sum", sum)
	who, err := call("calculator.who", nil)
	check(err)
	say("caller", who)
	_, err = call("calculator.refuse", nil)
	say("refused", fmt.Sprint(err))

	var group sync.WaitGroup
	answers := make(chan float64, 20)
	for number := 0; number < cap(answers); number++ {
		group.Add(1)
		go func(number float64) {
			defer group.Done()
			if sum, err := call("calculator.add", []float64{number, 1}); err == nil && sum == number+1 {
				answers <- sum
			}
		}(float64(number))
	}
	group.Wait()
	say("at once", len(answers))
}
