package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// publishTarget writes what clients publish to the topic, but for the fifth data message, and answers all. read takes a
// client's message apart, after it has taken those that are no publish; answer tells a client what became of one.
func publishTarget(t *testing.T, seeds []string, o *oddTarget, read func(text string) (id string, value []byte), answer func(c *oddConn, id string, written bool)) *oddTarget {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ProducerLinger(0), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	others, published := o.message, 0
	o.message = func(c *oddConn, opcode int, text string) {
		id, value := read(text)
		if value == nil {
			others(c, opcode, text)
			return
		}
		var s Stamp
		if at, err := s.FindStamp(value, 0); at >= 0 && err == nil && s.Kind == KindData {
			if published++; published == 5 {
				answer(c, id, false)
				return
			}
		}
		if err := kafka.ProduceSync(context.Background(), &kgo.Record{Value: value}).FirstErr(); err != nil {
			t.Errorf("write what was published: %v", err)
		}
		answer(c, id, true)
	}
	return o
}

// TestFramedPublishing: what is published within a framing is accounted for, and so is one message that the target does
// not write: refused it is expected by nobody, and lost where the target says that it has it.
func TestFramedPublishing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		profile scenarios.WireProfile
		target  func(t *testing.T, seeds []string) *oddTarget
		want    results.Classes
	}{
		{"stomp", scenarios.WireProfile{Channel: "/topic/{topic}", Framing: "stomp", Acknowledge: "client-individual", Greet: []string{"login:{client}"}, Publish: &scenarios.PublishProfile{}},
			func(t *testing.T, seeds []string) *oddTarget {
				o := stompTarget()
				o.send = func(c *oddConn, values [][]byte) {
					for _, v := range values {
						_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "MESSAGE\nmessage-id:1\nsubscription:0\n\n%s\x00", v))
					}
				}
				return publishTarget(t, seeds, o, func(text string) (string, []byte) {
					rest, ok := strings.CutPrefix(text, "SEND\ndestination:/topic/t\nreceipt:")
					if !ok {
						return "", nil
					}
					id, body, _ := strings.Cut(rest, "\n\n")
					return id, []byte(strings.TrimSuffix(body, "\x00"))
				}, func(c *oddConn, id string, _ bool) {
					_ = c.WriteMessage(websocket.TextMessage, []byte("RECEIPT\nreceipt-id:"+id+"\n\n\x00"))
				})
			}, results.Classes{Expected: 60, Delivered: 58, Lost: 2}},
		{"socket.io", scenarios.WireProfile{Channel: "{topic}", Framing: "socket.io", Event: "follow", Value: "json", Greet: []string{`{"who":"{client}"}`},
			Publish: &scenarios.PublishProfile{Frame: `["say","{channel}","{value}"]`, Refused: `[{"error"`}},
			func(t *testing.T, seeds []string) *oddTarget {
				return publishTarget(t, seeds, socketIOTarget(false), func(text string) (string, []byte) {
					rest, ok := strings.CutPrefix(text, "42")
					id := string(leadingDigits([]byte(rest)))
					var arguments []string
					if !ok || id == "" || json.Unmarshal([]byte(rest[len(id):]), &arguments) != nil || len(arguments) != 3 || arguments[1] != "t" {
						return "", nil
					}
					return id, []byte(arguments[2])
				}, func(c *oddConn, id string, written bool) {
					text := "43" + id + `[{"error":"no"}]`
					if written {
						text = "43" + id + `["ok"]`
					}
					_ = c.WriteMessage(websocket.TextMessage, []byte(text))
				})
			}, results.Classes{Expected: 58, Delivered: 54, Lost: 4, Duplicate: 4, Corrupt: 4}}, // by planted, of each of two streams
	} {
		t.Run(c.name, func(t *testing.T) {
			kafka := testkit.Kafka(t, 1, "t")
			target := startOddTarget(t, kafka.ListenAddrs(), c.target(t, kafka.ListenAddrs()))
			plan := enginePlan(target.url, kafka.ListenAddrs())
			plan.Phases.DrainDeadline = missingDrain
			plan.Gateway.Profile, plan.Producers = c.profile, nil
			plan.Clients[0].Publish = &scenarios.Publish{
				Name: "talk", Topic: "t", Rate: scenarios.Hold(50), Arrivals: scenarios.ArrivalsConstant,
				Size: scenarios.Size{Kind: scenarios.SizeFixed, Min: 120, Max: 120},
			}
			audit, _, events := runThrough(t, plan, nil)
			if got := classes(audit); got != c.want || len(audit.Defects) > 0 || audit.NeverJoinedCount > 0 {
				t.Errorf("got %+v, defects %q; want %+v; events %v", got, audit.Defects, c.want, events)
			}
		})
	}
}

// TestRefusedFraming: what a target says instead of yes is in the run's record.
func TestRefusedFraming(t *testing.T) {
	t.Parallel()
	for framing, say := range map[string]string{
		"stomp": "ERROR\nmessage:no such destination\n\nreally\x00", "socket.io": `44{"message":"no such token"}`,
	} {
		kafka := testkit.Kafka(t, 1, "t")
		target := startOddTarget(t, kafka.ListenAddrs(), &oddTarget{channel: byTopic, message: func(c *oddConn, _ int, text string) {
			if text == "" {
				_ = c.WriteMessage(websocket.TextMessage, []byte(say))
			}
		}})
		plan := enginePlan(target.url, kafka.ListenAddrs())
		plan.Gateway.Profile = scenarios.WireProfile{Channel: "{topic}", Framing: framing}
		plan.Phases.JoinDeadline = 500 * time.Millisecond
		e := newTestEngine(t, plan)
		if err := e.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), plan.Phases.JoinDeadline)
		err := e.Join(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "no such") || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: got %v; want the refusal", framing, err)
		}
	}
}

