package testbed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
)

// DefaultImage is the container image of the docker provider where the plan names none.
const DefaultImage = "apache/kafka:4.3.1"

const (
	childReadyIn = 15 * time.Second // a child that isn't there by then is broken
	reachIn      = 10 * time.Second // for a cluster to answer
)

// Kafka is the brokers of a run. The zero value is not usable; StartKafka makes one, Stop ends it.
type Kafka struct {
	// Seeds are host:port addresses to begin with: every broker's, for those that weir started.
	Seeds []string
	// Description says what the brokers are: "embedded kfake, 3 brokers".
	Description string

	// ClientOpts is what a client needs beside the seeds: TLS and SASL. Empty for brokers that weir started.
	ClientOpts []kgo.Opt

	provider scenarios.KafkaProvider
	security kafkasec.Settings
	child    *process       // embedded only
	docker   *dockerCluster // docker only
	never    chan struct{}  // Done of an external cluster

	mu      sync.Mutex
	created []string // topics of this run, by their names in Kafka
}

// StartKafka starts the brokers of the plan, or for the external provider checks that they can be reached, and returns
// when they answer. ctx bounds the start alone; what runs afterwards is ended by Stop. On an error nothing is left
// running.
func StartKafka(ctx context.Context, plan scenarios.KafkaPlan, o Options) (*Kafka, error) {
	if plan.Security != nil && plan.Provider != scenarios.ProviderExternal {
		return nil, fmt.Errorf("start kafka: TLS and SASL are for an external cluster, not for provider %s (drop kafka.tls and kafka.sasl)", plan.Provider)
	}
	switch plan.Provider {
	case scenarios.ProviderEmbedded:
		return startEmbedded(ctx, plan, o)
	case scenarios.ProviderDocker:
		return startDocker(ctx, plan, o)
	case scenarios.ProviderExternal:
		return useExternal(ctx, plan)
	}
	return nil, fmt.Errorf("start kafka: provider %q is unknown (embedded, docker or external)", plan.Provider)
}

// startEmbedded starts the child process that runs kfake.
func startEmbedded(ctx context.Context, plan scenarios.KafkaPlan, o Options) (*Kafka, error) {
	var ready kafkaReady
	child, err := startProcess(ctx, processSpec{
		name:       "embedded kafka",
		executable: o.Executable,
		args:       []string{"child", "kafka", "--brokers", fmt.Sprint(plan.Brokers), "--run-id", o.RunID},
		logPath:    o.logPath("kafka"),
	}, childReadyIn, &ready)
	if err != nil {
		return nil, err
	}
	if !ready.Ready || len(ready.Seeds) != plan.Brokers {
		_ = child.kill()
		return nil, fmt.Errorf("start embedded kafka: it named %d brokers where %d were asked for", len(ready.Seeds), plan.Brokers)
	}
	return &Kafka{
		Seeds:       ready.Seeds,
		Description: "embedded kfake, " + count(plan.Brokers, "broker"),
		provider:    plan.Provider,
		child:       child,
	}, nil
}

// useExternal checks that the cluster answers, lets this user in, and that each of its brokers can be reached where it says that it is.
func useExternal(ctx context.Context, plan scenarios.KafkaPlan) (*Kafka, error) {
	if len(plan.Seeds) == 0 {
		return nil, errors.New("use external kafka: no seeds (set kafka.seeds to host:port addresses)")
	}
	security, err := SecuritySettings(plan.Security)
	if err != nil {
		return nil, fmt.Errorf("use external kafka: %w", err)
	}
	opts, err := security.Options()
	if err != nil {
		return nil, fmt.Errorf("use external kafka: %w", err)
	}
	a, err := newAdmin(plan.Seeds, security)
	if err != nil {
		return nil, fmt.Errorf("use external kafka: %w", err)
	}
	defer a.close()
	ctx, cancel := context.WithTimeout(ctx, reachIn)
	defer cancel()
	c, err := a.reach(ctx)
	if err != nil {
		return nil, fmt.Errorf("use external kafka: %w", err)
	}
	version, err := a.reachEach(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("use external kafka: %w", err)
	}
	description := fmt.Sprintf("external Kafka %s, %s", version, count(len(c.brokers), "broker"))
	if plan.Security != nil {
		description += ", " + security.String()
	}
	return &Kafka{
		Seeds:       plan.Seeds,
		Description: description,
		ClientOpts:  opts,
		provider:    plan.Provider,
		security:    security,
		never:       make(chan struct{}),
	}, nil
}

// Processes returns the pids whose resources can be read as the brokers': the child's, none for docker and external.
func (k *Kafka) Processes() []int {
	if k.child == nil {
		return nil
	}
	return []int{k.child.pid()}
}

// Pids returns the brokers' process ids: the one child of the embedded Kafka, the containers' main processes as the
// machine that Docker runs on numbers them (a virtual one with Docker Desktop), in the order of Seeds; none for an
// external cluster. For tests and faults.
func (k *Kafka) Pids() []int {
	if k.docker != nil {
		return k.docker.pids()
	}
	return k.Processes()
}

// Inside returns the network of the run that the brokers' containers are on, and their addresses there; both empty unless
// they are containers and Options.ContainerTarget was set.
func (k *Kafka) Inside() (network string, seeds []string) {
	if k.docker == nil {
		return "", nil
	}
	return k.docker.inside()
}

// Done is closed when a broker ended unasked, and never otherwise: not by Stop, Kill or for an external cluster.
func (k *Kafka) Done() <-chan struct{} {
	switch {
	case k.child != nil:
		return k.child.died
	case k.docker != nil:
		return k.docker.died
	}
	return k.never
}

// Err says which broker ended unasked, how, and its last lines; nil while Done is open.
func (k *Kafka) Err() error {
	switch {
	case k.child != nil:
		return k.child.Err()
	case k.docker != nil:
		return k.docker.Err()
	}
	return nil
}

// Stop ends the brokers that weir started and returns when they have gone: a few milliseconds for the embedded Kafka,
// about a second for containers, which are killed. The end of ctx turns the child's stop into a kill, too. Idempotent.
// Topics of an external cluster stay: see DeleteTopics.
func (k *Kafka) Stop(ctx context.Context) error {
	switch {
	case k.child != nil:
		return k.child.Stop(ctx)
	case k.docker != nil:
		return k.docker.Stop(ctx)
	}
	return nil
}

// Kill ends broker i, an index into Seeds, by SIGKILL and returns when it is dead. It is an order, so Done stays open.
// Docker only: the embedded brokers share one process, an external cluster is not weir's to break.
func (k *Kafka) Kill(i int) error {
	if k.docker == nil {
		return fmt.Errorf("kill broker %d: not possible with provider %s (use docker)", i, k.provider)
	}
	return k.docker.kill(i)
}

// count is "1 broker", "3 brokers".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
