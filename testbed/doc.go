// Package testbed stands up what is measured: Kafka and the target.
//
//	StartKafka ─┬─ embedded  one child process with kfake          (weir child kafka)
//	            ├─ docker    Apache Kafka in containers, and a reaper that outlives weir (weir child reaper)
//	            └─ external  a cluster that is there already
//	StartTarget ─┬─ reference the gateway of this repository as a child process (weir gateway --child)
//	             ├─ command   any program, and a guard that outlives weir (weir child guard)
//	             ├─ node-ws, spring-boot, centrifugo: targets/NAME/target.yaml, unpacked and built once, then as a command
//	             ├─ container any image, or a folder that one is built from, and a reaper as above
//	             └─ external  a URL, probed once
//
// What listens at the port of a target that weir started must be of the target's own process tree. Target.Usage says what
// a target uses of the machine, whichever kind it is.
//
// It creates and deletes the topics of a run, watches what it started and tells when any of it dies unasked. It sends no
// load, measures no latency and reads no scenario.
//
// Nothing that it starts survives weir: children end when their standard input does and, on Linux, are killed by the
// kernel when weir dies; containers and networks are removed by the reaper within ten seconds of a kill −9. Of a program
// that is not weir's the kernel ends the first process alone: the guard ends its group and, on Linux, what carries the run's
// name in its environment.
//
// Every goroutine belongs to a Kafka or a Target and has ended when its Stop returns.
package testbed
