package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// What a publish message says, by either way of reading it.
func TestPublishRequest(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string // channel=value, or what is wrong
	}{
		{"plain", `{"type":"publish","id":7,"channel":"rooms/k3","value":"hi"}`, "rooms/k3=hi"},
		{"any order, any space", " {\t\"value\" :\r\n\"hi\" , \"channel\":\"rooms\",\"type\":\"publish\"} ", "rooms=hi"},
		{"empty", `{"type":"publish","channel":"rooms/","value":""}`, "rooms/="},
		{"escapes", `{"type":"publish","channel":"r\/\u006b","value":"\"\\\/\b\f\n\r\t\u0000\u00e9\uD83D\ude00é"}`, "r/k=\"\\/\b\f\n\r\t\x00é😀é"},
		{"bytes", `{"type":"publish","channel":"r","value_base64":"AP8="}`, "r=\x00\xff"},
		{"no bytes", `{"type":"publish","channel":"r","value_base64":""}`, "r="},
		{"unknown fields", `{"type":"publish","a":[{"b":1}],"channel":"r","value":"v"}`, "r=v"},
		{"escaped name", `{"type":"publish","ch\u0061nnel":"r","value":"v"}`, "r=v"},
		{"the last counts", `{"type":"publish","channel":"a","channel":"r","value":"v"}`, "r=v"},
		{"null is nothing", `{"type":"publish","channel":"r","value":"v","value_base64":null}`, "r=v"},
		{"no channel", `{"type":"publish","value":"v"}`, `field "channel" is missing`},
		{"no value", `{"type":"publish","channel":"r"}`, `field "value" is missing (or "value_base64", for bytes)`},
		{"two values", `{"type":"publish","channel":"r","value":"","value_base64":""}`, `fields "value" and "value_base64" are both there`},
		{"object as value", `{"type":"publish","channel":"r","value":{"a":1}}`, `field "value" is not a string`},
		{"number as channel", `{"type":"publish","channel":7,"value":"v"}`, `field "channel" is not a string`},
		{"half a pair", `{"type":"publish","channel":"r","value":"a\ud800b"}`, `field "value" holds half a surrogate pair, \ud800, which is no text (send bytes as "value_base64")`},
		{"the other half", `{"type":"publish","channel":"r","value":"\uDC00"}`, `field "value" holds half a surrogate pair, \uDC00, which is no text (send bytes as "value_base64")`},
		{"two first halves", `{"type":"publish","channel":"\ud800\ud800","value":""}`, `field "channel" holds half a surrogate pair, \ud800, which is no text (send bytes as "value_base64")`},
		{"no base64", `{"type":"publish","channel":"r","value_base64":"AP8"}`, `field "value_base64" is not standard base64 with padding`},
		{"lines of base64", `{"type":"publish","channel":"r","value_base64":"AP8\n="}`, `field "value_base64" is not standard base64 with padding`},
		{"loose bits", `{"type":"publish","channel":"r","value_base64":"AP9="}`, `field "value_base64" is not standard base64 with padding`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := decodeRequest([]byte(tt.text))
			if err != nil || req.Type != requestPublish {
				t.Fatalf("decoded: %+v, %v", req, err)
			}
			if got := publishText(req.publishFields()); got != tt.want {
				t.Errorf("decoded: got %s; want %s", got, tt.want)
			}
			if f, ok := scanPublish([]byte(tt.text)); ok && publishText(f) != tt.want {
				t.Errorf("scanned: got %s; want %s", publishText(f), tt.want)
			}
		})
	}
}

func publishText(f publishFields) string {
	r, refused := f.request()
	if refused != nil {
		return refused.message
	}
	return r.channel + "=" + string(r.value)
}

// What the scanner takes, encoding/json takes, and they read the same.
func FuzzScanPublish(f *testing.F) {
	for _, seed := range []string{
		`{"type":"publish","id":7,"channel":"rooms/k3","value":"hi"}`,
		`{"type":"publish","id":18446744073709551615,"channel":"r","value_base64":"AP8="}`,
		`{"value":"\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00","type":"publish","channel":"r"}`,
		`{"type":"publish","id":007,"channel":"r","value":"\ud800"}`,
		`{"type":"publish","id":1.0,"channel":"r","value":"v"}x`, `{"type":"subscribe","channels":["a"]}`,
		`{"type":"publish","id":1,"id":2,"channel":"r","value":"` + "\x01" + `"}`, `{}`, `[`, `{"type":"publish",}`, `{"value":"\u12`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return // the frame reader has seen to that
		}
		before := bytes.Clone(text)
		fields, ok := scanPublish(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the scanner has changed the text")
		}
		req, err := decodeRequest(text)
		if !ok {
			// Still it must not panic, whatever it is.
			if err == nil && req.Type == requestPublish {
				publishText(req.publishFields())
			}
			return
		}
		if err != nil || req.Type != requestPublish {
			t.Fatalf("scanned %s; encoding/json says %v, type %q", text, err, req.Type)
		}
		if (fields.id == nil) != (req.ID == nil) || fields.id != nil && *fields.id != *req.ID {
			t.Errorf("ids of %s differ", text)
		}
		scanned, decoded := publishText(fields), publishText(req.publishFields())
		if scanned != decoded {
			t.Errorf("%s: scanned %q; decoded %q", text, scanned, decoded)
		}
		// A third opinion on the text, which takes half a pair for U+FFFD.
		var value string
		if r, refused := fields.request(); refused == nil && fields.value != nil {
			if err := json.Unmarshal(fields.value, &value); err != nil || value != string(r.value) {
				t.Errorf("value %s: got %q; encoding/json has %q, %v", fields.value, r.value, value, err)
			}
		}
	})
}

// The common messages are read by the scanner, not by encoding/json.
func TestScannerTakesTheCommon(t *testing.T) {
	text := []byte(`{"type":"publish","id":123456,"channel":"rooms/k3","value":"` + strings.Repeat("x", 300) + `\n"}`)
	if _, ok := scanPublish(text); !ok {
		t.Fatal("not taken")
	}
	allocations := testing.AllocsPerRun(100, func() {
		f, _ := scanPublish(text)
		if _, refused := f.request(); refused != nil {
			t.Fatal(refused)
		}
	})
	// The id, the value, the channel and its name in between.
	if allocations > 4 {
		t.Errorf("allocations to read a message: got %v; want at most 4", allocations)
	}
	for _, text := range []string{`{"type":"subscribe"}`, `{"type":"publish","id":-1}`, `{"type":"publish"`, `null`, ``} {
		if _, ok := scanPublish([]byte(text)); ok {
			t.Errorf("%s: taken", text)
		}
	}
}

// A message that says it is a publish message is answered as one, whatever else
// is wrong with it.
func TestPublishOfWrongTypes(t *testing.T) {
	req, err := decodeRequest([]byte(`{"type":"publish","id":"seven","channel":"r","value":"v"}`))
	refused, ok := errors.AsType[*requestError](err)
	if !ok || refused.code != ErrorBadRequest || req.Type != requestPublish || req.ID != nil {
		t.Errorf("got %+v, %v; want a bad request of type publish", req, err)
	}
}

func BenchmarkScanPublish(b *testing.B) {
	text := []byte(`{"type":"publish","id":123456,"channel":"rooms/k3","value":"` + strings.Repeat("x", 300) + `"}`)
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, _ := scanPublish(text)
			_, _ = f.request()
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, _ := decodeRequest(text)
			_, _ = r.publishFields().request()
		}
	})
}
