// Package nulltarget is the least gateway there can be: it reads the run's topics, each by direct assignment from its end,
// and writes every record to the clients that follow it, in the wire form of docs/PROTOCOL.md as far as weir's own clients
// use it: hello, subscribe, subscribed, records, publish, published. What it does wrong it does on purpose, as its Faults
// say, and so that it can be computed: which record of a client is lost, doubled or swapped, how long each is held back, how
// many deliveries a second pass, and when nothing does.
//
// It is what weir is measured with, and shares no code with who measures. It is no gateway to be used: it has no queue for
// a slow client, and a client that does not read holds up the others of its shard until the write fails.
//
// Serve owns all goroutines and returns after they have ended, the HTTP server's connections included.
package nulltarget
