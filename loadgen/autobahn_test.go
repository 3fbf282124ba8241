package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// echo sends back what comes over a connection until it ends, as a client made of the generator's own frame reader and
// inflater, and as strict as RFC 6455 wants it. It returns what was received.
func echo(conn net.Conn, early []byte, terms deflateTerms) (messages []string) {
	defer conn.Close()
	reader := frameReader{deflate: terms.agreed}
	var z inflater
	var window []byte
	take := func(f frame, _ bool) error {
		switch f.opcode {
		case opPing:
			_, err := conn.Write(appendClientFrame(nil, opPong, f.payload))
			return err
		case opPong:
			return nil
		case opClose:
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
			if err := checkText(f.payload); err != nil {
				return err
			}
		}
		messages = append(messages, string(f.payload))
		_, err := conn.Write(appendClientFrame(nil, f.opcode, f.payload))
		return err
	}
	buf := make([]byte, 64<<10)
	for err := reader.feed(early, take); ; {
		if errors.Is(err, errFrame) || errors.Is(err, errInflated) {
			_, _ = conn.Write(appendClientFrame(nil, opClose, []byte{0x03, 0xea}))
		}
		if err != nil {
			return messages
		}
		n, failed := conn.Read(buf)
		if err = reader.feed(buf[:n], take); err == nil {
			err = failed
		}
	}
}

// TestAutobahnClient runs the cases of the Autobahn test suite's fuzzing server (wstest -m fuzzingserver) against echo.
// WEIR_AUTOBAHN_SERVER is the server's URL.
func TestAutobahnClient(t *testing.T) {
	server := os.Getenv("WEIR_AUTOBAHN_SERVER")
	if server == "" {
		t.Skip("no fuzzing server: set WEIR_AUTOBAHN_SERVER, e.g. to ws://127.0.0.1:9001")
	}
	visit := func(ctx context.Context, path string) []string {
		var terms deflateTerms
		url := strings.TrimSuffix(server, "/") + path
		conn, early, err := bareDialer(Options{}).dial(ctx, call{url: url, shown: url, deflate: &terms, header: http.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		return echo(conn, early, terms)
	}
	counted := visit(t.Context(), "/getCaseCount")
	if len(counted) != 1 {
		t.Fatalf("got %q as the number of cases", counted)
	}
	count, err := strconv.Atoi(counted[0])
	if err != nil || count == 0 {
		t.Fatalf("got %q as the number of cases", counted)
	}
	behaviours := map[string]int{}
	for i := 1; i <= count; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		visit(ctx, fmt.Sprintf("/runCase?case=%d&agent=weir", i))
		cancel()
		var status struct{ Behavior string }
		answer := visit(t.Context(), fmt.Sprintf("/getCaseStatus?case=%d&agent=weir", i))
		if len(answer) != 1 || json.Unmarshal([]byte(answer[0]), &status) != nil {
			t.Fatalf("case %d: got the status %q", i, answer)
		}
		behaviours[status.Behavior]++
		if !slices.Contains([]string{"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"}, status.Behavior) {
			t.Errorf("case %d (%s): %s", i, visit(t.Context(), fmt.Sprintf("/getCaseInfo?case=%d", i)), status.Behavior)
		}
	}
	visit(t.Context(), "/updateReports?agent=weir")
	for _, b := range slices.Sorted(maps.Keys(behaviours)) {
		t.Logf("%s: %d of %d cases", b, behaviours[b], count)
	}
}
