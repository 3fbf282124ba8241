package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"
)

const (
	maxSchemaBytes = 256 << 10
	maxSubject     = 255
	// schemaValueBytes is what the value of a schema without a pad field is taken to come to: the stamp, and a few fields.
	schemaValueBytes = 256
)

var (
	fieldForm   = regexp.MustCompile(fieldPattern)
	messageForm = regexp.MustCompile(messagePattern)
)

// schemaPayloadShape returns the shape of a payload that is made by a schema, which is told by its keys, or nil.
func schemaPayloadShape(e entry) *shape {
	var own []string // keys that a payload by a schema alone has
	for i := 0; i+1 < len(e.value.children); i += 2 {
		name := e.value.children[i].value
		near := Nearest(name, append(payloadShape.names(), avroShape.of, protobufShape.of))
		switch {
		case near == avroShape.of:
			return avroShape
		case near == protobufShape.of:
			return protobufShape
		case near == "" && Nearest(name, protobufShape.names()) != "":
			own = append(own, name)
		}
	}
	switch {
	case slices.Contains(own, "message"):
		return protobufShape
	case own != nil:
		return avroShape
	}
	return nil
}

// schemaPayload takes {avro: FILE, stamp_field: x} or {protobuf: FILE, …}, and checks that values can be made by it.
func schemaPayload(o *object) (payloadValue, bool) {
	before := len(o.r.problems)
	path, stamp, pad := o.text(o.shape.of, checkPath), o.text("stamp_field", checkField), o.text("pad_field", checkField)
	p := Payload{Kind: PayloadKind(o.shape.of), Schema: &PayloadSchema{
		Subject: o.text("subject", checkSubject).value, StampField: stamp.value, PadField: pad.value,
	}}
	at := map[string]place{o.shape.of: path.at, "stamp_field": stamp.at, "pad_field": pad.at}
	if o.shape == protobufShape {
		message := o.text("message", checkMessage)
		p.Schema.Message, at["message"] = message.value, message.at
	}
	if stamp.state == given && pad.state == given && stamp.value == pad.value {
		o.r.addf(pad.at, "is the stamp's field, too (write another, or remove it)")
	}
	o.need()
	o.finish()
	if path.state == given {
		var err error
		p.Schema.File = o.r.beside(path.value)
		if p.Schema.Text, err = o.r.reads.schemaOf(p.Schema.File); err != nil {
			o.r.addf(path.at, "%s %v", quote(p.Schema.File), err)
		} else if o.ok && stateSince(o.r, before) == given {
			checkSchema(o.r, p, at)
		}
	}
	return payloadValue{p, Size{Min: minValueBytes, Max: schemaValueBytes}}, o.ok && stateSince(o.r, before) == given
}

// checkSchema tells what is wrong with a payload's schema at the key that is to be changed.
func checkSchema(r *reporter, p Payload, at map[string]place) {
	var wrong *SchemaError
	if errors.As(p.Schema.Check(p.Kind), &wrong) {
		r.addf(at[wrong.Key], "%s", wrong)
	}
}

// schemaOf returns the text of a schema's file, which is read once.
func (r *reads) schemaOf(path string) (string, error) {
	if text, ok := r.schemas[path]; ok {
		return text, nil
	}
	data, err := readWhole(path, maxSchemaBytes)
	if err != nil {
		return "", err
	}
	r.spent += int64(len(data))
	switch {
	case len(data) == 0:
		return "", errors.New("is empty")
	case !utf8.Valid(data):
		return "", errors.New("is not UTF-8 text")
	case r.spent > maxReadBytes:
		return "", fmt.Errorf("makes more than %s of files that the scenario names", formatSize(maxReadBytes))
	}
	if r.schemas == nil {
		r.schemas = map[string]string{}
	}
	r.schemas[path] = string(data)
	return string(data), nil
}

func checkField(name string) error {
	if !fieldForm.MatchString(name) {
		return fmt.Errorf("%s is not a field's name (write stamp)", quote(name))
	}
	return nil
}

func checkMessage(name string) error {
	if !messageForm.MatchString(name) {
		return fmt.Errorf("%s is not a message's name (write Trade, or my.package.Trade)", quote(name))
	}
	return nil
}

func checkSubject(name string) error {
	if name == "" || len(name) > maxSubject {
		return fmt.Errorf("%s is not a subject (write trades-value)", quote(name))
	}
	return nil
}

// textPayload refuses, of clients that publish, payloads that no text frame can hold.
func textPayload(r *reporter, payload field[payloadValue]) {
	if payload.state == given && payload.value.Schema != nil {
		r.addf(payload.at, "makes values of bytes, and clients publish texts (write random, a template or lines, or let a producer send it)")
	}
}

// registry checks that there is one where a payload needs it.
func (c checker) registry() {
	for _, p := range c.s.producers.items {
		if p.payload.state == given && p.payload.value.Schema != nil && c.p.Kafka.Registry == nil && c.s.kafka.at != (place{}) {
			c.addf(p.payload.at, "needs a schema registry (write kafka.registry: {url: 'http://127.0.0.1:8081'})")
		}
	}
}
