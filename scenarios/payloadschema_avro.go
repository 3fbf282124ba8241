package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// AvroSchema is an Avro schema whose records can carry a stamp.
type AvroSchema struct {
	Schema *avro.Schema
	Record *avro.SchemaNode // at the top
	// PadBytes is whether the pad's field holds bytes, and not a string.
	PadBytes bool
}

// ParseAvro parses the schema and finds the stamp's and the pad's fields in it. The error is a [SchemaError].
func (s *PayloadSchema) ParseAvro() (AvroSchema, error) {
	schema, err := avro.Parse(s.Text)
	if err != nil {
		return AvroSchema{}, schemaErrorf("avro", "%s is no Avro schema: %s", s.File, strings.TrimPrefix(err.Error(), "avro: "))
	}
	a := AvroSchema{Schema: schema, Record: schema.Root()}
	if a.Record.Type != "record" {
		return AvroSchema{}, schemaErrorf("avro", "%s holds a schema of type %s (write a record at the top)", s.File, a.Record.Type)
	}
	if wrong := a.findFields(s); wrong != nil {
		return AvroSchema{}, wrong
	}
	return a, nil
}

// findFields checks that the stamp's and the pad's fields are there and hold what is to be put into them.
func (a *AvroSchema) findFields(s *PayloadSchema) *SchemaError {
	of := fmt.Sprintf("%s: record %s", s.File, a.Record.Name)
	var names []string
	for i := range a.Record.Fields {
		names = append(names, a.Record.Fields[i].Name)
	}
	if wrong := s.checkNames(of, names); wrong != nil {
		return wrong
	}
	if a.textKind(s.StampField, "string") == "" {
		return schemaErrorf("stamp_field", "%s has a field %s that is no string (stamp_field names a string, or a union with one)", of, s.StampField)
	}
	if s.PadField == "" {
		return nil
	}
	kind := a.textKind(s.PadField, "string", "bytes")
	if kind == "" {
		return schemaErrorf("pad_field", "%s has a field %s that is neither a string nor bytes (pad_field names one of these, or a union with one)", of, s.PadField)
	}
	a.PadBytes = kind == "bytes"
	return nil
}

// textKind returns the first of the kinds that the field is, or has a branch of; "" for none. A logical type is none: it
// says that the text is of a form.
func (a *AvroSchema) textKind(field string, kinds ...string) string {
	for i := range a.Record.Fields {
		at := &a.Record.Fields[i]
		if at.Name != field || at.Props["logicalType"] != nil {
			continue
		}
		for _, kind := range kinds {
			is := func(n avro.SchemaNode) bool { return n.Type == kind && n.LogicalType == "" }
			if is(at.Type) || slices.ContainsFunc(at.Type.Branches, is) {
				return kind
			}
		}
	}
	return ""
}
