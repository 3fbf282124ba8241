package loadgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"

	"github.com/weirbench/weir/scenarios"
)

// avroForm encodes records of an Avro schema (Apache Avro 1.12, Binary Encoding).
type avroForm struct {
	schema     *avro.Schema
	root       *avro.SchemaNode
	named      map[string]namedType // by full name
	stamp, pad string               // names of fields
	padBytes   bool
}

// namedType is a type that a schema refers to by its name, and the namespace that names in it are of.
type namedType struct {
	node      *avro.SchemaNode
	namespace string
}

func newAvroForm(from *scenarios.PayloadSchema) (*avroForm, error) {
	schema, err := from.ParseAvro()
	if err != nil {
		return nil, err
	}
	f := &avroForm{
		schema: schema.Schema, root: schema.Record, named: map[string]namedType{},
		stamp: from.StampField, pad: from.PadField, padBytes: schema.PadBytes,
	}
	f.name(f.root)
	return f, nil
}

// name notes the named types of a schema.
func (f *avroForm) name(n *avro.SchemaNode) {
	if isNamed(n) {
		full := fullName(n)
		f.named[full] = namedType{n, namespaceOf(full)}
	}
	for i := range n.Fields {
		f.name(&n.Fields[i].Type)
	}
	for i := range n.Branches {
		f.name(&n.Branches[i])
	}
	if n.Items != nil {
		f.name(n.Items)
	}
	if n.Values != nil {
		f.name(n.Values)
	}
}

func isNamed(n *avro.SchemaNode) bool {
	return n.Name != "" && slices.Contains([]string{"record", "error", "enum", "fixed"}, n.Type)
}

// fullName is a named type's name with its namespace (Avro 1.12, Names). Parsing has given one without a namespace that of
// the type which encloses it.
func fullName(n *avro.SchemaNode) string {
	switch {
	case strings.Contains(n.Name, "."):
		return n.Name
	case n.Namespace != "":
		return n.Namespace + "." + n.Name
	}
	return n.Name
}

func namespaceOf(full string) string {
	if dot := strings.LastIndexByte(full, '.'); dot >= 0 {
		return full[:dot]
	}
	return ""
}

// avroTypes are the types that no name stands for.
var avroTypes = []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "record", "error", "enum", "array", "map", "union", "fixed"}

// resolve returns what a reference to a type by its name stands for, or the node itself.
func (f *avroForm) resolve(n *avro.SchemaNode, namespace string) namedType {
	if isNamed(n) {
		return namedType{n, namespaceOf(fullName(n))}
	}
	if slices.Contains(avroTypes, n.Type) {
		return namedType{n, namespace}
	}
	if t, ok := f.named[namespace+"."+n.Type]; ok {
		return t
	}
	if t, ok := f.named[n.Type]; ok {
		return t
	}
	return namedType{n, namespace}
}

func (f *avroForm) indexes() []int { return nil }
func (f *avroForm) zigzag() bool   { return true }

// encode implements messageForm.
func (f *avroForm) encode(c *contents, stamp, pad string) ([]byte, error) {
	w := &avroWalk{form: f, contents: c}
	fixed := map[string]any{f.stamp: stamp}
	switch {
	case f.padBytes:
		fixed[f.pad] = []byte(pad)
	case f.pad != "":
		fixed[f.pad] = pad
	}
	record, err := w.record(f.resolve(f.root, ""), fixed)
	if err != nil {
		return nil, err
	}
	message, err := f.schema.Encode(record)
	if err != nil {
		return nil, fmt.Errorf("encode a message: %w", err)
	}
	return message, nil
}

// avroWalk makes one message.
type avroWalk struct {
	form     *avroForm
	contents *contents
	path     []*avro.SchemaNode // the records that the value stands in
}

