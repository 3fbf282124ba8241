package scenarios

import (
	"fmt"
	"slices"
	"strings"
)

// SchemaError is what is wrong with a payload's schema: no value can be made by it.
type SchemaError struct {
	Key  string // of the payload that is to be changed: avro, protobuf, message, stamp_field or pad_field
	text string
}

// Error says what is wrong, where, and the mend.
func (e *SchemaError) Error() string { return e.text }

func schemaErrorf(key, format string, args ...any) *SchemaError {
	return &SchemaError{key, fmt.Sprintf(format, args...)}
}

// Check parses the schema of a payload of the kind and finds the fields that it names in it. The error is a [SchemaError].
func (s *PayloadSchema) Check(kind PayloadKind) error {
	var err error
	if kind == PayloadAvro {
		_, err = s.ParseAvro()
	} else {
		_, err = s.ParseProtobuf()
	}
	return err
}

// checkNames checks that the stamp's and the pad's fields are among those of these names, and two. What has the names is
// told by of: t.avsc: record Trade.
func (s *PayloadSchema) checkNames(of string, names []string) *SchemaError {
	for _, field := range []struct{ key, name string }{{"stamp_field", s.StampField}, {"pad_field", s.PadField}} {
		if field.key == "pad_field" && field.name == "" {
			continue
		}
		if !slices.Contains(names, field.name) {
			return schemaErrorf(field.key, "%s has no field %q for %s%s", of, field.name, field.key, nearOrAll(field.name, names))
		}
	}
	if s.PadField == s.StampField {
		return schemaErrorf("pad_field", "%s can't have both the stamp and the pad in its field %s (write another pad_field)", of, s.PadField)
	}
	return nil
}

// nearOrAll says what may have been meant by a name that is not among the candidates.
func nearOrAll(name string, candidates []string) string {
	const most = 16
	if near := Nearest(name, candidates); near != "" {
		return fmt.Sprintf(" (did you mean %s?)", near)
	}
	if len(candidates) == 0 {
		return " (there is none)"
	}
	more := ""
	if len(candidates) > most {
		candidates, more = candidates[:most], ", …"
	}
	return fmt.Sprintf(" (there is %s%s)", strings.Join(candidates, ", "), more)
}
