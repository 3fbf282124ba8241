// Package loadgen drives a pipeline and accounts for every message of it: paced producers, WebSocket clients, the
// observer, the delivery audit, the collector of intervals, and the generator's own health.
//
// It does not stand anything up, judge anything or write files: an [Engine] is given addresses and hands intervals to a
// function. It knows a gateway only by what travels on the wire. The engine owns every goroutine; each of its verbs
// returns after the goroutines it started, except for those that [Engine.Close] ends and waits for.
package loadgen
