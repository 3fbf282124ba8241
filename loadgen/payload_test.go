package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// runWhole takes an engine through all its verbs.
func runWhole(t *testing.T, plan *scenarios.Plan) *results.Audit {
	t.Helper()
	audit, _ := runJoined(t, plan, func(*Engine) {})
	return audit
}

// runJoined does so and calls joined between the join and the load.
func runJoined(t *testing.T, plan *scenarios.Plan, joined func(*Engine)) (*results.Audit, *results.Health) {
	t.Helper()
	e := newTestEngine(t, plan)
	if err := e.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	joined(e)
	if err := e.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Drain(t.Context())
	audit, health, err := e.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return audit, health
}

// topicRecords reads a topic of one partition to its end.
func topicRecords(t *testing.T, seeds []string) (records []*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { records = append(records, r) })
		if len(records) == 0 {
			continue
		}
		// The final markers are what comes last: nothing of the run follows the first of them.
		var s Stamp
		if at, err := s.FindStamp(records[len(records)-1].Value, 0); at >= 0 && err == nil && s.Kind == KindFinal {
			return records
		}
	}
}

// TestPayloadsReachTheClients: whatever form the values have, with the stamp anywhere in them, each is delivered and
// intact, and of those that the gateway changed a byte of each is found. Markers have the payload's form and its headers.
func TestPayloadsReachTheClients(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "orders")
	if err := os.WriteFile(file, []byte(`{"order":1,"text":"é"}`+"\nplain text\n"+`{"a":"{stamp}"}`+"\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fields := func(t *testing.T, r *kgo.Record, n uint64) {
		var got struct {
			N    uint64 `json:"n"`
			By   string `json:"by"`
			Key  string `json:"k"`
			DueM int64  `json:"t"`
		}
		if err := json.Unmarshal(r.Value, &got); err != nil {
			t.Fatalf("%s: %v", r.Value, err)
		}
		if got.N != n || got.By != "p" || got.Key != string(r.Key) || got.DueM != int64(n)*2 {
			t.Errorf("message %d with key %s is %s", n, r.Key, r.Value)
		}
	}
	for _, c := range []struct {
		name    string
		payload scenarios.Payload
		check   func(t *testing.T, r *kgo.Record, n uint64)
	}{
		{"random", scenarios.Payload{Kind: scenarios.PayloadRandom, Compressibility: 0.5}, nil},
		{"template", scenarios.Payload{Kind: scenarios.PayloadTemplate, Template: `{"n":{seq},"pad":"{pad}","id":"{stamp}","by":"{producer}","k":"{key}","t":{due_ms}}`}, fields},
		{"the stamp at the end", scenarios.Payload{Kind: scenarios.PayloadTemplate, Template: `{pad}{stamp}`}, nil},
		{"lines", scenarios.Payload{Kind: scenarios.PayloadLines, File: file}, nil},
	} {
		for _, corrupt := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, corrupt %v", c.name, corrupt), func(t *testing.T) {
				kafka := testkit.Kafka(t, 1, "t")
				fault := func(d testkit.Delivery) testkit.Action {
					if corrupt && d.Data && d.Nth%7 == 3 {
						return testkit.Action{Do: testkit.Corrupt}
					}
					return testkit.Action{}
				}
				gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1, Fault: fault})
				plan := enginePlan(gateway.URL(), kafka.ListenAddrs())
				from := &plan.Producers[0]
				from.Payload, from.Compression, from.Rate = c.payload, "zstd", scenarios.Hold(500)
				from.Size = scenarios.Size{Kind: scenarios.SizeLognormal, Min: 150, Max: 2000, Median: 400, Sigma: 0.7}
				from.Keys = scenarios.Keys{Kind: scenarios.KeysHotSet, Count: 9, Hot: 2, HotShare: 0.7, HotMove: 100 * time.Millisecond}
				from.Headers = []scenarios.Header{{Name: "route", Value: "to-{key}"}, {Name: "n", Value: "{seq}"}, {Name: "fixed", Value: "x"}}
				audit := runWhole(t, plan)

				if len(audit.Rows) != 1 || len(audit.Defects) > 0 {
					t.Fatalf("got rows %+v, defects %q; want one row and no defects", audit.Rows, audit.Defects)
				}
				row, counts := audit.Rows[0], gateway.Counts()
				if row.Expected != 300 || row.Delivered != 300 || row.Foreign+row.Stray+row.Duplicate+row.Early > 0 {
					t.Errorf("got %+v; want 300 expected and delivered", row.Classes)
				}
				if row.Corrupt != counts.Corrupt || (counts.Corrupt > 0) != corrupt {
					t.Errorf("got %d corrupt; want the %d that the gateway changed", row.Corrupt, counts.Corrupt)
				}
				if ref := audit.Reference[0]; ref.InTopic != 150 || ref.Acked != 150 {
					t.Errorf("got %+v; want 150 acked and in the topic", ref)
				}
				n := uint64(0)
				for _, r := range topicRecords(t, kafka.ListenAddrs()) {
					if err := checkRecord(r, n); err != nil {
						t.Fatal(err)
					}
					var s Stamp
					if _, err := s.FindStamp(r.Value, 0); err != nil || s.Kind != KindData {
						if c.check != nil && !json.Valid(r.Value) {
							t.Errorf("the marker %s has not the payload's form", r.Value)
						}
						continue
					}
					if c.check != nil {
						c.check(t, r, n)
					}
					n++
				}
			})
		}
	}
}

// checkRecord checks that a record is stamped and carries the headers of message n, or of a marker in front of it.
func checkRecord(r *kgo.Record, n uint64) error {
	var s Stamp
	at, err := s.FindStamp(r.Value, 0)
	if err != nil {
		return err
	}
	if at < 0 || r.Key == nil {
		return errors.New("a record has no stamp, or no key")
	}
	want := fmt.Sprintf("[{route to-%s} {n %d} {fixed x}]", r.Key, n)
	if got := fmt.Sprintf("%s", r.Headers); got != want {
		return fmt.Errorf("message %d has the headers %s; want %s", n, got, want)
	}
	return nil
}

// TestTooLargeRecordsAreRefused: a line that is larger than the topic takes is refused each time, and is in the account as
// refused; markers are made of the shortest line, so that clients join all the same.
func TestTooLargeRecordsAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte(strings.Repeat("x", 1_200_000)+"\nshort\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	plan := enginePlan(gateway.URL(), kafka.ListenAddrs())
	plan.Phases.DrainDeadline = missingDrain
	plan.Producers[0].Payload = scenarios.Payload{Kind: scenarios.PayloadLines, File: file}
	audit := runWhole(t, plan)
	// A broker refuses the whole batch, so that a short one beside a long one is refused with it.
	ref := audit.Reference[0]
	if ref.Sent == 0 || ref.Refused < (ref.Sent+1)/2 || ref.Refused+ref.Acked != ref.Sent || ref.InTopic != ref.Acked {
		t.Errorf("got %+v; want the long ones, each second, refused and what was acked in the topic", ref)
	}
	for _, row := range audit.Rows {
		if row.Expected != 2*ref.Acked || row.Lost+row.Stray+row.Corrupt > 0 {
			t.Errorf("got %+v; want the %d others expected by both clients and none lost", row.Classes, ref.Acked)
		}
	}
}
