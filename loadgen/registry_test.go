package loadgen

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

// schemaPlan is enginePlan with a payload by a schema.
func schemaPlan(url string, seeds []string, payload scenarios.Payload, registry *scenarios.Registry) *scenarios.Plan {
	plan := enginePlan(url, seeds)
	plan.Producers[0].Payload = payload
	plan.Producers[0].Size = scenarios.Size{Kind: scenarios.SizeUniform, Min: 128, Max: 3000}
	plan.Kafka.Registry = registry
	return plan
}

// TestSchemaMessagesReachTheClients: values in the registry's framing, none of them text, are all delivered and intact,
// and what the gateway changed is found; the topic holds what the registry's readers can read.
func TestSchemaMessagesReachTheClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, message, subject string }{{"all.avsc", "", ""}, {"all.proto", "Outer.All", "trades"}} {
		for _, corrupt := range []bool{false, true} {
			t.Run(c.file+map[bool]string{true: " corrupt"}[corrupt], func(t *testing.T) {
				kafka := testkit.Kafka(t, 1, "t")
				fault := func(d testkit.Delivery) testkit.Action {
					if corrupt && d.Data && d.Nth%7 == 3 {
						return testkit.Action{Do: testkit.Corrupt}
					}
					return testkit.Action{}
				}
				gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1, Fault: fault})
				fake := srfake.New()
				defer fake.Close()
				fake.SeedSchema("other", 1, 0x01020303, sr.Schema{Schema: `"int"`})
				payload := schemaPayload(t, c.file, c.message, "pad")
				payload.Schema.Subject = c.subject
				plan := schemaPlan(gateway.URL(), kafka.ListenAddrs(), payload, &scenarios.Registry{URL: fake.URL()})
				audit := runWhole(t, plan)

				if len(audit.Rows) != 1 || len(audit.Defects) > 0 {
					t.Fatalf("got rows %+v, defects %q; want one row and no defects", audit.Rows, audit.Defects)
				}
				row, counts := audit.Rows[0], gateway.Counts()
				if row.Expected == 0 || row.Delivered != row.Expected || row.Foreign+row.Stray+row.Duplicate+row.Early > 0 {
					t.Errorf("got %+v; want all of them delivered", row.Classes)
				}
				if row.Corrupt != counts.Corrupt || (counts.Corrupt > 0) != corrupt {
					t.Errorf("got %d corrupt; want the %d that the gateway changed", row.Corrupt, counts.Corrupt)
				}
				subject := map[bool]string{true: "t-value", false: c.subject}[c.subject == ""]
				registered, ok := fake.GetSchema(subject, 1)
				if !ok || registered.Schema.Schema != payload.Schema.Text || registered.ID != 0x01020304 {
					t.Fatalf("the registry has %+v as %s, %v; want the schema", registered, subject, ok)
				}
				checkSchemaTopic(t, kafka.ListenAddrs(), payload)
			})
		}
	}
}

// checkSchemaTopic decodes all that is in the topic, markers too.
func checkSchemaTopic(t *testing.T, seeds []string, payload scenarios.Payload) {
	t.Helper()
	markers := 0
	for _, r := range topicRecords(t, seeds) {
		var s Stamp
		at, err := s.FindStamp(r.Value, 0)
		if err != nil || at < 0 {
			t.Fatalf("%q has no stamp", r.Value)
		}
		if s.Kind != KindData {
			markers++
		}
		body := bodyOf(t, r.Value, &schemaValues{zigzag: payload.Kind == scenarios.PayloadAvro})
		read := readAvro
		if payload.Kind == scenarios.PayloadProtobuf {
			read = readProto(payload.Schema.Message)
		}
		if stamp, _ := read(t, body); stamp != string(r.Value[at:at+StampSize]) {
			t.Fatalf("the stamp's field holds %q", stamp)
		}
	}
	if markers == 0 {
		t.Error("there are no markers")
	}
}

