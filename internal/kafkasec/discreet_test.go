package kafkasec

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// answer encodes an answer to a SaslAuthenticate request with a correlation id of 7.
func answer(version, code int16, message string) []byte {
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(version)
	resp.ErrorCode, resp.ErrorMessage, resp.SASLAuthBytes = code, &message, []byte("challenge")
	body := []byte{0, 0, 0, 7}
	if resp.IsFlexible() {
		body = append(body, 0)
	}
	body = resp.AppendTo(body)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestReadAnswer(t *testing.T) {
	for version := int16(0); version <= 2; version++ {
		const code, rest = 58, "what comes next"
		r := iotest.OneByteReader(io.MultiReader(bytes.NewReader(answer(version, code, "password canary")), strings.NewReader(rest)))
		got, err := readAnswer(r, version)
		if err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		if bytes.Contains(got, []byte("canary")) {
			t.Errorf("version %d: the message is still there: %q", version, got)
		}
		if size := binary.BigEndian.Uint32(got); int(size) != len(got)-4 {
			t.Errorf("version %d: got size %d; want %d", version, size, len(got)-4)
		}
		resp := decode(t, got, version)
		if resp.ErrorCode != code || resp.ErrorMessage != nil || string(resp.SASLAuthBytes) != "challenge" {
			t.Errorf("version %d: got %+v; want the code and the challenge alone", version, resp)
		}
		if left, _ := io.ReadAll(r); string(left) != rest { // the reader doesn't fail
			t.Errorf("version %d: got %q left; want %q", version, left, rest)
		}
	}
}

func decode(t *testing.T, frame []byte, version int16) *kmsg.SASLAuthenticateResponse {
	t.Helper()
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(version)
	header := 8
	if resp.IsFlexible() {
		header++
	}
	if err := resp.ReadFrom(frame[header:]); err != nil {
		t.Fatalf("decode version %d: %v", version, err)
	}
	return resp
}

func FuzzReadAnswer(f *testing.F) {
	for version := int16(0); version <= 2; version++ {
		f.Add(answer(version, 58, "password canary"), version)
	}
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), int16(2))
	f.Fuzz(func(t *testing.T, frame []byte, version int16) {
		version &= 3
		got, err := readAnswer(bytes.NewReader(frame), version)
		if err != nil {
			return
		}
		if resp := decode(t, got, version); resp.ErrorMessage != nil {
			t.Errorf("%q: got message %q; want none", frame, *resp.ErrorMessage)
		}
	})
}
