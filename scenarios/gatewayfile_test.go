package scenarios

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/internal/settings"
)

const gatewaySchema = "../docs/gateway.schema.json"

// TestGatewaySchema holds docs/gateway.schema.json to the language; -update writes it anew.
func TestGatewaySchema(t *testing.T) {
	compareGolden(t, gatewaySchema, string(schemaOf(t, gatewayFileShape, "weir gateway")))
}

// TestGatewayGuide holds docs/GATEWAY.md to the language; -update writes it anew.
func TestGatewayGuide(t *testing.T) {
	page, err := template.ParseFiles("testdata/gateway.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	shapes := guideShapes(gatewayFileShape, "The file")
	var b strings.Builder
	err = page.Execute(&b, map[string]any{"Shapes": shapes, "FileBytes": formatSize(maxFileBytes), "Depth": maxDepth})
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "../docs/GATEWAY.md", b.String())
	checkTitles(t, shapes)
	blocks := strings.Split(b.String(), "```")
	for i := 1; i < len(blocks); i += 2 {
		if text, ok := strings.CutPrefix(blocks[i], "yaml\n"); ok {
			if _, err := parseGateway("guide.yaml", text, Options{}); err != nil {
				t.Errorf("got %v; want the guide's file right", err)
			}
		}
	}
}

func parseGateway(name, text string, o Options) (GatewayFile, error) {
	return parseGatewayFile(newReporter(source{name: name, text: text}), []byte(text), o)
}

// TestGatewayExample: docs/gateway.yaml is right, to the schema too, and the decoder asks for each key of each mapping in it.
func TestGatewayExample(t *testing.T) {
	const file = "../docs/gateway.yaml"
	f, err := LoadGatewayFile(file, Options{Env: []string{"HOSTNAME=host-7"}})
	if err != nil {
		t.Fatal(err)
	}
	if f.InstanceID != "host-7" || f.Security.TLS.CAFile != "../docs/certs/kafka-ca.pem" || f.Settings.Limits.FramesPerSecond != 100 {
		t.Errorf("got %+v; want what the file says", f)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if problem := schemaCheckerOf(t, schemaOf(t, gatewayFileShape, "")).text(data); problem != "" {
		t.Errorf("got %s; want it right to the schema", problem)
	}
	more := "consume: {group: g}\nkafka: {sasl: {mechanism: OAUTHBEARER, token: {file: a}}}\n" + "conflate: {a: 1s}\n"
	visited := map[*shape]bool{}
	for name, text := range map[string]string{"gateway.yaml": string(data), "more.yaml": more} {
		r := newReporter(source{name: name, text: text})
		r.watch = func(o *object) {
			visited[o.shape] = true
			got, want := slices.Sorted(slices.Values(o.asked)), slices.Sorted(slices.Values(o.shape.names()))
			if o.shape.each == nil && !slices.Equal(got, want) {
				t.Errorf("%s in %s: got keys %v; want %v", o.shape.name, name, got, want)
			}
		}
		if _, err := parseGatewayFile(r, []byte(text), Options{}); err != nil {
			t.Error(err)
		}
	}
	for _, s := range shapesOf(gatewayFileShape) {
		if !visited[s] {
			t.Errorf("%s: got it in no file; want every mapping of the language", s.name)
		}
	}
}

// TestWrongGatewayFiles holds every message to its golden file.
func TestWrongGatewayFiles(t *testing.T) {
	t.Chdir("testdata/gateway/wrong")
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("got %d wrong files (%v); want at least 6", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = LoadGatewayFile(file, headOptions("", data))
		var problems Errors
		if !errors.As(err, &problems) {
			t.Errorf("%s: got %v; want Errors", file, err)
			continue
		}
		shown := describeProblems(t, problems)
		if strings.Contains(shown, "CANARY") {
			t.Errorf("%s: got %s; want the secret not repeated", file, shown)
		}
		compareGolden(t, strings.TrimSuffix(file, ".yaml")+".golden", shown)
	}
}

func TestLoadGatewayFileRefuses(t *testing.T) {
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none.yaml"): "there is no such file", t.TempDir(): "is a directory", "": "--config: there is no such file",
	} {
		_, err := LoadGatewayFile(path, Options{})
		var problems Errors
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want one problem with %q", path, err, want)
		}
	}
}

