package loadgen

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/weirbench/weir/scenarios"
)

// protobufForm encodes messages of a Protobuf schema.
type protobufForm struct {
	message    protoreflect.MessageDescriptor
	stamp, pad protoreflect.FieldDescriptor // pad is nil where there is none
}

func newProtobufForm(from *scenarios.PayloadSchema) (*protobufForm, error) {
	schema, err := from.ParseProtobuf()
	if err != nil {
		return nil, err
	}
	return &protobufForm{message: schema.Message, stamp: schema.Stamp, pad: schema.Pad}, nil
}

// indexes are the places of the message and of those that it is declared in, the outermost first.
func (f *protobufForm) indexes() []int {
	var path []int
	for d := protoreflect.Descriptor(f.message); ; d = d.Parent() {
		m, ok := d.(protoreflect.MessageDescriptor)
		if !ok {
			break
		}
		path = append(path, m.Index())
	}
	slices.Reverse(path)
	return path
}

func (f *protobufForm) zigzag() bool { return false }

// encode implements messageForm.
func (f *protobufForm) encode(c *contents, stamp, pad string) ([]byte, error) {
	w := &protoWalk{contents: c}
	fixed := map[protoreflect.FieldNumber]protoreflect.Value{f.stamp.Number(): protoText(f.stamp, stamp)}
	if f.pad != nil {
		fixed[f.pad.Number()] = protoText(f.pad, pad)
	}
	m := dynamicpb.NewMessage(f.message)
	if err := w.fill(m, fixed); err != nil {
		return nil, err
	}
	message, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode a message: %w", err)
	}
	return message, nil
}

func protoText(d protoreflect.FieldDescriptor, text string) protoreflect.Value {
	if d.Kind() == protoreflect.BytesKind {
		return protoreflect.ValueOfBytes([]byte(text))
	}
	return protoreflect.ValueOfString(text)
}

// protoWalk makes one message.
type protoWalk struct {
	contents *contents
	path     []protoreflect.FullName // the messages that the value stands in
}

// fill sets all fields of a message: those of the given numbers as they are fixed, of a oneof one. A field that would make
// the message endless is left out where it may be.
func (w *protoWalk) fill(m protoreflect.Message, fixed map[protoreflect.FieldNumber]protoreflect.Value) error {
	of := m.Descriptor()
	if slices.Contains(w.path, of.FullName()) || len(w.path) >= maxEncodedDepth {
		return errEndless
	}
	w.path = append(w.path, of.FullName())
	defer func() { w.path = w.path[:len(w.path)-1] }()
	fields := of.Fields()
	for i := range fields.Len() {
		d := fields.Get(i)
		if value, ok := fixed[d.Number()]; ok {
			m.Set(d, value)
			continue
		}
		if !chosen(m, d, fixed) {
			continue
		}
		if err := w.set(m, d); err != nil && (!errors.Is(err, errEndless) || d.Cardinality() == protoreflect.Required) {
			return err
		}
	}
	return nil
}

// chosen tells whether the field is to be set: of a oneof that one is which is fixed, or else the first that could be.
func chosen(m protoreflect.Message, d protoreflect.FieldDescriptor, fixed map[protoreflect.FieldNumber]protoreflect.Value) bool {
	one := d.ContainingOneof()
	if one == nil {
		return true
	}
	for i := range one.Fields().Len() {
		if _, ok := fixed[one.Fields().Get(i).Number()]; ok {
			return false
		}
	}
	return m.WhichOneof(one) == nil
}

// set draws a field's value: of a list one item, of a map one entry.
func (w *protoWalk) set(m protoreflect.Message, d protoreflect.FieldDescriptor) error {
	if err := w.contents.take(1); err != nil {
		return err
	}
	switch {
	case d.IsMap():
		entries := m.NewField(d).Map()
		value, err := w.value(d.MapValue(), entries.NewValue)
		if err != nil {
			return err
		}
		key, err := w.value(d.MapKey(), nil)
		if err != nil {
			return err
		}
		entries.Set(key.MapKey(), value)
		m.Set(d, protoreflect.ValueOfMap(entries))
	case d.IsList():
		items := m.NewField(d).List()
		value, err := w.value(d, items.NewElement)
		if err != nil {
			return err
		}
		items.Append(value)
		m.Set(d, protoreflect.ValueOfList(items))
	default:
		value, err := w.value(d, func() protoreflect.Value { return m.NewField(d) })
		if err != nil {
			return err
		}
		m.Set(d, value)
	}
	return nil
}

// value draws one value of the field's kind; empty makes a message to be filled.
func (w *protoWalk) value(d protoreflect.FieldDescriptor, empty func() protoreflect.Value) (protoreflect.Value, error) {
	c := w.contents
	switch d.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		value := empty()
		return value, w.known(value.Message())
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(c.yes()), nil
	case protoreflect.EnumKind:
		values := d.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(int(c.below(uint64(values.Len())))).Number()), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(c.small()), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(c.small())), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(c.large()), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(c.large())), nil
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(c.small()) / 4), nil
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(c.real()), nil
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(c.text()), nil
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(c.octets(textLength)), nil
	}
	return protoreflect.Value{}, fmt.Errorf("there is no way to make a value of type %s (write another type)", d.Kind())
}

// known fills a message, of those whose fields have a meaning to everybody with what they may hold.
func (w *protoWalk) known(m protoreflect.Message) error {
	fixed := map[protoreflect.FieldNumber]protoreflect.Value{}
	switch m.Descriptor().FullName() {
	case "google.protobuf.Timestamp":
		fixed[1] = protoreflect.ValueOfInt64(w.contents.moment(1))
	case "google.protobuf.Any", "google.protobuf.FieldMask": // which name types and fields
		return nil
	}
	return w.fill(m, fixed)
}
