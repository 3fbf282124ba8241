// Package testkit is what the harness is tested with: a gateway that breaks its promises on order and counts exactly
// what it did, targets that are none, and an in-process Kafka. It measures nothing and judges nothing, knows of a stamp
// only the byte that tells data messages from markers, and is imported by tests alone.
//
// All that it starts ends with the test that started it: the cleanup waits for every goroutine.
package testkit