// full is a file with every field set.
func full() GatewayFile {
	return GatewayFile{
		Listen: "0.0.0.0:80", InstanceID: "$HOME ${X}: 1", Brokers: []string{"a:1", "[::1]:2"}, Topics: []string{"1", "true", "a.b"},
		PublishTopics: []string{"null", "c"}, Conflate: []Conflation{{Topic: "a.b", Interval: 1500 * time.Microsecond}}, QueueBytes: 1<<20 + 1, SlowPolicy: slowDropOldest,
		Security: &KafkaSecurity{
			TLS:  &TLS{CAFile: "/ca", CertFile: "/cert", KeyFile: "/key", ServerName: "kafka.example.org"},
			SASL: &SASL{Mechanism: SASLOAuthBearer, Username: "1e3", Password: Secret{File: "/se cret"}, TokenURL: "https://id/token", Scope: "a b"},
		},
		Settings: settings.Gateway{
			Compression: true,
			Resume:      settings.Resume{Off: true, MemoryBytes: 1 << 30, Replays: 3, PositionsEvery: time.Minute},
			Consume:     settings.Consume{Group: "g", Routed: true, Member: "~", Protocol: "classic"},
			Batch:       []settings.Batch{{Topic: "true", Interval: time.Second, Bytes: 1 << 10}, {Topic: "1", Interval: 2 * time.Second, Bytes: 5000}},
			Publish: settings.Publish{MaxInFlight: 7, BufferBytes: 1 << 20, Linger: time.Millisecond, Dedup: time.Hour,
				Keys: map[string]string{"null": "", "c": "{subject}$"}},
			Limits: settings.Limits{Connections: -1, ConnectionsPerSource: 5, ChannelsPerClient: 6, PatternsPerClient: 4, MessageBytes: 129, FramesPerSecond: 8, SubscribesPerSecond: -1,
				QueueBytesTotal: 1 << 40},
			Timeouts: settings.Timeouts{Handshake: time.Second, Write: 2 * time.Second, Ping: 3 * time.Second, Close: 4 * time.Second, Drain: 5 * time.Second,
				DrainSpread: 6 * time.Second},
			Origins: settings.Origins{Allow: []string{"*", "https://a"}, RefuseNone: true},
			TLS:     &settings.TLS{CertFile: "/c", KeyFile: "/k"},
			Tokens:  &settings.Tokens{JWKSURL: "https://id/jwks", Issuer: "no", Audience: "2001-01-01", Anonymous: true},
			Permissions: []settings.Permission{
				{Channels: []string{"**", "a/{subject}"}, Claim: "c", Value: "0x10", Subscribe: true, Publish: true, Presence: true, Resume: true}, {Channels: []string{"*"}, Presence: true},
			},
			Trace: settings.Trace{Endpoint: "http://127.0.0.1:4318", Ratio: 0.25},
			Pprof: "127.0.0.1:6060",
		},
	}
}

// TestGatewayFileKeepsEveryField: a file with every field set is read back as it was written, and no field is left out of it.
func TestGatewayFileKeepsEveryField(t *testing.T) {
	f := full()
	leaves(t, "", reflect.ValueOf(f), map[string]bool{".Security.SASL.Token": true, ".Security.SASL.Password.Env": true,
		".Settings.Permissions[1].Claim": true, ".Settings.Permissions[1].Value": true, ".Settings.Permissions[1].Subscribe": true,
		".Settings.Permissions[1].Publish": true, ".Settings.Permissions[1].Resume": true, ".Settings.Tokens.HMACFile": true,
		".Settings.Tokens.JWKSFile": true})
	checkRoundTrip(t, f)
	for _, tokens := range []settings.Tokens{{HMACFile: "/h"}, {JWKSFile: "/j"}} { // one of the three sources at a time
		f.Settings.Tokens = &tokens
		checkRoundTrip(t, f)
	}
	f.Security = &KafkaSecurity{TLS: &TLS{}, SASL: &SASL{Mechanism: SASLOAuthBearer, Token: &Secret{Env: "TOKEN"}}}
	checkRoundTrip(t, f)
	f.Security = &KafkaSecurity{SASL: &SASL{Mechanism: SASLPlain, Username: "u", Password: Secret{Env: "P"}}}
	checkRoundTrip(t, f)
	checkRoundTrip(t, GatewayFile{})
}

// leaves requires that nothing but the fields named has its zero value.
func leaves(t *testing.T, path string, v reflect.Value, zero map[string]bool) {
	t.Helper()
	switch {
	case v.IsZero() != zero[path] && path != "":
		t.Errorf("%s: got zero %t; want %t", path, v.IsZero(), zero[path])
	case v.IsZero():
	case v.Kind() == reflect.Pointer:
		leaves(t, path, v.Elem(), zero)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			leaves(t, path+"."+v.Type().Field(i).Name, v.Field(i), zero)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			leaves(t, path+"["+string(rune('0'+i))+"]", v.Index(i), zero)
		}
	}
}

