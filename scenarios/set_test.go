package scenarios

import (
	"reflect"
	"testing"
	"time"
)

// base is a small scenario that is right.
const base = `
version: 1
name: base
kafka:
  topics:
    - name: prices
    - {name: a.b, partitions: 3}
gateway:
producers:
  - &feed {name: feed, topic: prices, rate: 1000/s, keys: {kind: round-robin, count: 50}}
  - {name: other, topic: a.b, rate: 1/s}
clients:
  - name: viewers
    count: 500
    subscribe: {topic: prices, keys: one}
phases:
  measure:
    - {name: steady, duration: 20s}
`

func planOf(t *testing.T, text string, sets ...string) *Plan {
	t.Helper()
	s, err := Parse("base.yaml", []byte(text), Options{Sets: sets})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSets(t *testing.T) {
	const g = "gateway.target=reference" // base leaves the gateway empty, which is a mistake by itself
	for _, c := range []struct {
		name string
		sets []string
		got  func(*Plan) any
		want any
	}{
		{name: "by name", sets: []string{"producers.feed.rate=2000/s"}, got: func(p *Plan) any { return p.Producers[0].Rate.From }, want: 2000.0},
		{name: "by index", sets: []string{"producers.1.rate=5/s"}, got: func(p *Plan) any { return p.Producers[1].Rate.From }, want: 5.0},
		{name: "name with a point", sets: []string{"kafka.topics.a.b.partitions=9"}, got: func(p *Plan) any { return p.Kafka.Topics[1].Partitions }, want: 9},
		{name: "whole item", sets: []string{"kafka.topics.a.b={name: a.b, partitions: 7}"}, got: func(p *Plan) any { return p.Kafka.Topics[1].Partitions }, want: 7},
		{name: "the last wins", sets: []string{"seed=2", "seed=3"}, got: func(p *Plan) any { return p.Seed }, want: uint64(3)},
		{name: "new mappings", sets: []string{"gateway.guarantees.delivery=at-least-once"}, got: func(p *Plan) any { return p.Gateway.Guarantees.Delivery }, want: "at-least-once"},
		{name: "into an empty key", sets: []string{"gateway.queue=2MiB"}, got: func(p *Plan) any { return p.Gateway.QueueBytes }, want: int64(2 << 20)},
		{name: "no thresholds", sets: []string{"thresholds=[]"}, got: func(p *Plan) any { return len(p.Thresholds) }, want: 0},
		{name: "flow value", sets: []string{"producers.feed.size={uniform: {min: 256B, max: 1KiB}}"}, got: func(p *Plan) any { return p.Producers[0].Size },
			want: Size{Kind: SizeUniform, Min: 256, Max: 1024}},
		{name: "curve as a whole", sets: []string{"producers.feed.rate={ramp: {from: 1/s, to: 5/s}}"}, got: func(p *Plan) any { return p.Producers[0].Rate },
			want: Curve{Kind: CurveRamp, From: 1, To: 5}},
		{name: "curve of a phase", sets: []string{"phases.measure.steady.clients.viewers.ramp={from: 1, to: 5}"},
			got: func(p *Plan) any { return p.Phases.Measure[0].Clients["viewers"] }, want: Curve{Kind: CurveRamp, From: 1, To: 5}},
		{name: "publish", sets: []string{"clients.viewers.publish={topic: a.b, rate: 1/s}", "clients.viewers.publish.rate=2/s"},
			got: func(p *Plan) any { return p.Clients[0].Publish.Rate }, want: Hold(2)},
		{name: "churn", sets: []string{"clients.viewers.churn.session=5s"}, got: func(p *Plan) any { return p.Clients[0].Churn.Session }, want: 5 * time.Second},
		{name: "addresses from commas", sets: []string{"clients.viewers.source_addresses=[127.0.0.2, 127.0.0.3]"},
			got: func(p *Plan) any { return p.Clients[0].SourceAddresses }, want: []string{"127.0.0.2", "127.0.0.3"}},
		{name: "weights", sets: []string{"clients.viewers.subscribe=[{topic: prices, weight: 1}, {topic: a.b, weight: 1}]", "clients.viewers.subscribe.1.weight=4"},
			got: func(p *Plan) any { return p.Clients[1].Count }, want: 400},
		{name: "conflation of a topic with a point", sets: []string{"gateway.conflate={prices: 100ms}"},
			got: func(p *Plan) any { return p.Conflation("prices") }, want: 100 * time.Millisecond},
		{name: "profile", sets: []string{"gateway.profile={subscribe: 'SUB {channel}'}", "gateway.profile.binary=true"},
			got: func(p *Plan) any { return p.Gateway.Profile.Subscribe }, want: "SUB {channel}"},
		{name: "headers", sets: []string{"producers.feed.headers.source=weir"}, got: func(p *Plan) any { return p.Producers[0].Headers },
			want: []Header{{"source", "weir"}}},
		{name: "list from commas", sets: []string{"kafka.provider=external", "kafka.seeds=a:1,b:2"}, got: func(p *Plan) any { return len(p.Kafka.Seeds) }, want: 2},
		{name: "commas in labels", sets: []string{"thresholds=e2e{group=viewers,phase=steady}.p99 < 20ms, audit.lost == 0"},
			got: func(p *Plan) any { return len(p.Thresholds) }, want: 2},
		{name: "objective follows", sets: []string{"thresholds=[e2e.p99 < 20ms]"}, got: func(p *Plan) any { return p.Objective }, want: 20 * time.Millisecond},
		{name: "null takes away", sets: []string{"producers.feed.keys=null", "clients.viewers.subscribe.keys=null"}, got: func(p *Plan) any { return p.Producers[0].Keys.Kind }, want: KeysNone},
		{name: "null of nothing", sets: []string{"description=null"}, got: func(p *Plan) any { return p.Description }, want: ""},
		{name: "text that looks like a number", sets: []string{"name=123"}, got: func(p *Plan) any { return p.Name }, want: "123"},
		{name: "value with equals signs", sets: []string{"thresholds=audit.lost == 0"}, got: func(p *Plan) any { return p.Thresholds[0].Op }, want: "=="},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.got(planOf(t, base, append([]string{g}, c.sets...)...)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

// An alias is a copy: what is set in one use must not change the others.
func TestSetLeavesOtherUsesOfAnAlias(t *testing.T) {
	const text = `
version: 1
name: aliases
kafka: {topics: [{name: prices}]}
producers:
  - {name: a, topic: prices, rate: 1/s, keys: &keys {kind: uniform, count: 5}}
  - {name: b, topic: prices, rate: 1/s, keys: *keys}
clients: [{name: viewers, count: 1, subscribe: {topic: prices}}]
phases: {measure: [{name: steady, duration: 1s}]}
`
	p := planOf(t, text, "producers.b.keys.count=9")
	if a, b := p.Producers[0].Keys.Count, p.Producers[1].Keys.Count; a != 5 || b != 9 {
		t.Errorf("got counts %d and %d; want 5 and 9", a, b)
	}
}
