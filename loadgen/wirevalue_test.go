package loadgen

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// wireForm is a way for values to travel, and how a target encodes one.
type wireForm struct {
	form   valueForm
	encode func(value []byte) []byte
}

func wireForms() map[string]wireForm {
	asJSON := func(escapeHTML bool) func([]byte) []byte {
		return func(value []byte) []byte {
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(escapeHTML)
			_ = e.Encode(string(value)) // a string can't fail
			return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
		}
	}
	asBase64 := func(encoding *base64.Encoding, before, behind string) func([]byte) []byte {
		return func(value []byte) []byte { return []byte(before + encoding.EncodeToString(value) + behind) }
	}
	return map[string]wireForm{
		"json":           {formEscaped, asJSON(true)},
		"json, sparse":   {formEscaped, asJSON(false)},
		"json, all":      {formEscaped, func(v []byte) []byte { return escapeAll(v) }},
		"base64":         {formBase64, asBase64(base64.StdEncoding, `"`, `"`)},
		"base64, raw":    {formBase64, asBase64(base64.RawStdEncoding, "", "")},
		"base64, glued":  {formBase64, asBase64(base64.StdEncoding, `"v1/`, `"`)},
		"base64, glued3": {formBase64, asBase64(base64.RawStdEncoding, `abc`, ` `)},
	}
}

// escapeAll writes every character that is not a stamp's as \uXXXX.
func escapeAll(value []byte) []byte {
	out := []byte{'"'}
	for _, r := range string(value) {
		if r < 0x80 && (digitValue[r] != invalidDigit || r == endMark) {
			out = append(out, byte(r))
			continue
		}
		const hex = "0123456789ABCdef"
		for _, u := range appendUTF16(r) {
			out = append(out, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
		}
	}
	return append(out, '"')
}

func appendUTF16(r rune) []uint16 {
	if r < 0x10000 {
		return []uint16{uint16(r)}
	}
	r -= 0x10000
	return []uint16{uint16(0xd800 + r>>10), uint16(0xdc00 + r&0x3ff)}
}

// drawText is a text that holds no start mark.
func drawText(t *rapid.T, label string) []byte {
	alphabet := []rune("abc\"\\/\n\t\b\x01<>&é€\U0001F30A\u2028 +=~")
	return []byte(strings.ReplaceAll(string(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 40).Draw(t, label)), "~W", "~ "))
}

// TestEncodedValues: however a value travels, it is found, intact and to its end; and changed in any byte outside its
// stamp it is corrupt.
func TestEncodedValues(t *testing.T) {
	t.Parallel()
	for name, form := range wireForms() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				var message []byte
				var corrupt []bool
				count := rapid.IntRange(1, 4).Draw(t, "values")
				for i := range count {
					before, behind := drawText(t, "before"), drawText(t, "behind")
					value := stampedWith(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: uint64(i)}, before, behind)
					changed := len(before)+len(behind) > 0 && rapid.Bool().Draw(t, "corrupt")
					if changed {
						value = changeOne(t, value, len(before))
					}
					corrupt = append(corrupt, changed)
					message = append(append(append(message, `{"k":"`...), drawASCII(t)...), `","v":`...)
					message = append(append(message, form.encode(value)...), `,"q":"\\"}`...)
				}
				var r valueReader
				var s Stamp
				r.begin(form.form)
				from := 0
				for i := range count {
					at, _, err := r.find(&s, message, from)
					if at < 0 || err != nil || s.PartSeq != uint64(i) {
						t.Fatalf("%q: value %d: got %d, %v, %+v", message, i, at, err, s)
					}
					e := r.locate(&s, message, from, at)
					if e.intact == corrupt[i] {
						t.Fatalf("%q: value %d: got %+v; want corrupt: %v", message, i, e, corrupt[i])
					}
					if e.begin < from || e.begin > at || e.next <= at || e.end < e.next && e.intact || e.end > len(message) {
						t.Fatalf("%q: value %d from %d at %d: got %+v", message, i, from, at, e)
					}
					if e.intact && !bytes.HasPrefix(bytes.TrimLeft(message[e.end:], `" `), []byte(`,"q"`)) {
						t.Fatalf("%q: value %d ends at %q", message, i, message[e.end:])
					}
					from = e.next
				}
				if at, _, _ := r.find(&s, message, from); at >= 0 {
					t.Fatalf("%q: a value more at %d", message, at)
				}
			})
		})
	}
}

func drawASCII(t *rapid.T) string {
	return rapid.StringMatching(`[A-Za-z0-9+/=:{}, ]{0,20}`).Draw(t, "between")
}