func checkRoundTrip(t interface {
	Helper()
	Errorf(string, ...any)
}, f GatewayFile,
) {
	t.Helper()
	text := string(f.YAML())
	got, err := parseGateway("/written.yaml", text, Options{Env: []string{"X=expanded", "HOME=/"}})
	if err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("got  %+v (%v)\nwant %+v\nby\n%s", got, err, f, text)
	}
	if again := string(got.YAML()); again != text {
		t.Errorf("got %s written again; want %s", again, text)
	}
}

// TestGatewayFileAnyText: texts that look like numbers, variables, comments or anchors are read back as they were.
func TestGatewayFileAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string {
			return rapid.OneOf(rapid.StringN(1, 20, -1), rapid.StringMatching(`[-~:#&*!|>'"%@${}\[\], 0-9a-fx.+_=<?\n\t]{1,12}`),
				rapid.SampledFrom([]string{"<<", "=", "yes", "off", "1:30", ".inf", "0o7", "null", "- a", "a: b", "a #b", "${A:-b}", "$$", " ", "\u0085", "\ufeff"})).
				Filter(func(s string) bool { return !strings.ContainsRune(s, '\x00') && !strings.ContainsRune(s, '\uFFFD') }).Draw(t, label)
		}
		f := GatewayFile{InstanceID: text("id"), Settings: settings.Gateway{
			Consume:     settings.Consume{Group: text("group"), Member: text("member")},
			Tokens:      &settings.Tokens{JWKSFile: "/j", Issuer: text("issuer"), Audience: text("audience")},
			Permissions: []settings.Permission{{Channels: []string{"**"}, Claim: text("claim"), Value: text("value"), Presence: true}},
		}}
		checkRoundTrip(t, f)
	})
}

// TestGatewayFilePathsAreAbsolute: written elsewhere, a file still means the same files.
func TestGatewayFilePathsAreAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f, err := parseGateway("conf/gateway.yaml", "tls: {cert_file: a.pem, key_file: /b.key}\n", Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseGateway("/elsewhere/gateway.yaml", string(f.YAML()), Options{})
	if want := filepath.Join(dir, "conf/a.pem"); err != nil || again.Settings.TLS.CertFile != want || again.Settings.TLS.KeyFile != "/b.key" {
		t.Errorf("got %+v, %v; want %s", again.Settings.TLS, err, want)
	}
}

// TestGatewayFileBombs holds the loader to the bounds that it has with scenarios.
func TestGatewayFileBombs(t *testing.T) {
	for name, text := range map[string]string{
		"conflations": "topics: [" + numbered("a", "", 9000) + "x]\nconflate: {" + numbered("t", ": 1s", 9000) + "}\n",
		"mistakes": "topics: [" + numbered("some-long-name-of-a-topic-", "", maxFileTopics-1) + "x]\nconflate: {" +
			numbered("another-long-name-of-a-topic-", ": 1s", maxFileTopics) + "}\n",
		"permissions": "permissions: [" + strings.Repeat("{channels: [a], allow: [publish]},", 5000) + "]\n",
		"batch":       "batch: {" + numbered("t", ": {interval: 1s}", 5000) + "}\n",
	} {
		start := time.Now()
		peak, err := peakOf(func() error {
			_, err := parseGateway("bomb.yaml", text, Options{})
			return err
		})
		t.Logf("%s: %s, %d MiB", name, time.Since(start), peak>>20)
		if took := time.Since(start); err == nil || took > 10*time.Second || peak > 64<<20 {
			t.Errorf("%s: got %v after %s with %d MiB; want it refused within the bounds", name, err, took, peak>>20)
		}
	}
}

// FuzzGatewayFile: no text panics, every mistake is an Errors, and what is right is written and read back as it was.
func FuzzGatewayFile(f *testing.F) {
	wrong, err := filepath.Glob("testdata/gateway/wrong/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(wrong, "../docs/gateway.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), "limits.connections=unlimited")
	}
	f.Add(string(full().YAML()), "batch.1.interval=5ms")
	f.Add("{}", "topics=a,b")
	f.Fuzz(func(t *testing.T, text, set string) {
		file, err := parseGateway("/fuzz.yaml", text, Options{Sets: []string{set}})
		if err == nil {
			checkRoundTrip(t, file)
			return
		}
		var problems Errors
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("got %v; want Errors", err)
		}
	})
}
