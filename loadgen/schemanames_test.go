package loadgen

import (
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// TestNamesInANamespace: a named type without a namespace of its own is of that which encloses it (Avro 1.12, Names), and
// is referred to by either name.
func TestNamesInANamespace(t *testing.T) {
	for _, reference := range []string{"Leg", "a.b.Leg"} {
		for _, of := range []string{`"type":"record","name":"Trade","namespace":"a.b"`, `"type":"record","name":"a.b.Trade"`} {
			text := `{` + of + `,"fields":[{"name":"stamp","type":"string"},
				{"name":"first","type":{"type":"record","name":"Leg","fields":[{"name":"side","type":{"type":"enum","name":"Side","symbols":["BUY"]}}]}},
				{"name":"second","type":"` + reference + `"},{"name":"third","type":{"type":"array","items":"` + reference + `"}}]}`
			p := scenarios.Payload{Kind: scenarios.PayloadAvro, Schema: &scenarios.PayloadSchema{File: "t.avsc", Text: text, StampField: "stamp"}}
			if _, err := newSchemaValues(&p, draw{1}); err != nil {
				t.Errorf("%s in %s: %v", reference, of, err)
			}
			form, err := newAvroForm(p.Schema)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"a.b.Trade", "a.b.Leg", "a.b.Side"} {
				if _, ok := form.named[name]; !ok {
					t.Errorf("%s: %s is not among the names", of, name)
				}
			}
		}
	}
}
