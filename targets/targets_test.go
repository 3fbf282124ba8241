package targets_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/targets"
)

var names = []string{"centrifugo", "node-ws", "spring-boot"}

// TestFiles: what a target is built and run from is embedded, and what building it makes is not.
func TestFiles(t *testing.T) {
	var got []string
	err := fs.WalkDir(targets.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	java := "spring-boot/src/main/java/com/github/weirbench/gateway/"
	want := []string{
		"centrifugo/profile.yaml", "centrifugo/target.yaml",
		"node-ws/channels.js", "node-ws/naive.js", "node-ws/package-lock.json", "node-ws/package.json", "node-ws/profile.yaml",
		"node-ws/server.js", "node-ws/shared.js", "node-ws/target.yaml",
		"spring-boot/pom.xml", "spring-boot/profile.yaml",
		java + "Channels.java", java + "Followers.java", java + "GatewayApplication.java", java + "KafkaSocketHandler.java",
		java + "ReadyController.java", java + "WebSocketConfiguration.java",
		"spring-boot/src/main/resources/application.yaml", "spring-boot/target.yaml",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestNodeWS runs the tests that are written in JavaScript; they need Node alone.
func TestNodeWS(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not on the PATH: the tests of node-ws are skipped")
	}
	if out, err := exec.Command(node, "--test", "node-ws/gateway.test.js").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLockFileNamesNoRegistry: the lock file pins versions and their digests, and takes them from wherever npm is told to.
func TestLockFileNamesNoRegistry(t *testing.T) {
	text, err := targets.Files.ReadFile("node-ws/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	for name, version := range map[string]string{"node_modules/kafkajs": "2.2.4", "node_modules/ws": "8.23.0"} {
		if got := lock.Packages[name]; got.Version != version || !strings.HasPrefix(got.Integrity, "sha512-") {
			t.Errorf("%s: got %+v; want version %s with its digest", name, got, version)
		}
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" {
			t.Errorf("%s: got resolved %q; want none (npm with the .npmrc of this folder leaves it out)", name, p.Resolved)
		}
	}
}

// description is what target.yaml may hold.
type description struct {
	Description string
	Tools       []struct {
		Name, Hint  string
		AtLeast     string   `yaml:"at_least"`
		VersionArgs []string `yaml:"version_args"`
	}
	Build [][]string
	Run   struct {
		Args       []string
		Env        map[string]string
		URL        string
		Ready      map[string]string
		StopSignal string `yaml:"stop_signal"`
		StopIn     string `yaml:"stop_in"`
	}
	Container *struct {
		Image  string
		Args   []string
		Port   int
		URL    string
		Ready  map[string]string
		StopIn string `yaml:"stop_in"`
	}
	Files    map[string]string
	Variants map[string]struct{ Env map[string]string }
}

var targetPlaceholder = regexp.MustCompile(`\{[a-z_]+\}`)

// TestTargetsAreDescribed: every description has the form that is read, its tools are named with a mend, and it holds no
// placeholder that nothing fills in.
func TestTargetsAreDescribed(t *testing.T) {
	for _, name := range names {
		text, err := targets.Files.ReadFile(path.Join(name, "target.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var d description
		decoder := yaml.NewDecoder(strings.NewReader(string(text)))
		decoder.KnownFields(true)
		if err := decoder.Decode(&d); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.Description == "" || len(d.Tools) == 0 || len(d.Run.Args) == 0 || !strings.HasPrefix(d.Run.URL, "ws://127.0.0.1:{port}/") {
			t.Errorf("%s: got %+v; want a description, tools, arguments and a URL on loopback", name, d)
		}
		for _, tool := range d.Tools {
			if tool.Name == "" || tool.Hint == "" || tool.AtLeast == "" || len(tool.VersionArgs) == 0 {
				t.Errorf("%s: got tool %+v; want its name, version and where it is found", name, tool)
			}
		}
		for _, hole := range targetPlaceholder.FindAllString(string(text), -1) {
			if !slices.Contains([]string{"{port}", "{host}", "{seeds}", "{topics}", "{run}", "{seeds_json}", "{topics_json}", "{files}"}, hole) {
				t.Errorf("%s: got the placeholder %s; want none that nothing fills in", name, hole)
			}
		}
	}
}

// TestCentrifugoConfigIsJSON: with its placeholders filled in.
func TestCentrifugoConfigIsJSON(t *testing.T) {
	text, err := targets.Files.ReadFile("centrifugo/target.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d description
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("{port}", "8000", "{host}", "127.0.0.1", "{seeds_json}", `["h:1"]`, "{topics_json}", `["a","b"]`, "{run}", "r").Replace(d.Files["config.json"])
	var config struct {
		HTTP struct {
			Address string
			Port    int
		} `json:"http_server"`
		Consumers []struct {
			Kafka struct {
				Brokers, Topics []string
				Group           string `json:"consumer_group"`
				Mode            struct {
					Enabled bool
					Header  string `json:"channels_header"`
				} `json:"publication_data_mode"`
			}
		}
	}
	if err := json.Unmarshal([]byte(filled), &config); err != nil {
		t.Fatalf("%v in\n%s", err, filled)
	}
	if len(config.Consumers) != 1 || config.HTTP.Port != 8000 || config.HTTP.Address != "127.0.0.1" {
		t.Fatalf("got %+v; want one consumer, the address and the port", config)
	}
	k := config.Consumers[0].Kafka
	if !slices.Equal(k.Brokers, []string{"h:1"}) || !slices.Equal(k.Topics, []string{"a", "b"}) || k.Group != "centrifugo-r" ||
		!k.Mode.Enabled || k.Mode.Header != channelsHeader {
		t.Errorf("got %+v; want the brokers, the topics, a group of the run's, and the header %s", k, channelsHeader)
	}
}

// TestProfilesAreRead: each profile is one that a scenario can name.
func TestProfilesAreRead(t *testing.T) {
	for _, name := range names {
		file := filepath.Join(t.TempDir(), "profile.yaml")
		if err := os.WriteFile(file, []byte(profileText(t, name)), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := scenarios.Load("quickstart", scenarios.Options{Sets: []string{
			"gateway={target: external, url: ws://127.0.0.1:1/, profile: " + file + "}",
		}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		plan, err := s.Resolve()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := plan.Gateway.Profile; got.Name != name || !strings.Contains(got.KeyChannel, "{key}") {
			t.Errorf("%s: got %+v; want a profile of that name that tells keys apart", name, got)
		}
	}
}

// TestSameWork: the scenarios that compare gateways hold what each of them needs: JSON, the header that Centrifugo
// publishes by, and no compression that kafkajs lacks.
func TestSameWork(t *testing.T) {
	files, err := filepath.Glob("../scenarios/gateways/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("got %q, %v; want three scenarios", files, err)
	}
	for _, file := range files {
		s, err := scenarios.Load(file, scenarios.Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		plan, err := s.Resolve()
		if err != nil {
			t.Error(err)
			continue
		}
		for i, p := range plan.Producers {
			if p.Compression != "none" && p.Compression != "gzip" {
				t.Errorf("%s: got compression %s; want one that kafkajs reads", file, p.Compression)
			}
			filled := strings.NewReplacer("{stamp}", "s", "{key}", "k", "{seq}", "1", "{pad}", "p").Replace(p.Payload.Template)
			if !json.Valid([]byte(filled)) {
				t.Errorf("%s: got the payload %s; want JSON", file, p.Payload.Template)
			}
			want := "{key}"
			if plan.Clients[i].Subscribe.All {
				want = "all"
			}
			if len(p.Headers) != 1 || p.Headers[0].Name != channelsHeader || p.Headers[0].Value != want {
				t.Errorf("%s: got headers %+v; want %s: %s", file, p.Headers, channelsHeader, want)
			}
		}
	}
}
