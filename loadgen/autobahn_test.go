package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/autobahn"
)

// echo sends back what comes over a connection until it ends, as a client made of the generator's own frame reader and
// inflater, and as strict as RFC 6455 wants it. It returns what was received.
func echo(conn net.Conn, early []byte, terms deflateTerms) (messages []string) {
	defer conn.Close()
	reader := frameReader{deflate: terms.agreed}
	var z inflater
	var window []byte
	code := []byte{0x03, 0xea} // 1002, or 1007 for text that is none
	text := func(b []byte) error {
		err := checkText(b)
		if err != nil {
			code = []byte{0x03, 0xef}
		}
		return err
	}
	take := func(f frame, _ bool) error {
		switch f.opcode {
		case opPing:
			_, err := conn.Write(appendClientFrame(nil, opPong, f.payload))
			return err
		case opPong:
			return nil
		case opClose:
			if len(f.payload) > 2 {
				if err := text(f.payload[2:]); err != nil {
					return err
				}
			}
			if err := checkClose(f.payload); err != nil {
				return err
			}
			_, _ = conn.Write(appendClientFrame(nil, opClose, f.payload))
			return io.EOF
		}
		if f.compressed {
			message, err := z.inflate(f.payload, window)
			if err != nil {
				return err
			}
			if f.payload = message; terms.takeover {
				window = remember(window, message)
			}
		}
		if f.opcode == opText {
			if err := text(f.payload); err != nil {
				return err
			}
		}
		messages = append(messages, string(f.payload))
		_, err := conn.Write(appendClientFrame(nil, f.opcode, f.payload))
		return err
	}
	buf := make([]byte, 64<<10)
	for err := reader.feed(early, nil, take); ; {
		if errors.Is(err, errFrame) || errors.Is(err, errInflated) {
			_, _ = conn.Write(appendClientFrame(nil, opClose, code))
		}
		if err != nil {
			return messages
		}
		n, failed := conn.Read(buf)
		if err = reader.feed(buf[:n], nil, take); err == nil {
			err = failed
		}
	}
}

// The suite's 517 cases, none failed, against the generator's own reader; 301 are those without compression. It does not
// offer client_max_window_bits, since it compresses nothing, and so the cases that ask for that are not run.
func TestAutobahnClient(t *testing.T) {
	level := autobahn.Asked(t)
	level.Declined = []string{"13.3.", "13.4.", "13.5.", "13.6."}
	server, out := level.FuzzClient(t)
	visit := func(ctx context.Context, path string) []string {
		var terms deflateTerms
		url := server + path
		conn, early, err := bareDialer(Options{}).dial(ctx, call{url: url, shown: url, deflate: &terms, header: http.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		return echo(conn, early, terms)
	}
	if counted := visit(t.Context(), "/getCaseCount"); len(counted) != 1 || counted[0] != strconv.Itoa(level.Cases) {
		t.Fatalf("got %q as the number of cases; want %d", counted, level.Cases)
	}
	for i := range level.Cases {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		visit(ctx, fmt.Sprintf("/runCase?case=%d&agent=weir", i+1))
		cancel()
	}
	visit(t.Context(), "/updateReports?agent=weir")
	level.Check(t, autobahn.ReadVerdicts(t, out))
}
