package loadgen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weirbench/weir/scenarios"
)

// checkSchemaFields checks that the stamp's and the pad's fields are among those of these names, and two.
func checkSchemaFields(from *scenarios.PayloadSchema, names []string) error {
	fields := []struct{ key, name string }{{"stamp_field", from.StampField}}
	if from.PadField != "" {
		fields = append(fields, struct{ key, name string }{"pad_field", from.PadField})
	}
	for _, field := range fields {
		if !slices.Contains(names, field.name) {
			return fmt.Errorf("has no field %q for %s%s", field.name, field.key, nearOrAll(field.name, names))
		}
	}
	if from.PadField == from.StampField {
		return fmt.Errorf("can't have both the stamp and the pad in its field %s (write another pad_field)", from.PadField)
	}
	return nil
}

// nearOrAll says what may have been meant by a name that is not among the candidates.
func nearOrAll(name string, candidates []string) string {
	const most = 16
	if near := scenarios.Nearest(name, candidates); near != "" {
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
