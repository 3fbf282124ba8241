// Package scenarios is the YAML language of weir and what it resolves to.
//
// Load parses a scenario strictly and reports every mistake at once, each with its place and the mend. Resolve fills in
// every default and returns a Plan, which is plain data. The package also carries the library of scenarios, embedded.
// It starts no goroutine, opens no connection and reads no clock.
//
// # The way
//
// The text is bounded before it is parsed (tree.go), parsed by yaml.v3 into a tree with its aliases written out, changed
// by the --set flags (set.go), decoded with the place of every value (decode.go, sections.go), filled in (defaults.go)
// and checked for what its parts have to do with each other (resolve.go). Where the form is wrong already, the last two
// are done too, for what they find, so that all mistakes come at once.
//
// # The language, version 1
//
//	version: 1                              # required, as are the other keys marked with *
//	name: quickstart                        # * a–z, 0–9 and -, as all names but topics'
//	description: text
//	seed: 1
//	kafka:                                  # *
//	  provider: embedded                    # embedded, docker, external
//	  brokers: 3                            # embedded 3, docker 1; not for external
//	  seeds: ["127.0.0.1:9092"]             # external only, and required there
//	  image: apache/kafka:4.3.1             # docker only
//	  final_read: true
//	  isolation: read_committed             # or read_uncommitted
//	  topics:                               # *
//	    - name: prices                      # *
//	      partitions: 6                     # required for existing topics
//	      replication: 3                    # 3, or the number of brokers; external 1
//	      min_isr: 2                        # 2 of 3 replicas and more, else 1
//	      existing: false                   # external only: used as it is
//	      retention: 64MiB                  # embedded only, a partition
//	gateway:
//	  target: reference                     # or external
//	  listen: 127.0.0.1:0                   # reference only
//	  url: ws://host:port/path              # external only, and required there
//	  profile: reference                    # reference, bare; an external target's is bare
//	  queue: 1MiB                           # reference only
//	  slow_clients: disconnect              # reference only; or drop-oldest
//	  guarantees: {delivery: at-most-once, ordered: true, sheds: false}   # sheds: true for drop-oldest
//	  ready_in: 30s
//	producers:                              # *
//	  - name: feed                          # *
//	    topic: prices                       # *
//	    rate: 1000/s                        # *
//	    arrivals: constant                  # or poisson
//	    size: 256B                          # or {uniform: {min: 256B, max: 4KiB}}
//	    keys: none                          # or {kind: round-robin | uniform | zipf, count: 50, skew: 1}
//	    acks: all                           # leader, none
//	    linger: 0s
//	    compression: none                   # gzip, snappy, lz4, zstd
//	    stall: 30s
//	clients:                                # *
//	  - name: viewers                       # *
//	    count: 500                          # *
//	    connect_rate: 500/s
//	    subscribe: {topic: prices, keys: all}   # * topic; keys: one, or a number
//	    reconnect: true
//	phases:                                 # *
//	  connect: {deadline: 30s}              # or 10 s more than connecting takes at the groups' rates
//	  join: {deadline: 15s}
//	  warm-up: 2s                           # 10s for the docker provider, whose brokers have just started
//	  measure:                              # *
//	    - {name: steady, duration: 20s, rates: {feed: 2000/s}}   # * name, duration
//	  drain: {deadline: 10s}
//	thresholds:
//	  - e2e.p99 < 50ms
//	  - {check: "audit.lost == 0", abort: true}
//
// The top-level keys hops and faults are reserved.
//
// A rate is a number, k or M if need be, and /ms, /s, /m or /h; a size has B, KiB, MiB, GiB, KB, MB or GB; a duration
// is Go's. For thresholds see [ParseThreshold].
//
// # Overrides
//
// A set is path=value, where the path goes through keys, and through lists by index or by name, and the value is YAML:
// producers.feed.rate=2000/s, kafka.topics.0={name: prices, partitions: 12}. Where a list is wanted a text is one, split
// at its commas: kafka.seeds=a:9092,b:9092. The value null takes a key out, so that its default holds.
package scenarios
