// Package gateway passes Kafka records on to WebSocket clients, and what clients
// publish to Kafka: every topic it consumes is a channel, and so is every key in
// a topic, and patterns of keys. It speaks the protocol of docs/PROTOCOL.md and is
// the reference system under test of weir, but knows nothing of being measured: of
// this module it imports the settings alone.
//
//	Kafka → consumer → conflators → hub, batchers → queue of each client → a writer → socket
//	                                 ↑                          ↑ answers
//	               a reader (subscribe, …, publish → publisher → Kafka)
//
// One goroutine polls Kafka and fans each record out. The WebSocket frame of a
// record is built once and shared, unchanged, by all who receive it; a delivery
// is a pointer put into a client's queue. Each queue is bounded in bytes, and
// Config.SlowPolicy says what happens to a client that does not keep up; it
// never slows the others down. A writer takes what is waiting and writes it with
// one system call, so that frames coalesce under load and go out at once
// without.
//
// On Linux clients that come without TLS are served by polls: a few pollers read and a few writers write for all of
// them, without a goroutine or a buffer for each; carriage is what the rest of the package knows of it. Other
// clients, and those for which a descriptor or an epoll instance has no room, have a goroutine that reads and one
// that writes. Both do the same, by the same queue, frameReader and handlers; client.read and client.write say what
// that is.
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
// Ownership of goroutines: [Run] owns the HTTP server, the Kafka poller, the partition watcher, a goroutine for each
// conflated or batched topic, and the replayer, which owns one for each replay and one that tells positions. Run owns
// the goroutines of polls too. The hub owns those of clients that polls does not serve, two for each (client.run
// reads, and waits for the writer that it starts); it counts the clients that polls serves as if they had one, which
// covers the goroutine of a request that waits, and Run waits for the hub. The Kafka clients' own goroutines, of
// which one answers what was published, end with their Close, which Run calls.
//
// Locks are taken in this order, whatever is left out between; those of one line are never held together:
//
//	groupMember.committing  what was committed to the group; held while Kafka answers
//	groupMember.mu          whether the member is settled, leaving or lacks partitions
//	consumer.taking         held while what a poll brought is published, so that who gives a partition up knows how far it got
//	consumer.mu, hub.publishing
//	hub.mu                  who is subscribed to what, the topics' logs, the batchers, and the rest of hub from mu on
//	queue.mu                what waits for one client
//	polled.mu               what a client of polls waits for: room in its socket, or a time
//	poller.mu, writers.mu   which clients a poller has and when to look at them; which of them are to be written for
//
// consumer.mu guards the partitions and how far each was read. hub.publishing is taken where topics are conflated or
// batched, whose intervals end in goroutines of their own: it guards the conflators and the pacer. It, and with it
// taking, may be held for as long as the pacer holds. hub.mu and queue.mu are held during no I/O, and while no batch
// is built. polled.mu is not taken under queue.mu, nor queue.mu under it; a queue that has something to write takes
// writers.mu.
//
// Under the others no lock is taken, and they are taken wherever they are needed: admission.mu (connections by address),
// publisher.mu (what clients have published and Kafka has not acknowledged), messageIDs.mu (ids of published messages),
// history.mu (stretches of topics that were read again), stretch.mu (messages of one), errorLog.mu (when an error was
// logged last), and batchFrame's two (which frame was built: whoever comes second waits for it). reloaded.mu (a value out
// of files) is held while the files are read; urlSource.fetching is held while a key set is fetched, and before
// urlSource.mu, which guards the set. topicHistory.turn and partitionHistory.turn are locks that can be given up on, held
// while Kafka answers, before history.mu. A batch is compressed by one of hub.deflaters, which is waited for under
// batchFrame's lock alone.
package gateway
