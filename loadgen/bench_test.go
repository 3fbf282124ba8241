package loadgen

import (
	"testing"
	"time"

	"github.com/weirbench/weir/scenarios"
)

func BenchmarkCursorHold(b *testing.B) {
	s := onePhase(scenarios.ArrivalsConstant, 1e6, 1000*time.Hour)
	c := s.Cursor()
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Due()
		c.Next()
	}
}

func BenchmarkCursorPoisson(b *testing.B) {
	s := onePhase(scenarios.ArrivalsPoisson, 1e6, 10*time.Second)
	c := s.Cursor()
	b.ReportAllocs()
	for b.Loop() {
		if c.Done() {
			c = s.Cursor()
		}
		_ = c.Due()
		c.Next()
	}
}

func BenchmarkRandomPayload(b *testing.B) {
	plan := enginePlan("", nil)
	v, err := newValues(plan, 0)
	if err != nil {
		b.Fatal(err)
	}
	p := &producer{shape: &producerShape{}, values: v, heads: newHeaders(plan.Producers[0])}
	p.pool.New = func() any { return &message{} }
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		m := p.pool.Get().(*message)
		c := &content{seq: i, size: 256}
		value, _ := p.values.compose(m.record.Value, c)
		p.address(m, value, c)
		p.pool.Put(m)
	}
}
