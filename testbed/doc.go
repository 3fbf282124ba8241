// Package testbed stands up what is measured: Kafka and the target.
//
//	StartKafka ─┬─ embedded  one child process with kfake          (weir child kafka)
//	            ├─ docker    Apache Kafka in containers, and a reaper that outlives weir (weir child reaper)
//	            └─ external  a cluster that is there already
//	StartTarget ─┬─ reference the gateway of this repository as a child process (weir gateway --child)
//	             └─ external  a URL, probed once
//
// It creates and deletes the topics of a run, watches what it started and tells when any of it dies unasked. It sends no
// load, measures no latency and reads no scenario.
//
// Nothing that it starts survives weir: children end when their standard input does and, on Linux, are killed by the
// kernel when weir dies; containers and networks are removed by the reaper within ten seconds of a kill −9.
//
// Every goroutine belongs to a Kafka or a Target and has ended when its Stop returns.
package testbed
