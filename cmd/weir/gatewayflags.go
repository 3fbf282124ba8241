package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/gateway"
	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
)

// gatewayFlags are the flags of weir gateway.
type gatewayFlags struct {
	file                           string
	sets                           []string
	listen, instanceID, policy     string
	brokers, topics, publishTopics []string
	conflate, origins              []string
	queueBytes, maxInFlight        int
	publishLinger, drainTimeout    time.Duration
	security                       kafkaFlags
	child, verbose                 bool
}

// defaultGatewayListen is where a gateway listens that neither a flag nor a file tells.
const defaultGatewayListen = "127.0.0.1:8080"

func (g *gatewayFlags) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.file, "config", "", "YAML `FILE` that says what is served and how (docs/GATEWAY.md); flags win over it")
	f.StringArrayVar(&g.sets, "set", nil, "override a value of the file, `PATH=VALUE`: limits.connections=5000; may be repeated")
	f.StringVar(&g.listen, "listen", defaultGatewayListen, "address to listen on; port 0 picks a free one")
	f.StringSliceVar(&g.brokers, "brokers", nil, "Kafka bootstrap addresses, host:port")
	f.StringSliceVar(&g.topics, "topics", nil, "topics to serve")
	f.StringSliceVar(&g.conflate, "conflate", nil, "pass on only the newest record of each key of a topic, at an interval: TOPIC=INTERVAL; may be repeated")
	f.StringSliceVar(&g.publishTopics, "publish", nil, "topic that clients may publish to; may be repeated (default none)")
	f.IntVar(&g.maxInFlight, "max-in-flight", 0, "bound of one client's publish messages without an answer (default 256)")
	f.DurationVar(&g.publishLinger, "publish-linger", 0, "how long a published record waits for others to go with it (default 0s)")
	f.StringSliceVar(&g.origins, "allow-origin", nil, "browser origins that may connect besides the gateway's own")
	f.IntVar(&g.queueBytes, "queue-bytes", 0, "bound of one client's queue, bytes (default 1 MiB)")
	f.StringVar(&g.policy, "slow-clients", string(gateway.SlowDisconnect), "what happens when a queue is full: disconnect or drop-oldest")
	f.DurationVar(&g.drainTimeout, "drain-timeout", 0, "how long queues are written out at shutdown (default 10s)")
	f.StringVar(&g.instanceID, "instance-id", "", "name of this instance, echoed by /readyz and to clients")
	g.security.define(cmd)
	f.BoolVar(&g.verbose, "verbose", false, "log what happens and not only what goes wrong")
	f.BoolVar(&g.child, "child", false, "write a ready line to standard output and end when standard input ends")
	if err := f.MarkHidden("child"); err != nil {
		panic(err) // the flag is defined in the line above
	}
}

// config is what the file says, the flags that are given above it. Mistakes in either are the user's.
func (g *gatewayFlags) config(cmd *cobra.Command) (gateway.Config, kafkasec.Settings, error) {
	file, err := g.load(cmd)
	if err != nil {
		return gateway.Config{}, kafkasec.Settings{}, err
	}
	cfg := configOf(file)
	if err := g.over(cmd, &cfg); err != nil {
		return cfg, kafkasec.Settings{}, usage(err)
	}
	if err := cfg.WithDefaults().Validate(); err != nil {
		return cfg, kafkasec.Settings{}, usage(err)
	}
	secured, err := g.security.settings(file.Security)
	if err != nil {
		return cfg, secured, usage(err)
	}
	if cfg.KafkaOpts, err = secured.Options(); err != nil {
		return cfg, secured, fmt.Errorf("reach Kafka: %w", err)
	}
	return cfg, secured, nil
}

// load reads the file, if one is named.
func (g *gatewayFlags) load(cmd *cobra.Command) (scenarios.GatewayFile, error) {
	if err := checkGiven(cmd, "config", "FILE"); err != nil {
		return scenarios.GatewayFile{}, err
	}
	if g.file == "" {
		if len(g.sets) > 0 {
			return scenarios.GatewayFile{}, usagef("--set overrides values of a file, and none is named (add --config FILE)")
		}
		return scenarios.GatewayFile{}, nil
	}
	return scenarios.LoadGatewayFile(g.file, scenarios.Options{Sets: g.sets, Env: os.Environ()})
}

// configOf is the gateway's configuration as the file says it.
func configOf(file scenarios.GatewayFile) gateway.Config {
	cfg := gateway.Config{
		Gateway:       file.Settings,
		Listen:        file.Listen,
		InstanceID:    file.InstanceID,
		Brokers:       file.Brokers,
		Topics:        file.Topics,
		PublishTopics: file.PublishTopics,
		QueueBytes:    int(file.QueueBytes),
		SlowPolicy:    gateway.SlowPolicy(file.SlowPolicy),
	}
	if cfg.Listen == "" {
		cfg.Listen = defaultGatewayListen
	}
	for _, c := range file.Conflate {
		cfg.Conflate = append(cfg.Conflate, gateway.Conflation{Topic: c.Topic, Interval: c.Interval})
	}
	return cfg
}

// over puts the flags that are given in the place of what the configuration has.
func (g *gatewayFlags) over(cmd *cobra.Command, cfg *gateway.Config) error {
	f := cmd.Flags()
	put(f.Changed("listen"), &cfg.Listen, g.listen)
	put(f.Changed("brokers"), &cfg.Brokers, g.brokers)
	put(f.Changed("topics"), &cfg.Topics, g.topics)
	put(f.Changed("publish"), &cfg.PublishTopics, g.publishTopics)
	put(f.Changed("max-in-flight"), &cfg.Publish.MaxInFlight, g.maxInFlight)
	put(f.Changed("publish-linger"), &cfg.Publish.Linger, g.publishLinger)
	put(f.Changed("allow-origin"), &cfg.Origins.Allow, g.origins)
	put(f.Changed("queue-bytes"), &cfg.QueueBytes, g.queueBytes)
	put(f.Changed("slow-clients"), &cfg.SlowPolicy, gateway.SlowPolicy(g.policy))
	put(f.Changed("drain-timeout"), &cfg.Timeouts.Drain, g.drainTimeout)
	put(f.Changed("instance-id"), &cfg.InstanceID, g.instanceID)
	if !f.Changed("conflate") {
		return nil
	}
	cfg.Conflate = nil
	for _, c := range g.conflate {
		conflation, err := gateway.ParseConflation(c)
		if err != nil {
			return fmt.Errorf("--conflate: %w", err)
		}
		cfg.Conflate = append(cfg.Conflate, conflation)
	}
	return nil
}

// put sets a field where a flag is given.
func put[T any](given bool, field *T, value T) {
	if given {
		*field = value
	}
}
