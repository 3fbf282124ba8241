package loadgen

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// planted does to each client's messages what a bad target would: of the data messages number 5 is left out, number 9
// sent twice, and number 13 changed in one byte outside its stamp.
func planted(values [][]byte) (sent [][]byte) {
	var s Stamp
	for _, v := range values {
		at, err := s.FindStamp(v, 0)
		switch {
		case at < 0 || err != nil || s.Kind != KindData:
		case s.PartSeq == 5:
			continue
		case s.PartSeq == 9:
			sent = append(sent, v)
		case s.PartSeq == 13:
			v = bytes.Clone(v)
			v[at+StampSize+2] ^= 1
		}
		sent = append(sent, v)
	}
	return sent
}

// plantedClasses is the account of two clients of enginePlan's 30 messages from a target that does what planted does.
func plantedClasses() results.Classes {
	return results.Classes{Expected: 60, Delivered: 58, Lost: 2, Duplicate: 2, Corrupt: 2}
}

// plantedPlan has values that JSON escapes.
func plantedPlan(target *oddTarget, profile scenarios.WireProfile, seeds []string) *scenarios.Plan {
	plan := enginePlan(target.url, seeds)
	plan.Phases.DrainDeadline = missingDrain
	plan.Gateway.Profile = profile
	plan.Producers[0].Payload = scenarios.Payload{Kind: scenarios.PayloadTemplate, Template: "{\"\\ü\n<{seq}>\":\"{stamp}\",\t\"€\":\"\\\"\U0001F30A{pad}\"}"}
	plan.Producers[0].Size = scenarios.Size{Kind: scenarios.SizeFixed, Min: 300, Max: 300}
	return plan
}

func onlyTopic(*http.Request) []string { return []string{"t"} }

// TestWireForms: what a target does wrong is found to the message however the messages travel.
func TestWireForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		profile scenarios.WireProfile
		target  func() *oddTarget
		check   func(t *testing.T, o *oddTarget)
	}{
		{"escaped", scenarios.WireProfile{Value: "json"}, func() *oddTarget {
			return &oddTarget{channel: byTopic, subscribed: onlyTopic, frames: eachAs(func(v []byte) []byte {
				text, _ := json.Marshal(map[string]string{"data": "Message: " + string(v) + "."})
				return text
			})}
		}, nil},
		{"base64, several a frame", scenarios.WireProfile{Value: "base64", Separator: "\n"}, func() *oddTarget {
			return &oddTarget{channel: byTopic, subscribed: onlyTopic, frames: func(values [][]byte) [][]byte {
				var lines [][]byte
				for i, v := range planted(values) {
					encoding := []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding}[i%2]
					lines = append(lines, fmt.Appendf(nil, `{"key":"a2V5","value":"%s"}`, encoding.EncodeToString(v)))
				}
				if len(lines) == 0 {
					return nil // what was to be sent was left out
				}
				return [][]byte{bytes.Join(lines, []byte("\n"))}
			}}
		}, nil},
		{"compressed", scenarios.WireProfile{Deflate: true}, func() *oddTarget {
			o := &oddTarget{channel: byTopic, subscribed: onlyTopic, frames: eachAs(bytes.Clone)}
			o.upgrader.EnableCompression = true
			return o
		}, nil},
		{"acknowledged", scenarios.WireProfile{Acknowledge: `{"ack":"{id}"}`, AcknowledgeID: `"id":`}, acknowledgedTarget, awaitAcknowledged},
		{"stomp", scenarios.WireProfile{Channel: "/topic/{topic}", Framing: "stomp", Acknowledge: "client-individual", Greet: []string{"login:{client}"}}, stompTarget, awaitAcknowledged},
		{"socket.io", scenarios.WireProfile{Channel: "{topic}", Framing: "socket.io", Event: "follow", Value: "json", Acknowledge: `["ok"]`, Greet: []string{`{"who":"{client}"}`}}, func() *oddTarget {
			return socketIOTarget(false)
		}, awaitAcknowledged},
		{"socket.io, binary", scenarios.WireProfile{Channel: "{topic}", Framing: "socket.io", Event: "follow", Value: "json"}, func() *oddTarget { return socketIOTarget(true) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits out the drain deadline, for what was dropped
			kafka := testkit.Kafka(t, 1, "t")
			target := startOddTarget(t, kafka.ListenAddrs(), c.target())
			plan := plantedPlan(target, c.profile, kafka.ListenAddrs())
			audit, _, events := runThrough(t, plan, nil)
			if len(audit.Rows) != 1 || audit.Rows[0].Classes != plantedClasses() || len(audit.Defects) > 0 || audit.NeverJoinedCount > 0 {
				t.Errorf("got %+v, defects %q; want %+v; events %v", audit.Rows, audit.Defects, plantedClasses(), events)
			}
			for _, e := range events {
				if e.Kind != results.EventPhase && e.Kind != results.EventGC {
					t.Errorf("got the event %v; want none but those of phases and collections", e)
				}
			}
			if c.check != nil {
				c.check(t, target)
			}
		})
	}
}

