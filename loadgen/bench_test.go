package loadgen

import (
	"testing"
	"time"

	"github.com/weirbench/weir/scenarios"
)

func BenchmarkCursor(b *testing.B) {
	const length = 10 * time.Second
	for name, c := range map[string]scenarios.Curve{
		"hold":  scenarios.Hold(1e6),
		"ramp":  {Kind: scenarios.CurveRamp, From: 1e5, To: 1e6},
		"steps": {Kind: scenarios.CurveSteps, From: 1e5, To: 1e6, Steps: 10},
		"spike": {Kind: scenarios.CurveSpike, From: 1e5, To: 1e6, At: time.Second, For: 5 * time.Second},
		"sine":  {Kind: scenarios.CurveSine, From: 5e5, To: 1e6, Period: 3 * time.Second},
	} {
		for _, arrivals := range []scenarios.Arrivals{scenarios.ArrivalsConstant, scenarios.ArrivalsPoisson} {
			b.Run(name+"/"+string(arrivals), func(b *testing.B) {
				s := NewSchedule(planOfCurve(1, arrivals, length, c), 0)
				cur := s.Cursor()
				b.ReportAllocs()
				for b.Loop() {
					if cur.Done() {
						cur = s.Cursor()
					}
					_ = cur.Due()
					cur.Next()
				}
			})
		}
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