// startWith starts an engine with the registry and returns what that said.
func startWith(ctx context.Context, t *testing.T, registry *scenarios.Registry, payload scenarios.Payload) error {
	t.Helper()
	plan := schemaPlan("ws://127.0.0.1:1/", []string{"127.0.0.1:1"}, payload, registry)
	topo, err := newTopology(plan, 1, func(s string) string { return s + ".run7" }, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newSender(topo, 0, newRecorderPool())
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{options: Options{Plan: plan}, topo: topo, producers: []*producer{p}}
	return e.registerSchemas(ctx)
}

// TestRegistration: what is sent to the registry, who as, and what becomes of its answers.
func TestRegistration(t *testing.T) {
	const password = "pa55 word/%?"
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	payload := schemaPayload(t, "all.proto", "Outer.All", "")
	secret := &scenarios.Secret{File: file}
	for _, c := range []struct {
		name     string
		registry scenarios.Registry
		status   int
		answer   string
		want     string
	}{
		{"taken", scenarios.Registry{Username: "weir", Password: secret}, 200, `{"id":7}`, ""},
		{"anonymous", scenarios.Registry{}, 401, `{"error_code":401,"message":"Unauthorized"}`, "it asks who we are (write kafka.registry.username and password)"},
		{"refused", scenarios.Registry{Username: "weir", Password: secret}, 401, `{"error_code":401,"message":"` + password + ` is wrong"}`, `it refused user "weir" (mend kafka.registry.username or password)`},
		{"forbidden", scenarios.Registry{Username: "weir", Password: secret}, 403, `{"message":"not with ` + password + `"}`, `user "weir" may not register schemas there: not with [secret] (give it the right to, or write a subject that it may write)`},
		{"no registry", scenarios.Registry{}, 404, `<html>`, "there is nothing there that takes schemas (does kafka.registry.url name a schema registry?)"},
		{"incompatible", scenarios.Registry{}, 409, `{"error_code":409,"message":"Schema being registered is incompatible with an earlier schema"}`,
			"the subject has another schema, which this one is not compatible with: Schema being registered is incompatible with an earlier schema (write another subject, or change the schema)"},
		{"invalid", scenarios.Registry{}, 422, `{"error_code":42201,"message":"Invalid schema"}`, "it takes no such schema: Invalid schema (change the schema)"},
		{"broken", scenarios.Registry{}, 500, strings.Repeat("x", 1000), "status 500: " + strings.Repeat("x", maxRegistryText) + "…"},
		{"moved", scenarios.Registry{Username: "weir", Password: secret}, 307, ``, "it points to another address with status 307 (write that as kafka.registry.url)"},
		{"no id", scenarios.Registry{}, 200, `{}`, "it gave no id (is this a schema registry's URL?)"},
		{"without end", scenarios.Registry{}, 200, `{"id":7,"x":"` + strings.Repeat("x", maxRegistryAnswer) + `"}`, "unable to decode ok response body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirection was followed") }))
			defer elsewhere.Close()
			var asked map[string]any
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if err := json.Unmarshal(body, &asked); err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/subjects/t.run7-value/versions" {
					t.Errorf("got %s %s %s, %v", r.Method, r.URL, body, err)
				}
				user, given, ok := r.BasicAuth()
				if ok != (c.registry.Password != nil) || ok && (user != "weir" || given != password) {
					t.Errorf("got user %q, password %q", user, given)
				}
				w.Header().Set("Location", elsewhere.URL)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			}))
			defer server.Close()
			c.registry.URL = server.URL + "/api"
			err := startWith(t.Context(), t, &c.registry, payload)
			if asked["schema"] != payload.Schema.Text || asked["schemaType"] != "PROTOBUF" {
				t.Errorf("got %v; want the schema", asked)
			}
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := "payload of p: register all.proto as subject t.run7-value at the schema registry " + c.registry.URL + ": " + c.want
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Fatalf("got %v\nwant %s", err, want)
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

// TestRegistryOutOfReach: a registry that is down, is none, has no password or a certificate that nobody vouches for.
func TestRegistryOutOfReach(t *testing.T) {
	payload := schemaPayload(t, "all.avsc", "", "")
	down := httptest.NewServer(nil)
	down.Close()
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":1}`) }))
	defer tls.Close()
	tls.Config.ErrorLog = nil
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		registry *scenarios.Registry
		want     string
	}{
		{"none", nil, "a payload by a schema needs a schema registry (write kafka.registry: {url: 'http://127.0.0.1:8081'})"},
		{"no URL", &scenarios.Registry{URL: "::"}, "the schema registry's URL is none (write kafka.registry.url as http://127.0.0.1:8081)"},
		{"down", &scenarios.Registry{URL: down.URL}, "connection refused (is it up, and does kafka.registry.url name it?)"},
		{"no password", &scenarios.Registry{URL: down.URL, Username: "weir", Password: &scenarios.Secret{Env: "WEIR_TEST_NOT_SET"}},
			"the password for the schema registry " + down.URL + ": the environment variable WEIR_TEST_NOT_SET is not set (export it, or name a file)"},
		{"a stranger's certificate", &scenarios.Registry{URL: tls.URL}, "certificate signed by unknown authority"},
		{"no CA", &scenarios.Registry{URL: tls.URL, CAFile: filepath.Join(t.TempDir(), "none.pem")}, "schema registry " + tls.URL + ": read the CA: "},
		{"TLS", &scenarios.Registry{URL: tls.URL, CAFile: ca}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := startWith(t.Context(), t, c.registry, payload)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
}

// TestStartFailsWithTheRegistry: a run does not begin without the schema's id, and nothing of it stays.
func TestStartFailsWithTheRegistry(t *testing.T) {
	kafka := testkit.Kafka(t, 1, "t")
	down := httptest.NewServer(nil)
	down.Close()
	plan := schemaPlan("ws://127.0.0.1:1/", kafka.ListenAddrs(), schemaPayload(t, "all.avsc", "", ""), &scenarios.Registry{URL: down.URL})
	e, err := Start(t.Context(), Options{Plan: plan, Seeds: kafka.ListenAddrs(), URL: "ws://127.0.0.1:1/", TopicName: func(s string) string { return s }, Partitions: map[string]int{"t": 1}})
	if err == nil || e != nil || !strings.Contains(err.Error(), "register all.avsc as subject t-value") {
		t.Errorf("got %v; want the registration's error", err)
	}
}

// TestRegistryThatHangs: the end of the run's context ends the waiting, with its reason.
func TestRegistryThatHangs(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("interrupted")
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // without which the server does not see the client go
		cancel(reason)
		<-r.Context().Done()
	}))
	defer server.Close()
	if err := startWith(ctx, t, &scenarios.Registry{URL: server.URL}, schemaPayload(t, "all.avsc", "", "")); !errors.Is(err, reason) {
		t.Errorf("got %v; want the context's reason", err)
	}
}
