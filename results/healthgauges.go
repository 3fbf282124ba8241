package results

// The names of the gauges that the generator's health is judged from beside those of a part's use. Those that end in
// _per_s are counts over the interval by its length, so that their time-weighted sum is a count again. What is of TCP is
// the kernel's for the whole network namespace, whoever's the connections are.
const (
	GaugeForeignCPU = "foreign_cpu_share"            // of all cores: used by processes that are neither weir's nor the pipeline's, and stolen by the host
	GaugeRunQueue   = "generator_run_queue_per_core" // the generator's threads that waited for a processor, on average, by the cores that it may use
	GaugePacingWait = "pacing_run_wait_share"        // of the interval, what the sending thread that waited longest for a processor did
	GaugeGCCount    = "generator_gc_count"           // collections in the interval
	// GaugeGCCPU and GaugeGoCPU are the Go runtime's own estimates, in cores: what the collector took, and all that was not
	// idle, the collector included. They are of the time between collections and come with one; without one both are 0. They
	// are to be set against each other alone (package runtime/metrics, /cpu/classes).
	GaugeGCCPU = "generator_gc_cpu_share"
	GaugeGoCPU = "generator_go_cpu_share"

	GaugeSegments    = "tcp_segments_per_s"
	GaugeRetransmits = "tcp_retransmits_per_s"
	// GaugeListenOverflows counts connections dropped since a listener's queue was full. Where GaugeListenDrops is missing it
	// counts those that a listener dropped for whatever reason.
	GaugeListenOverflows = "tcp_listen_overflows_per_s"
	GaugeListenDrops     = "tcp_listen_drops_per_s" // for whatever reason
	// GaugeFullReceiveBuffers counts windows closed and segments squeezed or dropped since a socket's receive buffer, or its
	// backlog, was full.
	GaugeFullReceiveBuffers = "tcp_full_receive_buffers_per_s"
)

// EventGC is a collection of the generator's garbage collector: Phase is the one that it ended in.
const EventGC EventKind = "gc"

// GCHealth is what the generator's garbage collector did while the load went on, and what kept it from doing more.
type GCHealth struct {
	// Bound is what bounds the collections: "memory limit" (weir's own), "GOGC", "GOMEMLIMIT" (the user's), or "heap growth"
	// where nothing was set for the load, which may say why behind a comma.
	Bound      string `json:"bound"`
	LimitBytes int64  `json:"limit_bytes"` // of the process's memory; 0 where Bound is none
	LiveBytes  int64  `json:"live_bytes"`  // of the heap, when the load began; 0 where it was not collected then
	// Of the measure phases. A collection stops the program twice: a pause is both together, the time until all threads had
	// stopped included.
	Measured             int64 `json:"measured_count"`
	MeasuredPauseMaxNS   int64 `json:"measured_pause_max_ns"`
	MeasuredPauseMaxAtNS int64 `json:"measured_pause_max_at_ns"` // Unix; 0 where there was none
}
