package scenarios

import "slices"

// The part of the language that describes what weir starts, or finds, between Kafka and the clients.

// kinds lists the targets, and ready those of targets/.
var (
	readyTargets = []string{string(TargetNodeWS), string(TargetSpringBoot), string(TargetCentrifugo)}
	targetKinds  = append([]string{string(TargetReference), string(TargetExternal), string(TargetCommand), string(TargetContainer)}, readyTargets...)
	profileNames = append([]string{"reference", "bare"}, readyTargets...)
)

// isReady says whether a target is one of targets/.
func (k TargetKind) isReady() bool { return slices.Contains(readyTargets, string(k)) }

// isMade says whether weir builds or pulls what it starts.
func (k TargetKind) isMade() bool { return k == TargetContainer || k.isReady() }

// The placeholders of what a started target is told.
const aboutPlaceholders = "{port} stands for a free port, {seeds} for the brokers (host:port,…), {topics} for the topics' names in Kafka (a,b), " +
	"{run} for the run's name"

var commandShape = &shape{
	name: "command",
	about: "A program that weir starts, watches and stops. In args, env and ready " + aboutPlaceholders + "; the same stand in the variables " +
		"PORT, KAFKA_SEEDS, KAFKA_TOPICS and WEIR_RUN. It gets no other variables of weir's own but PATH, HOME, TMPDIR and LANG.",
	keys: []key{
		{name: "args", about: "The program and its arguments; no shell reads them.", kind: kindList, item: &key{want: "a text", example: "node"},
			required: true, example: `[node, server.js, "--port={port}"]`},
		{name: "dir", about: "Its working directory, relative to the scenario's file.", want: "a folder's path", depends: "weir's own", example: "my-gateway"},
		envKey,
		{name: "url", about: "Where clients connect, with {port}.", want: "a URL such as ws://127.0.0.1:{port}/ws", form: "^wss?://", required: true,
			example: "'ws://127.0.0.1:{port}/ws'"},
		readyKey,
		{name: "stop_signal", about: "What asks it to end.", kind: kindWord, words: []string{"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"},
			fallback: defaultStopSignal, example: "SIGINT"},
		stopInKey,
	},
}

var containerShape = &shape{
	name: "container",
	about: "A container that weir starts, watches and removes, of an image or of a folder to build one from. In args, env and ready " +
		aboutPlaceholders + ". {port} is port inside the container, and in url and ready.url the one that it is published at on 127.0.0.1.",
	keys: []key{
		{name: "image", about: "The image. Either this or build.", want: "an image such as my-gateway:1.0", depends: "none", example: "my-gateway:1.0"},
		{name: "build", about: "A folder with a Dockerfile, relative to the scenario's file. Either this or image.", want: "a folder's path", depends: "none",
			example: "my-gateway"},
		{name: "args", about: "What the container runs, in place of its image's own command.", kind: kindList, item: &key{want: "a text", example: "serve"},
			depends: "the image's own", example: `[serve, "--port={port}"]`},
		envKey,
		{name: "port", about: "The port inside the container that clients connect to.", kind: kindInt, low: 1, high: 65535, required: true, example: "8080"},
		{name: "url", about: "Where clients connect, with {port}.", want: "a URL such as ws://127.0.0.1:{port}/ws", form: "^wss?://", required: true,
			example: "'ws://127.0.0.1:{port}/ws'"},
		readyKey,
		{name: "host_network", about: "Whether the container has this machine's network, which Linux knows: {port} is then port everywhere.", kind: kindBool,
			fallback: "false", example: "true"},
		stopInKey,
	},
}

var envKey = key{name: "env", about: "Variables of its environment.", kind: kindMapping, shape: targetEnvShape, depends: "none",
	example: "{BROKERS: '{seeds}', API_KEY: {env: MY_API_KEY}}"}

var targetEnvShape = &shape{
	name:   "target_env",
	secret: true,
	about:  "The variables' names and values. One that looks like a secret is named by {env: NAME} or {file: PATH}.",
	called: "a variable's name",
	each:   &key{about: "The value.", want: "a text", example: "'{seeds}'", or: []key{{kind: kindMapping, shape: secretShape}}},
}

var readyKey = key{name: "ready", about: "How it says that it serves.", kind: kindMapping, shape: readyShape, depends: "its WebSocket URL answers",
	example: "{log: 'listening on'}"}

var stopInKey = key{name: "stop_in", about: "How long it may take to end before it is killed.", kind: kindDuration, low: 0, high: 600 * second,
	fallback: "10s", example: "30s"}

var readyShape = &shape{
	name: "ready", about: "How a target says that it serves.", choice: true, keys: []key{
		{name: "log", about: "A line of its output matches this regular expression (RE2).", want: "a regular expression", example: "listening on"},
		{name: "url", about: "This URL answers 200.", want: "a URL such as http://127.0.0.1:{port}/health", form: "^https?://",
			example: "'http://127.0.0.1:{port}/health'"},
		{name: "port", about: "The target itself listens on {port}.", kind: kindBool, example: "true"},
	},
}

var usageShape = &shape{
	name: "usage", about: "Where an external target's use of the machine is read.", choice: true, keys: []key{
		{name: "pids", about: "Its processes on this machine, each with all that it started.", kind: kindList,
			item: &key{kind: kindInt, low: 1, high: 1 << 22, example: "4711"}, example: "[4711]"},
		{name: "metrics", about: "A Prometheus page with process_cpu_seconds_total, process_resident_memory_bytes and process_open_fds.",
			want: "a URL such as http://127.0.0.1:9090/metrics", form: "^https?://", example: "http://127.0.0.1:9090/metrics"},
	},
}
