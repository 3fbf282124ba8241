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
	v, err := newValues(&scenarios.Plan{Producers: []scenarios.Producer{{Size: scenarios.Size{Min: 256, Max: 256}}}}, 0)
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 256)
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		v.compose(dst, content{seq: i, size: 256})
	}
}
