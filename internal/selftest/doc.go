// Package selftest measures the null target: with faults planted, to say whether weir reads them back on this machine, and
// with none, to say what this machine's figures can't be better than (its floor) and how much it carries (its ceiling).
//
// Every check is a run of its own, made as weir run makes one: the embedded Kafka and the target are child processes, and
// what is judged is the run's summary and its intervals. What was planted is arithmetic on the Work; nothing is taken from
// what the target says. The package starts no goroutines.
package selftest
