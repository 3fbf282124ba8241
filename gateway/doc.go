// Package gateway passes Kafka records on to WebSocket clients, and what clients
// publish to Kafka: every topic it consumes is a channel, and so is every key in
// a topic, and patterns of keys. It speaks the protocol of docs/PROTOCOL.md and is
// the reference system under test of weir, but knows nothing of being measured: of
// this module it imports the settings alone.
//
//	Kafka → consumer → conflators → hub, batchers → queue of each client → writer of that client → socket
//	                                 ↑                          ↑ answers
//	      reader of each client (subscribe, …, publish → publisher → Kafka)
//
// One goroutine polls Kafka and fans each record out. The WebSocket frame of a
// record is built once and shared, unchanged, by all who receive it; a delivery
// is a pointer put into a client's queue. Each queue is bounded in bytes, and
// Config.SlowPolicy says what happens to a client that does not keep up; it
// never slows the others down. A writer takes what is waiting and writes it with
// one system call, so that frames coalesce under load and go out at once
// without.
//
// Delivery is live: a subscription begins at the moment of its acknowledgement and
// ends with the connection. A client that comes back and says where it was gets
// what it missed first: from recent records in memory, which share their frames
// with the fan-out, and, before those, from Kafka by single fetches. The last of
// it is queued in the moment in which its channels join, under the hub's lock.
// Elsewhere the lock is held for a few hundred records at most. Publishing waits for Kafka's
// acknowledgement without holding up the client's reader; its answers pass
// through the queue like all else.
//
// A handshake passes the limits on connections, the origin policy, the token
// (authenticator) and the permissions, in this order, before the connection is
// upgraded. A client that may have its records compressed shares their one
// compressed frame with the others that may.
//
// Ownership of goroutines: [Run] owns the HTTP server, the Kafka poller, the
// partition watcher, a goroutine for each conflated or batched topic, and the replayer, which
// owns one for each replay and one that tells positions. The hub owns the
// clients' goroutines, two for each (client.run reads, and waits for the writer
// that it starts), and Run waits for the hub. The Kafka clients' own goroutines,
// of which one answers what was published, end with their Close, which Run calls.
// Locks are taken in the order publishing, hub, queue; the latter two are not
// held during I/O, nor is the publisher's, under which no other is taken.
package gateway
