package loadgen

import (
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// TestSchemaExamples: the scenarios of docs/schemas are right, and their schemas make values of the sizes that they ask for.
func TestSchemaExamples(t *testing.T) {
	for _, file := range []string{"avro.yaml", "protobuf.yaml"} {
		t.Run(file, func(t *testing.T) {
			s, err := scenarios.Load("../docs/schemas/"+file, scenarios.Options{})
			if err != nil {
				t.Fatal(err)
			}
			plan, err := s.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			v, err := newValues(plan, 0)
			if err != nil {
				t.Fatal(err)
			}
			size := plan.Producers[0].Size
			for i := range uint64(100) {
				c := content{seq: i, size: size.Min + int(i)%(size.Max-size.Min)}
				if value, _ := sealed(t, v, c); len(value) != c.size {
					t.Fatalf("a value has %d bytes; want %d", len(value), c.size)
				}
			}
		})
	}
}