// eachAs makes a frame of each value that is sent.
func eachAs(wrap func(value []byte) []byte) func([][]byte) [][]byte {
	return func(values [][]byte) (frames [][]byte) {
		for _, v := range planted(values) {
			frames = append(frames, wrap(v))
		}
		return frames
	}
}

// acknowledgedTarget counts what it sends in wanted, and the acknowledgements, each right one once, in got.
func acknowledgedTarget() *oddTarget {
	o := &oddTarget{channel: byTopic, subscribed: onlyTopic}
	o.send = func(c *oddConn, values [][]byte) {
		for _, v := range planted(values) {
			c.wanted++
			text := fmt.Appendf(nil, `{"id":"m\"%d","v":%s}`, c.wanted, v)
			if c.wanted%2 == 0 {
				text = fmt.Appendf(nil, `{"v":%s,"id": %d}`, v, c.wanted)
			}
			_ = c.WriteMessage(websocket.TextMessage, text)
		}
	}
	o.message = func(c *oddConn, _ int, text string) {
		want := fmt.Sprintf(`{"ack":"m\"%d"}`, c.got+1)
		if c.got%2 == 1 {
			want = fmt.Sprintf(`{"ack":"%d"}`, c.got+1)
		}
		if text == want {
			c.got++
		}
	}
	return o
}

// awaitAcknowledged waits until each message was acknowledged, in order. The target's connections have closed by then.
func awaitAcknowledged(t *testing.T, o *oddTarget) {
	t.Helper()
	testkit.Eventually(t, "the clients close their connections", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.conns) == 0
	})
	if len(o.past) != 2 {
		t.Fatalf("the target had %d connections; want 2", len(o.past))
	}
	for _, c := range o.past {
		if c.wanted < 30 || c.got != c.wanted {
			t.Errorf("%d of %d messages were acknowledged in their order", c.got, c.wanted)
		}
	}
}

// stompTarget is written from the specification of STOMP 1.2.
func stompTarget() *oddTarget {
	o := &oddTarget{channel: byTopic}
	o.message = func(c *oddConn, _ int, text string) {
		head, _, _ := strings.Cut(text, "\n\n")
		lines := strings.Split(head, "\n")
		switch {
		case text == "":
		case lines[0] == "CONNECT" && strings.Contains(head, "\naccept-version:1.2") && strings.Contains(head, "\nhost:127.0.0.1") && strings.Contains(head, "\nlogin:g-"):
			_ = c.WriteMessage(websocket.TextMessage, []byte("CONNECTED\r\nversion:1.2\r\nheart-beat:10000,0\r\n\r\n\x00\n"))
		case head == "SUBSCRIBE\nid:0\ndestination:/topic/t\nack:client-individual" && strings.HasSuffix(text, "\n\n\x00"):
			_ = c.WriteMessage(websocket.TextMessage, []byte("\n"))
		case text == "\n": // the answer to the heart-beat: nothing comes without
			c.channels["t"] = true
		case text == fmt.Sprintf("ACK\nid:a\\c%d\n\n\x00", c.got+1):
			c.got++
		default:
			c.got = -1 << 20
		}
	}
	o.send = func(c *oddConn, values [][]byte) {
		var frames []byte
		for _, v := range planted(values) {
			c.wanted++
			frames = fmt.Appendf(frames, "MESSAGE\nsubscription:0\nmessage-id:%d\nack:a\\c%d\ndestination:/topic/t\n", c.wanted, c.wanted)
			if c.wanted%2 == 0 {
				frames = fmt.Appendf(frames, "content-length:%d\n", len(v))
			}
			frames = append(append(append(frames, '\n'), v...), "\x00\n"...)
		}
		_ = c.WriteMessage(websocket.TextMessage, frames)
	}
	return o
}