// changeOne changes one character outside the stamp at offset so that another text comes of it, and no start mark.
func changeOne(t *rapid.T, value []byte, offset int) []byte {
	var places []int
	for i := range value {
		if (i < offset || i >= offset+StampSize) && value[i] < utf8.RuneSelf {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		t.Skip("nothing in it is a byte of its own")
	}
	value = bytes.Clone(value)
	at := rapid.SampledFrom(places).Draw(t, "place")
	to := rapid.SampledFrom([]byte("xyz\"\\\n/")).Filter(func(c byte) bool { return c != value[at] }).Draw(t, "to")
	value[at] = to
	return value
}

// TestMarkImages: they are what base64 makes of a start mark wherever it stands, and of any kind of stamp.
func TestMarkImages(t *testing.T) {
	for before, image := range markImages {
		for _, kind := range []Kind{KindData, KindJoin, KindFinal} {
			for _, first := range []byte{0, 0x55, 0xff} {
				text := append(bytes.Repeat([]byte{first}, before), startMark...)
				encoded := base64.StdEncoding.EncodeToString(append(text, byte(kind), 'A', 'A'))
				if got := encoded[image.place : image.place+4]; got != string(image.text) {
					t.Errorf("%d bytes before, kind %c: got %s; want %s", before, kind, image.text, got)
				}
			}
		}
	}
}

// TestChanceImage: what looks like a mark's image and is none hides no stamp, and is no message.
func TestChanceImage(t *testing.T) {
	value := stamped(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: 7}, 120, 0)
	for _, image := range markImages {
		for pad := range 4 {
			// The text stands for bytes of which none is a mark, where it is not aligned as a mark would have it.
			text := strings.Repeat("A", pad) + string(image.text)
			if (pad-image.place+4)%4 == 0 {
				continue
			}
			text += strings.Repeat("A", (8-len(text)%4)%4) + base64.StdEncoding.EncodeToString(value)
			var r valueReader
			var s Stamp
			r.begin(formBase64)
			at, _, err := r.find(&s, []byte(text), 0)
			if at < 0 || err != nil || s.PartSeq != 7 || !r.locate(&s, []byte(text), 0, at).intact {
				t.Errorf("%s: got %d, %v, %+v", text, at, err, s)
			}
		}
	}
	broken := bytes.Clone(value)
	broken[30] ^= 1
	var r valueReader
	var s Stamp
	r.begin(formBase64)
	if at, _, err := r.find(&s, []byte(base64.StdEncoding.EncodeToString(broken)), 0); at != 0 || err == nil {
		t.Errorf("got %d, %v of a broken stamp; want it found, and an error", at, err)
	}
}

// FuzzUnescape compares with package encoding/json.
func FuzzUnescape(f *testing.F) {
	f.Add(`a\"b\\\/\b\f\n\r\té€`)
	f.Add(`\ud83c\udf0a\ud83c\u0041\udf0a`)
	f.Add(`\u12`)
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
			return // encoding/json mends or refuses these
		}
		got, used, ok := unescape(nil, []byte(text), len(text))
		var want string
		err := json.Unmarshal([]byte(`"`+text[:used]+`"`), &want)
		if ok && used == len(text) && (err != nil || string(got) != want) {
			t.Fatalf("%q: got %q; want %q, %v", text, got, want, err)
		}
		if json.Unmarshal([]byte(`"`+text+`"`), &want) == nil && (!ok || used != len(text)) {
			t.Fatalf("%q: got %d bytes of it, %v", text, used, ok)
		}
	})
}

// FuzzEncodedValues: whatever a target sends, nothing reaches outside the message.
func FuzzEncodedValues(f *testing.F) {
	value := stamped(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: 7}, 120, 0)
	for _, form := range wireForms() {
		f.Add(uint8(form.form), form.encode(value))
	}
	f.Fuzz(func(t *testing.T, form uint8, message []byte) {
		var r valueReader
		var s Stamp
		r.begin(valueForm(form % 3))
		for from := 0; ; {
			at, skip, err := r.find(&s, message, from)
			if at < 0 {
				return
			}
			if err != nil {
				if skip <= from || skip > len(message) {
					t.Fatalf("from %d at %d: skip to %d of %d", from, at, skip, len(message))
				}
				from = skip
				continue
			}
			e := r.locate(&s, message, from, at)
			if e.begin > at || e.next <= from || e.next > len(message) || e.end < 0 || e.end > len(message) {
				t.Fatalf("from %d at %d: got %+v of %d", from, at, e, len(message))
			}
			from = e.next
		}
	})
}

func TestFindingValuesAllocatesNothing(t *testing.T) {
	value := stampedWith(Stamp{Kind: KindData, Run: 1, Key: NoKey}, []byte("{\"\n"), []byte("\"é\\ and so on"))
	for name, form := range wireForms() {
		message := form.encode(value)
		var r valueReader
		var s Stamp
		if got := testing.AllocsPerRun(100, func() {
			r.begin(form.form)
			at, _, _ := r.find(&s, message, 0)
			if !r.locate(&s, message, 0, at).intact {
				t.Errorf("%s: not intact", name)
			}
		}); got != 0 {
			t.Errorf("%s: got %v allocations a value; want none", name, got)
		}
	}
}
