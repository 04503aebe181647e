package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	substrate "github.com/threefoldtech/tfchain/clients/tfchain-client-go"
	"github.com/threefoldtech/zos/client"
	"github.com/threefoldtech/zos/pkg/gridtypes"
	"github.com/threefoldtech/zos/pkg/gridtypes/zos"
)

const gib = gridtypes.Gigabyte

// disks is a deployment of one disk of so many GiB, signed by its owner.
func disks(twin uint32, version uint32, size gridtypes.Unit, owner substrate.Identity) (gridtypes.Deployment, string, error) {
	deployment := gridtypes.Deployment{
		Version: version,
		TwinID:  twin,
		Workloads: []gridtypes.Workload{{
			Version: version,
			Name:    "disk",
			Type:    zos.ZMountType,
			Data:    gridtypes.MustMarshal(zos.ZMount{Size: size * gib}),
		}},
		SignatureRequirement: gridtypes.SignatureRequirement{
			WeightRequired: 1,
			Requests:       []gridtypes.SignatureRequest{{TwinID: twin, Weight: 1}},
		},
	}
	hash, err := deployment.ChallengeHash()
	if err != nil {
		return deployment, "", err
	}
	return deployment, hex.EncodeToString(hash), deployment.Sign(twin, owner)
}

// settled waits until the disk has this size, and is well.
func settled(ctx context.Context, node *client.NodeClient, contract uint64, version uint32) (string, error) {
	for {
		found, err := node.DeploymentGet(ctx, contract)
		if err != nil {
			return "", err
		}
		result := found.Workloads[0].Result
		if found.Version == version && found.Workloads[0].Version == version &&
			(result.State == gridtypes.StateOk || result.State == gridtypes.StateError) {
			return string(result.State), nil
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// life deploys a disk, is refused what it may not, makes the disk larger, and cancels.
func life(ctx context.Context, node *client.NodeClient, chain *substrate.Substrate, owner substrate.Identity, nodeID uint32, note func(string, any, error)) error {
	twin, err := chain.GetTwinByPubKey(owner.PublicKey())
	if err != nil {
		return err
	}
	deployment, hash, err := disks(twin, 0, 1, owner)
	if err != nil {
		return err
	}
	if deployment.ContractID, err = chain.CreateNodeContract(owner, nodeID, "", hash, 0, nil); err != nil {
		return err
	}
	other, _, err := disks(twin, 0, 3, owner)
	if err != nil {
		return err
	}
	other.ContractID = deployment.ContractID
	note("deploy of another hash", nil, node.DeploymentDeploy(ctx, other))
	unsigned := deployment
	unsigned.SignatureRequirement.Signatures = nil
	note("deploy unsigned", nil, node.DeploymentDeploy(ctx, unsigned))
	if err = node.DeploymentDeploy(ctx, deployment); err != nil {
		return fmt.Errorf("deploy: %w", err)
	}
	state, err := settled(ctx, node, deployment.ContractID, 0)
	note("deployed", state, err)

	larger, hash, err := disks(twin, 1, 2, owner)
	if err != nil {
		return err
	}
	larger.ContractID = deployment.ContractID
	if _, err = chain.UpdateNodeContract(owner, deployment.ContractID, "", hash); err != nil {
		return err
	}
	if err = node.DeploymentUpdate(ctx, larger); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	state, err = settled(ctx, node, deployment.ContractID, 1)
	note("updated", state, err)
	changes, err := node.DeploymentChanges(ctx, deployment.ContractID)
	note("history", len(changes), err)

	if err = chain.CancelContract(owner, deployment.ContractID); err != nil {
		return err
	}
	for ctx.Err() == nil {
		_, err = node.DeploymentGet(ctx, deployment.ContractID)
		if err != nil && strings.Contains(err.Error(), "not found") {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	note("cancelled", err != nil, nil)
	return nil
}

// atOnce asks 20 times side by side; how many answers came.
func atOnce(ctx context.Context, node *client.NodeClient) int {
	var group sync.WaitGroup
	answers := make(chan string, 20)
	for i := 0; i < cap(answers); i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if version, err := node.SystemVersion(ctx); err == nil {
				answers <- version.ZOS
			}
		}()
	}
	group.Wait()
	return len(answers)
}
