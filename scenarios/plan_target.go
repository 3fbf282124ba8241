package scenarios

import (
	"time"

	"github.com/weirbench/weir/internal/settings"
)

// TargetKind names what stands between Kafka and the clients.
type TargetKind string

// The targets.
const (
	TargetReference TargetKind = "reference" // weir's own gateway, as a child process
	TargetExternal  TargetKind = "external"  // a URL
	TargetCommand   TargetKind = "command"   // any program that weir starts
	TargetContainer TargetKind = "container" // any image, or a folder that one is built from

	// Those of targets/, which weir builds and starts.
	TargetNodeWS     TargetKind = "node-ws"
	TargetSpringBoot TargetKind = "spring-boot"
	TargetCentrifugo TargetKind = "centrifugo"
)

// GatewayPlan is the system under test.
type GatewayPlan struct {
	Target TargetKind `json:"target"`
	Listen string     `json:"listen,omitempty"` // reference only; port 0 picks a free one
	URL    string     `json:"url,omitempty"`    // external only, ws://host:port/path
	// Instances is how many of it are started, over which the clients are spread; 0 for one.
	Instances  int         `json:"instances,omitempty"`
	Profile    WireProfile `json:"profile"` // how to subscribe and what answers mean
	QueueBytes int64       `json:"queue_bytes,omitempty"`
	SlowPolicy string      `json:"slow_clients,omitempty"` // disconnect or drop-oldest
	// Conflate lists the topics of which only the newest value of each key is passed on at an interval. The reference
	// gateway is told so; of an external one it is what it declares. The audit judges by it either way.
	Conflate   []Conflation  `json:"conflate,omitempty"`
	Guarantees Guarantees    `json:"guarantees"`
	ReadyIn    time.Duration `json:"ready_in_ns"` // how long the target may take to become ready
	// BuildIn is how long it may take to make what is started there: the build of a target of targets/ or of an image, a
	// pull, and the wait for another run that builds the same. 0 for a target that needs none of it.
	BuildIn time.Duration `json:"build_in_ns,omitempty"`

	// Config is what else the reference gateway is told.
	Config settings.Gateway `json:"config,omitzero"`
	// Variant is which form of a target of targets/ is started: node-ws has naive and shared.
	Variant string `json:"variant,omitempty"`
	// Command is the program of the command target; Container that of the container target.
	Command   *CommandTarget   `json:"command,omitempty"`
	Container *ContainerTarget `json:"container,omitempty"`
	// Usage is where an external target's CPU and memory are read; nil is nowhere.
	Usage *UsageSource `json:"usage,omitempty"`
}

// CommandTarget is a program that weir starts, watches and stops. In Args, Env and Ready {port} stands for a free port that
// weir chose, {seeds} for the brokers (host:port,…), {topics} for the topics' names in Kafka (a,b), {run} for the run's
// name.
type CommandTarget struct {
	Args []string `json:"args"` // the program and its arguments; no shell
	Dir  string   `json:"dir,omitempty"`
	// Env is added to PATH, HOME, TMPDIR, LANG and what weir sets: PORT, KAFKA_SEEDS, KAFKA_TOPICS, WEIR_RUN.
	Env []EnvVar `json:"env,omitempty"`
	// URL is where clients connect, with {port}: ws://127.0.0.1:{port}/ws.
	URL   string `json:"url"`
	Ready Ready  `json:"ready"`
	// StopSignal is what asks it to end: SIGTERM by default, SIGINT, SIGQUIT or SIGHUP; StopIn is how long it may take
	// before it is killed, 10 s by default.
	StopSignal string        `json:"stop_signal,omitempty"`
	StopIn     time.Duration `json:"stop_in_ns,omitempty"`
}

// EnvVar is one variable of a target's environment. With Secret the value is the secret's.
type EnvVar struct {
	Name   string  `json:"name"`
	Value  string  `json:"value,omitempty"`
	Secret *Secret `json:"secret,omitempty"`
}

// Ready is how a started target says that it serves: one of a URL that answers 200, a port that is listened on by the
// target itself, or a line of its output that matches a regular expression. None of them: its WebSocket URL answers.
type Ready struct {
	URL  string `json:"url,omitempty"`
	Port bool   `json:"port,omitempty"`
	Log  string `json:"log,omitempty"`
}

// ContainerTarget is an image that weir starts, or builds and starts. The placeholders are those of a CommandTarget; {port}
// is Port, inside the container, and in URL and Ready.URL the port that it is published at on 127.0.0.1. {seeds} are
// addresses that the container reaches the brokers at.
type ContainerTarget struct {
	Image string   `json:"image,omitempty"`
	Build string   `json:"build,omitempty"` // a folder with a Dockerfile; one of Image and Build
	Args  []string `json:"args,omitempty"`  // the image's own command without them
	Env   []EnvVar `json:"env,omitempty"`
	Port  int      `json:"port"`
	URL   string   `json:"url"`
	Ready Ready    `json:"ready"`
	// HostNetwork gives the container this machine's network.
	HostNetwork bool          `json:"host_network,omitempty"`
	StopIn      time.Duration `json:"stop_in_ns,omitempty"`
}

// UsageSource is where an external target's use of the machine is read: from the processes with all that they started, or
// from a Prometheus page with process_cpu_seconds_total, process_resident_memory_bytes and process_open_fds.
type UsageSource struct {
	Pids    []int  `json:"pids,omitempty"`
	Metrics string `json:"metrics,omitempty"`
}

// Guarantees is what a target declares, and what the audit judges it by.
type Guarantees struct {
	Delivery string `json:"delivery"` // at-most-once or at-least-once; either forbids loss within a session
	Ordered  bool   `json:"ordered"`
	Sheds    bool   `json:"sheds"` // may drop under its slow-client policy, up to what it reports
	// Resumes: a client that comes back with its positions gets all that it missed; then absence excuses nothing.
	Resumes bool `json:"resumes,omitempty"`
}

// Conflation says that of a topic's records only the newest of each key is passed on, at most once in each interval.
type Conflation struct {
	Topic    string        `json:"topic"`
	Interval time.Duration `json:"interval_ns"`
}