// record makes a record, whose fields of the given names are fixed.
func (w *avroWalk) record(t namedType, fixed map[string]any) (any, error) {
	if slices.Contains(w.path, t.node) || len(w.path) >= maxEncodedDepth {
		return nil, errEndless
	}
	w.path = append(w.path, t.node)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	record := make(map[string]any, len(t.node.Fields))
	for i := range t.node.Fields {
		field := &t.node.Fields[i]
		if value, ok := fixed[field.Name]; ok {
			record[field.Name] = value
			continue
		}
		lifted, _ := field.Props["logicalType"].(string) // stands beside the type where people put it
		value, err := w.value(&field.Type, t.namespace, lifted)
		if err != nil {
			return nil, err
		}
		record[field.Name] = value
	}
	return record, nil
}

// value makes a value of a type as it stands in a namespace.
func (w *avroWalk) value(n *avro.SchemaNode, namespace, logical string) (any, error) {
	if err := w.contents.take(1); err != nil {
		return nil, err
	}
	t := w.form.resolve(n, namespace)
	switch t.node.Type {
	case "record", "error":
		return w.record(t, nil)
	case "union":
		return w.union(t)
	case "array":
		item, err := w.value(t.node.Items, t.namespace, "")
		if errors.Is(err, errEndless) {
			return []any{}, nil
		}
		return []any{item}, err
	case "map":
		entry, err := w.value(t.node.Values, t.namespace, "")
		if errors.Is(err, errEndless) {
			return map[string]any{}, nil
		}
		return map[string]any{w.contents.text(): entry}, err
	case "enum":
		if len(t.node.Symbols) == 0 {
			return nil, fmt.Errorf("enum %s has no symbols (write one)", t.node.Name)
		}
		return t.node.Symbols[w.contents.below(uint64(len(t.node.Symbols)))], nil
	case "fixed":
		if err := w.contents.take(t.node.Size); err != nil {
			return nil, err
		}
		return w.contents.octets(t.node.Size), nil
	}
	if t.node.LogicalType != "" {
		logical = t.node.LogicalType
	}
	return w.primitive(t.node.Type, logical)
}

// union makes a value of the first branch that is not null and that has values that end.
func (w *avroWalk) union(t namedType) (any, error) {
	null := false
	for i := range t.node.Branches {
		branch := &t.node.Branches[i]
		if branch.Type == "null" {
			null = true
			continue
		}
		value, err := w.value(branch, t.namespace, "")
		if !errors.Is(err, errEndless) {
			return value, err
		}
	}
	if null {
		return nil, nil
	}
	return nil, errEndless
}

// primitive makes a value of a primitive type, plausible for its logical type.
func (w *avroWalk) primitive(kind, logical string) (any, error) {
	c := w.contents
	switch kind {
	case "null":
		return nil, nil
	case "boolean":
		return c.yes(), nil
	case "int":
		switch logical {
		case "date":
			return c.day(), nil
		case "time-millis":
			return int32(c.below(daySeconds * 1000)), nil
		}
		return c.small(), nil
	case "long":
		return avroLong(c, logical), nil
	case "float":
		return float32(c.small()) / 4, nil
	case "double":
		return c.real(), nil
	case "string":
		if logical == "uuid" {
			return c.uuid(), nil
		}
		return c.text(), nil
	case "bytes":
		switch logical {
		case "decimal":
			return []byte{byte(c.below(100))}, nil
		case "big-decimal": // an unscaled number as bytes, and its scale
			return []byte{1 << 1, byte(c.below(100)), 2 << 1}, nil
		}
		return c.octets(textLength), nil
	}
	return nil, fmt.Errorf("there is no way to make a value of type %s (write another type)", kind)
}

// avroLong is a moment, a time of day or a number.
func avroLong(c *contents, logical string) int64 {
	perSecond := map[string]uint64{"millis": 1e3, "micros": 1e6, "nanos": 1e9}[logical[strings.LastIndexByte(logical, '-')+1:]]
	switch {
	case perSecond > 0 && strings.Contains(logical, "timestamp-"):
		return c.moment(perSecond)
	case perSecond > 0 && strings.HasPrefix(logical, "time-"):
		return int64(c.below(daySeconds * perSecond))
	}
	return c.large()
}
