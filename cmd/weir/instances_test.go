package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirbench/weir/report"
)

// ofThreeGateways is a scenario whose clients are spread over three gateways.
const ofThreeGateways = `
version: 1
name: three
kafka: {brokers: 1, topics: [{name: prices, partitions: 2}]}
gateway: {target: reference, instances: 3}
producers:
  - {name: feed, topic: prices, rate: 100/s, size: 128B, keys: {kind: round-robin, count: 10}}
clients:
  - {name: all, count: 40, subscribe: {topic: prices}}
  - {name: some, count: 20, subscribe: {topic: prices, keys: 1}}
phases:
  warm-up: 200ms
  measure: [{name: steady, duration: 2s}]
  drain: {deadline: 1m}
`

// TestInstances: the clients of each of three gateways get everything, and each gateway has its share of them.
func TestInstances(t *testing.T) {
	t.Parallel()
	w := runChecked(t, func() *weir { return startRun(t, ofThreeGateways, "--quiet") }, func(t *testing.T, s *report.Summary) {
		checkExact(t, s)
		if got, want := s.Environment.Gateway, "reference gateway, 3 instances"; got != want {
			t.Errorf("gateway: got %q; want %q", got, want)
		}
		if open := s.Resources.Gateway.DescriptorsMax; open == nil || *open < 20 || *open >= 60 {
			t.Errorf("the fullest gateway had %v descriptors open; want a third of the clients' at least, and not all", open)
		}
	})
	logs, err := filepath.Glob(filepath.Join(w.dir, "gateway-*.log"))
	if err != nil || len(logs) != 3 || !strings.HasSuffix(logs[0], "gateway-1.log") {
		t.Errorf("got logs %v, %v; want one of each instance", logs, err)
	}
}
