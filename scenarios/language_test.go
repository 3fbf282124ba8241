package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// rightScenarios returns the texts of the scenarios that are right, by file.
func rightScenarios(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/right/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v, %v; want files", files, err)
	}
	texts := map[string][]byte{}
	for _, file := range files {
		if texts[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

// decoded is a mapping that the decoder took apart.
type decoded struct {
	file    string
	shape   *shape
	path    string
	own     bool // in the scenario's own file
	asked   []string
	present map[string]entry
}

// decodedObjects decodes a scenario and returns every mapping in it.
func decodedObjects(t *testing.T, file string, data []byte) []decoded {
	t.Helper()
	var out []decoded
	o := headOptions("testdata/right", data)
	r := newReporter(source{name: file, text: string(data)})
	r.env = readEnvironment(r, o)
	r.watch = func(o *object) {
		out = append(out, decoded{file: file, shape: o.shape, path: o.at.path, own: o.r == r, asked: o.asked, present: o.entries})
	}
	if _, err := parse(r, data, o.Sets); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDecoderAsksForTheLanguage: the decoder asks for each key that the language has, in each mapping, and for no other.
func TestDecoderAsksForTheLanguage(t *testing.T) {
	visited := map[*shape]bool{}
	for file, data := range rightScenarios(t) {
		for _, d := range decodedObjects(t, file, data) {
			visited[d.shape] = true
			got, want := slices.Sorted(slices.Values(d.asked)), slices.Sorted(slices.Values(d.shape.names()))
			if d.shape.each == nil && !slices.Equal(got, want) {
				t.Errorf("%s in %s: got keys %v; want %v", d.shape.name, file, got, want)
			}
		}
	}
	for _, s := range allShapes() {
		if !visited[s] {
			t.Errorf("%s: got it in no right scenario; want every mapping of the language", s.name)
		}
	}
}

// problemsAt parses a scenario with one more override and returns what there is against the value at path.
func problemsAt(t *testing.T, d decoded, data []byte, path, value string) string {
	t.Helper()
	o := headOptions("testdata/right", data)
	o.LiftLimits = true
	o.Sets = append(o.Sets, path+"="+value)
	s, err := Parse(d.file, data, o)
	if err == nil {
		_, err = s.Resolve()
	}
	var found []string
	if problems, ok := err.(Errors); ok {
		for _, p := range problems {
			if p.Path == path {
				found = append(found, p.Message)
			}
		}
	}
	return strings.Join(found, "\n")
}

// TestDecoderKeepsTheBounds: of each value that has bounds or is one of some words, the decoder takes what the schema takes.
func TestDecoderKeepsTheBounds(t *testing.T) {
	const form = "is too"
	tried := map[*shape]bool{}
	for file, data := range rightScenarios(t) {
		for _, d := range decodedObjects(t, file, data) {
			if !d.own || tried[d.shape] || d.shape.choice || d.shape.each != nil {
				continue
			}
			tried[d.shape] = true
			for _, k := range d.shape.keys {
				path := join(d.path, k.name)
				for _, value := range k.words {
					if got := problemsAt(t, d, data, path, value); strings.Contains(got, "is not known here") {
						t.Errorf("%s=%s: got %s; want it taken", path, value, got)
					}
				}
				if k.kind == kindWord {
					if got := problemsAt(t, d, data, path, "nothing-known"); !strings.Contains(got, "is not known here") {
						t.Errorf("%s=nothing-known: got %q; want it refused", path, got)
					}
				}
				low, high, write := boundsOf(k)
				if write == nil || k.name == "version" || k.name == "seed" {
					continue
				}
				for value, refused := range map[int64]bool{low: false, high: false, low - 1: low > 0, high + 1: true} {
					if value < 0 || k.kind == kindRate && value == 0 {
						continue
					}
					got := problemsAt(t, d, data, path, write(value))
					if strings.Contains(got, form) != refused && !strings.Contains(got, "is no number of keys") {
						t.Errorf("%s=%s: got %q; want refused %t", path, write(value), got, refused)
					}
				}
			}
		}
	}
}

// boundsOf returns a key's bounds and how a value is written; nil for kinds without.
func boundsOf(k key) (low, high int64, write func(int64) string) {
	unit := map[kind]string{kindInt: "", kindDuration: "ns", kindRate: "/s", kindSize: "B"}
	suffix, ok := unit[k.kind]
	if !ok {
		return 0, 0, nil
	}
	return k.low, k.high, func(n int64) string { return fmt.Sprintf("%d%s", n, suffix) }
}

// TestDefaultsAreTheDescribedOnes: a key that is written with its default gives the plan that leaving it out gives.
func TestDefaultsAreTheDescribedOnes(t *testing.T) {
	tried := map[string]bool{}
	for file, data := range rightScenarios(t) {
		o := headOptions("testdata/right", data)
		without := resolved(t, file, data, o)
		for _, d := range decodedObjects(t, file, data) {
			for _, k := range d.shape.keys {
				if _, present := d.present[k.name]; present || k.fallback == "" || !d.own {
					continue
				}
				with := o
				with.Sets = append(slices.Clone(o.Sets), join(d.path, k.name)+"="+k.fallback)
				s, err := Parse(file, data, with)
				if err != nil {
					if strings.Contains(err.Error(), "alone") || strings.Contains(err.Error(), "has no use") || strings.Contains(err.Error(), "rate's messages") {
						continue // it has no meaning in this scenario
					}
					t.Fatal(err)
				}
				p, err := s.Resolve()
				if err != nil && strings.Contains(err.Error(), "alone") {
					continue
				}
				tried[d.shape.name+"."+k.name] = true
				if err != nil || !reflect.DeepEqual(p, without) {
					t.Errorf("%s: got another plan with %s=%s than without (%v)", file, join(d.path, k.name), k.fallback, err)
				}
			}
		}
	}
	for _, s := range allShapes() {
		for _, k := range s.keys {
			if k.fallback != "" && !tried[s.name+"."+k.name] {
				t.Errorf("%s.%s: got its default %s never tried", s.name, k.name, k.fallback)
			}
		}
	}
}

func resolved(t *testing.T, file string, data []byte, o Options) *Plan {
	t.Helper()
	s, err := Parse(file, data, o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The defaults that depend on something are said in words; these are the ones among them that are one value.
func TestDescribedDefaultsInWords(t *testing.T) {
	for where, want := range map[string]string{
		"kafka.image": defaultImage + " in Docker", "topic.retention": formatSize(defaultRetention), "gateway.listen": defaultListen,
		"gateway.queue": formatSize(defaultQueue), "gateway.slow_clients": slowDisconnect,
		"keys.skew": fmt.Sprintf("%g for zipf", defaultSkew), "keys.share": fmt.Sprintf("%g%% for hot-set", 100*defaultHotShare),
		"phases.connect": formatDuration(defaultConnectDeadline) + ", or 10 s more than connecting takes at the groups' rates",
		"phases.join":    formatDuration(defaultJoinDeadline), "phases.drain": formatDuration(defaultDrainDeadline),
		"phases.warm-up": formatDuration(defaultWarmUp) + "; " + formatDuration(defaultDockerWarmUp) +
			" for the docker provider, whose brokers have just started",
	} {
		name, keyName, _ := strings.Cut(where, ".")
		i := slices.IndexFunc(allShapes(), func(s *shape) bool { return s.name == name })
		if k, _ := allShapes()[i].key(keyName); k.depends != want {
			t.Errorf("%s: got %q; want %q", where, k.depends, want)
		}
	}
	if defaultWarmUp != 2*time.Second {
		t.Errorf("got a warm-up of %s; want 2s", defaultWarmUp)
	}
}