// socketIOTarget is written from the documents of Engine.IO 4 and Socket.IO 5.
func socketIOTarget(binary bool) *oddTarget {
	o := &oddTarget{channel: byTopic}
	o.message = func(c *oddConn, _ int, text string) {
		say := func(text string) { _ = c.WriteMessage(websocket.TextMessage, []byte(text)) }
		switch {
		case text == "":
			say(`0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
		case strings.HasPrefix(text, "40"):
			if binary || strings.HasPrefix(text, `40{"who":"g-`) {
				say(`40{"sid":"def"}`)
			}
		case text == `42["follow","t"]`:
			say("2")
		case text == "3": // nothing comes to who does not answer
			c.channels["t"] = true
			say("6")
		case text == fmt.Sprintf(`43%d["ok"]`, c.got+1):
			c.got++
		default:
			c.got = -1 << 20
		}
	}
	o.send = func(c *oddConn, values [][]byte) {
		for _, v := range planted(values) {
			c.wanted++
			if binary {
				_ = c.WriteMessage(websocket.TextMessage, []byte(`451-["m",{"_placeholder":true,"num":0}]`))
				_ = c.WriteMessage(websocket.BinaryMessage, v)
				continue
			}
			text, _ := json.Marshal([]string{"m", string(v)})
			_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "42%d%s", c.wanted, text))
		}
	}
	return o
}

// TestOverTLS: the certificate is verified, the client shows its own, the account is exact and the run's record says whose
// time the receive stamps are.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	pki := testkit.NewPKI(t, "ca")
	server, client := pki.Issue("server"), pki.Issue("client")
	kafka := testkit.Kafka(t, 1, "t")
	target := startOddTarget(t, kafka.ListenAddrs(), &oddTarget{channel: byTopic, subscribed: onlyTopic, frames: eachAs(bytes.Clone), tls: &tls.Config{
		Certificates: []tls.Certificate{server.Pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pki.Pool,
	}})
	profile := scenarios.BareProfile()
	profile.TLS = &scenarios.TLS{CAFile: pki.CAFile, CertFile: client.CertFile, KeyFile: client.KeyFile}
	plan := plantedPlan(target, profile, kafka.ListenAddrs())
	e := newTestEngine(t, plan)
	for _, verb := range []func(context.Context) error{e.Connect, e.Join, e.Load} {
		if err := verb(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	e.Drain(t.Context())
	audit, health, err := e.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(audit.Rows) != 1 || audit.Rows[0].Classes != plantedClasses() || len(audit.Defects) > 0 {
		t.Errorf("got %+v, defects %q; want %+v", audit.Rows, audit.Defects, plantedClasses())
	}
	if health.ReceiveTimestamps != "program" || e.collector.total(results.CountReads, func(results.Label) bool { return true }) == 0 {
		t.Errorf("the receive stamps are said to be those of the %s; want the program", health.ReceiveTimestamps)
	}
}

// TestTLSErrorsNameTheMend: whatever stands in the way of trust.
func TestTLSErrorsNameTheMend(t *testing.T) {
	t.Parallel()
	pki, other := testkit.NewPKI(t, "ca"), testkit.NewPKI(t, "other")
	client := pki.Issue("client")
	kafka := testkit.Kafka(t, 1, "t")
	start := func(edit ...func(*x509.Certificate)) string {
		return startOddTarget(t, kafka.ListenAddrs(), &oddTarget{channel: byTopic, tls: &tls.Config{
			Certificates: []tls.Certificate{pki.Issue("server", edit...).Pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pki.Pool,
		}}).url
	}
	good := scenarios.TLS{CAFile: pki.CAFile, CertFile: client.CertFile, KeyFile: client.KeyFile}
	with := func(change func(*scenarios.TLS)) *scenarios.TLS {
		c := good
		change(&c)
		return &c
	}
	plain := startOddTarget(t, kafka.ListenAddrs(), &oddTarget{channel: byTopic}).url
	for _, c := range []struct {
		name, url string
		tls       *scenarios.TLS
		want      string
	}{
		{"unknown authority", start(), &scenarios.TLS{CAFile: other.CAFile}, "gateway.profile.tls.ca)"},
		{"system's authorities", start(), nil, "gateway.profile.tls.ca)"},
		{"another name", start(), with(func(c *scenarios.TLS) { c.ServerName = "gateway.example" }), "gateway.profile.tls.server_name"},
		{"expired", start(testkit.Expired(time.Now().Add(-time.Minute))), &good, "clock"},
		{"no TLS there", "wss" + strings.TrimPrefix(plain, "ws"), &good, "ws://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := tlsConfig(c.tls)
			if err != nil {
				t.Fatal(err)
			}
			d := bareDialer(Options{})
			d.tls = config
			_, _, err = d.dial(t.Context(), call{url: c.url, shown: c.url})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want it to name %s", err, c.want)
			}
		})
	}
	if _, err := tlsConfig(with(func(c *scenarios.TLS) { c.KeyFile = "" })); err == nil || !strings.Contains(err.Error(), "gateway.profile.tls") {
		t.Errorf("got %v of a certificate without a key; want the field named", err)
	}
}