// FuzzFramings: what a target sends makes no frame of more than it, and no panic.
func FuzzFramings(f *testing.F) {
	f.Add([]byte("MESSAGE\r\nack:a\ncontent-length:3\n\na\x00b\x00"))
	f.Add([]byte("ERROR\n\n\x00\n"))
	f.Add([]byte(`451-/ns,12["a",{"_placeholder":true,"num":0}]`))
	f.Add([]byte(`"id":"a\"b"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, ok := parseStomp(text); ok {
			if s.size > len(text) || len(s.text) != s.size-1 || text[s.size-1] != 0 || !bytes.HasPrefix(text, s.text) {
				t.Fatalf("%q: got %+v", text, s)
			}
			if length := s.header("content-length"); length != nil {
				if n, err := strconv.Atoi(string(length)); err != nil || !bytes.HasSuffix(s.text, text[s.size-1-n:s.size-1]) {
					t.Fatalf("%q: got a body that is not of %s bytes", text, length)
				}
			}
		}
		if p, ok := parseSocketIO(text); ok && (p.attachments < 0 || p.attachments > maxAttachments || !bytes.HasSuffix(text, p.data)) {
			t.Fatalf("%q: got %+v", text, p)
		}
		for _, mark := range []string{`"id":`, `"id":"`, "id="} {
			id, end := newAcknowledgement("{id}", mark).find(text)
			if end > len(text) || len(id) > 0 && !bytes.HasSuffix(text[:end], id) {
				t.Fatalf("%q: got %q up to %d", text, id, end)
			}
		}
	})
}

func TestAcknowledgedIDs(t *testing.T) {
	for _, c := range []struct{ mark, text, want string }{
		{`"id":`, `{"id":17,"x":1}`, "17"}, {`"id":`, `{"id": 17}`, "17"}, {`"id":`, `{"id":"a\"b"}`, `a\"b`}, {`"id":"`, `{"id":"ab"}`, "ab"},
		{`id=`, "id=9\n", "9"}, {`id=`, "id=9", "9"}, {`id=`, `id="x y" `, "x y"}, {`"id":`, `{"id":null}`, ""}, {`"id":`, `{"id":"open`, ""}, {`"id":`, "{}", ""},
	} {
		if got, _ := newAcknowledgement("{id}", c.mark).find([]byte(c.text)); string(got) != c.want {
			t.Errorf("%s in %s: got %q; want %q", c.mark, c.text, got, c.want)
		}
	}
}

// TestStompFrames: what is no whole frame is none, and headers are read as the specification says.
func TestStompFrames(t *testing.T) {
	for text, want := range map[string]string{
		"MESSAGE\na:1\na:2\nack:x\\cy\n\nbody\x00":            "MESSAGE|x\\cy|body",
		"MESSAGE\r\nack:5\r\n\r\nbody\x00":                    "MESSAGE|5|body",
		"MESSAGE\ncontent-length:5\nack:1\n\na\x00b\x00c\x00": "MESSAGE|1|a\x00b\x00c",
		"RECEIPT\n\n\x00":                                     "RECEIPT||",
		"MESSAGE\ncontent-length:9\n\nbody\x00":               "",
		"MESSAGE\ncontent-length:3\n\nbody\x00":               "",
		"MESSAGE\ncontent-length:x\n\nbody\x00":               "",
		"MESSAGE\n\nbody":                                     "",
		"MESSAGE\nack:1\n":                                    "",
		"MESSAGE":                                             "",
	} {
		f, ok := parseStomp([]byte(text))
		got := ""
		if ok {
			_, body, _ := bytes.Cut(bytes.ReplaceAll(f.text, []byte("\r"), nil), []byte("\n\n"))
			got = fmt.Sprintf("%s|%s|%s", f.command, f.header("ack"), body)
		}
		if got != want {
			t.Errorf("%q: got %q; want %q", text, got, want)
		}
	}
	lane := stomp{}.lane(&publishFrame{}, &terms{channel: "a:b"})
	for value, want := range map[string]string{
		"v":      "SEND\ndestination:a\\cb\nreceipt:7\n\nv\x00",
		"v\x00w": "SEND\ndestination:a\\cb\nreceipt:7\ncontent-length:3\n\nv\x00w\x00",
	} {
		if got := string(lane.append(nil, 7, []byte(value))); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

// TestWireErrorsNameTheField: a framing knows what the profile can't say.
func TestWireErrorsNameTheField(t *testing.T) {
	for field, profile := range map[string]scenarios.WireProfile{
		"value":          {Value: "hex"},
		"framing":        {Framing: "mqtt"},
		"acknowledge_id": {Acknowledge: "{id}"},
		"acknowledge":    {Framing: "stomp", Channel: "{topic}", Acknowledge: "auto"},
		"greet":          {Framing: "stomp", Channel: "{topic}", Greet: []string{"login"}},
		"subscribe":      {Framing: "socket.io", Subscribe: "x"},
		"event":          {Event: "x", Channel: "{topic}"},
		"channel":        {Framing: "stomp"},
	} {
		plan := enginePlan("", nil)
		plan.Gateway.Profile = profile
		if _, err := compileProfile(plan); err == nil || !strings.HasPrefix(err.Error(), "gateway.profile."+field+":") {
			t.Errorf("%s: got %v; want the field named", field, err)
		}
	}
}
