package testbed

import (
	"context"
	"fmt"
	"time"

	"github.com/weirbench/weir/scenarios"
)

const defaultReadyIn = 30 * time.Second // where the plan says nothing

// Target is the system under test. The zero value is not usable; StartTarget makes one, Stop ends it.
type Target struct {
	// URL is where clients connect, ws:// or wss://.
	URL string
	// Further are those of the other instances, where there are several.
	Further []string
	// Description says what the target is: "reference gateway", "external ws://127.0.0.1:8080/ws".
	Description string

	part   running       // nil for an external target
	procs  *processes    // whose use is the target's; nil where they are not known
	meter  *meter        // where that, or with procs what they don't tell, is read elsewhere; nil for nowhere
	stopIn time.Duration // how long an orderly end may take
	never  chan struct{} // Done of an external target
	// instances are the targets that this one consists of, where there are several; part is then all of them.
	instances []*Target
}

// running is a target that weir started.
type running interface {
	Done() <-chan struct{}
	Err() error
	Stop(ctx context.Context) error
}

// StartTarget starts the plan's target against the brokers at seeds, or checks that it is there, and returns when it is
// ready. topics, and those of plan.Conflate, are names in Kafka. ctx bounds the start alone. On an error nothing is left running.
func StartTarget(ctx context.Context, plan scenarios.GatewayPlan, seeds []string, topics []string, o Options) (*Target, error) {
	if plan.ReadyIn <= 0 {
		plan.ReadyIn = defaultReadyIn
	}
	switch plan.Target {
	case scenarios.TargetReference:
		return startInstances(ctx, plan.InstanceCount(), o, func(ctx context.Context, own Options) (*Target, error) {
			return startReference(ctx, plan, seeds, topics, own)
		})
	case scenarios.TargetExternal:
		return useTarget(ctx, plan, o)
	case scenarios.TargetCommand:
		return startInstances(ctx, plan.InstanceCount(), o, func(ctx context.Context, own Options) (*Target, error) {
			return startCommand(ctx, &plan, describeCommand(plan.Command), nil, seeds, topics, own)
		})
	case scenarios.TargetContainer:
		return startContainer(ctx, &plan, describeContainer(plan.Container), nil, seeds, topics, o)
	case scenarios.TargetNodeWS, scenarios.TargetSpringBoot, scenarios.TargetCentrifugo:
		return startBuilt(ctx, plan, seeds, topics, o)
	}
	return nil, fmt.Errorf("start target: %q is unknown (reference, node-ws, spring-boot, centrifugo, command, container or external)", plan.Target)
}

// useTarget checks that a WebSocket endpoint answers at the plan's URL.
func useTarget(ctx context.Context, plan scenarios.GatewayPlan, o Options) (*Target, error) {
	w := &plan.Profile
	trust, err := trustOf(w.TLS)
	if err != nil {
		return nil, err
	}
	if err := probe(ctx, plan.URL, plan.ReadyIn, o.AllowTargets, isBare(w), trust); err != nil {
		return nil, fmt.Errorf("use target %s: %w", plan.URL, err)
	}
	t := &Target{URL: plan.URL, Description: "external " + plan.URL, never: make(chan struct{})}
	if u := plan.Usage; u != nil {
		if err := t.use(ctx, plan.URL, u, trust, o); err != nil {
			return nil, fmt.Errorf("use target %s: %w", plan.URL, err)
		}
	}
	return t, nil
}

// Processes returns the pids whose resources are read as the target's, each with all that it started: none for a target
// whose use is read elsewhere, or nowhere. For tests and faults.
func (t *Target) Processes() (pids []int) {
	for _, one := range t.instances {
		pids = append(pids, one.Processes()...)
	}
	if t.procs == nil {
		return pids
	}
	return t.procs.pids()
}

// Done is closed when the target ended unasked, and never otherwise: not by Stop nor for an external target.
func (t *Target) Done() <-chan struct{} {
	if t.part == nil {
		return t.never
	}
	return t.part.Done()
}

// Err says how the target ended unasked, with its last lines; nil while Done is open.
func (t *Target) Err() error {
	if t.part == nil {
		return nil
	}
	return t.part.Err()
}

// StopIn is how long an orderly Stop may take; 0 where that is the caller's matter.
func (t *Target) StopIn() time.Duration { return t.stopIn }

// Stop ends a target that weir started and returns when it has gone; an external one is left alone. The end of ctx turns
// it into a kill. Idempotent.
func (t *Target) Stop(ctx context.Context) error {
	if t.meter != nil {
		t.meter.close()
	}
	if t.part == nil {
		return nil
	}
	return t.part.Stop(ctx)
}
