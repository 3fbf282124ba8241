package scenarios

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ProtobufSchema is a message of a Protobuf schema that can carry a stamp.
type ProtobufSchema struct {
	Message    protoreflect.MessageDescriptor
	Stamp, Pad protoreflect.FieldDescriptor // Pad is nil where there is none
}

// ParseProtobuf compiles the schema and finds the message, and the stamp's and the pad's fields in it. The error is a
// [SchemaError].
func (s *PayloadSchema) ParseProtobuf() (ProtobufSchema, error) {
	file, wrong := s.compileProto()
	if wrong != nil {
		return ProtobufSchema{}, wrong
	}
	p := ProtobufSchema{}
	if p.Message, wrong = s.messageOf(file); wrong != nil {
		return ProtobufSchema{}, wrong
	}
	if wrong := p.findFields(s); wrong != nil {
		return ProtobufSchema{}, wrong
	}
	return p, nil
}

// compileTimeout bounds the parsing of a schema.
const compileTimeout = 20 * time.Second

// compileProto parses the schema's text, which imports nothing but what every registry and compiler knows.
func (s *PayloadSchema) compileProto() (protoreflect.FileDescriptor, *SchemaError) {
	var imported []string
	open := func(path string) (io.ReadCloser, error) {
		if path != s.File {
			if !strings.HasPrefix(path, "google/protobuf/") {
				imported = append(imported, path)
			}
			return nil, fs.ErrNotExist // the compiler has those of google/protobuf itself
		}
		return io.NopCloser(strings.NewReader(s.Text)), nil
	}
	compiler := protocompile.Compiler{
		MaxParallelism: 1, // which keeps imported to one goroutine
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: open}),
	}
	ctx, cancel := context.WithTimeout(context.Background(), compileTimeout)
	defer cancel()
	files, err := compiler.Compile(ctx, s.File)
	switch {
	case len(imported) > 0:
		return nil, schemaErrorf("protobuf", "%s imports %q (write all messages into the one file; only google/protobuf/….proto can be imported)", s.File, imported[0])
	case err != nil:
		return nil, schemaErrorf("protobuf", "not a Protobuf schema: %v", err)
	}
	return files[0], nil
}

// messageOf finds the message that the payload names, with or without its package, or the first.
func (s *PayloadSchema) messageOf(file protoreflect.FileDescriptor) (protoreflect.MessageDescriptor, *SchemaError) {
	name := s.Message
	if file.Messages().Len() == 0 {
		return nil, schemaErrorf("protobuf", "%s has no message (write one)", s.File)
	}
	if name == "" {
		return file.Messages().Get(0), nil
	}
	var names []string
	var found protoreflect.MessageDescriptor
	walkMessages(file.Messages(), func(m protoreflect.MessageDescriptor) {
		short := strings.TrimPrefix(string(m.FullName()), string(file.Package())+".")
		names = append(names, short)
		if name == short || name == string(m.FullName()) {
			found = m
		}
	})
	if found == nil {
		return nil, schemaErrorf("message", "%s has no message %q%s", s.File, name, nearOrAll(name, names))
	}
	return found, nil
}

// walkMessages goes over messages and those declared in them.
func walkMessages(messages protoreflect.MessageDescriptors, each func(protoreflect.MessageDescriptor)) {
	for i := range messages.Len() {
		if m := messages.Get(i); !m.IsMapEntry() {
			each(m)
			walkMessages(m.Messages(), each)
		}
	}
}

// findFields finds the stamp's and the pad's fields and checks that they hold what is to be put into them.
func (p *ProtobufSchema) findFields(s *PayloadSchema) *SchemaError {
	of, fields := fmt.Sprintf("%s: message %s", s.File, p.Message.Name()), p.Message.Fields()
	var names []string
	for i := range fields.Len() {
		names = append(names, string(fields.Get(i).Name()))
	}
	if wrong := s.checkNames(of, names); wrong != nil {
		return wrong
	}
	p.Stamp = fields.ByName(protoreflect.Name(s.StampField))
	if !isText(p.Stamp) {
		return schemaErrorf("stamp_field", "%s has a field %s that is %s (stamp_field names a string or bytes, not repeated)", of, p.Stamp.Name(), describeField(p.Stamp))
	}
	if s.PadField == "" {
		return nil
	}
	p.Pad = fields.ByName(protoreflect.Name(s.PadField))
	if !isText(p.Pad) {
		return schemaErrorf("pad_field", "%s has a field %s that is %s (pad_field names a string or bytes, not repeated)", of, p.Pad.Name(), describeField(p.Pad))
	}
	if one := p.Pad.ContainingOneof(); one != nil && one == p.Stamp.ContainingOneof() {
		return schemaErrorf("pad_field", "%s has the fields %s and %s in the oneof %s, where only one of them can be set (write another pad_field)",
			of, p.Stamp.Name(), p.Pad.Name(), one.Name())
	}
	return nil
}

func isText(d protoreflect.FieldDescriptor) bool {
	return !d.IsList() && !d.IsMap() && (d.Kind() == protoreflect.StringKind || d.Kind() == protoreflect.BytesKind)
}

func describeField(d protoreflect.FieldDescriptor) string {
	switch {
	case d.IsMap():
		return "a map"
	case d.IsList():
		return "a repeated " + d.Kind().String()
	}
	return "of type " + d.Kind().String()
}
