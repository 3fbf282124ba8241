package scenarios

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestPrecedence: flags win over the environment, that over a file of variables, that over the scenario.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "weir.env")
	if err := os.WriteFile(file, []byte("WEIR_SET__SEED=3\nN=30\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(strings.Replace(base, "gateway:\n", "", 1), "version: 1", "version: 1\nseed: ${N:-2}", 1)
	for _, c := range []struct {
		name string
		o    Options
		want uint64
	}{
		{"default of the substitution", Options{}, 2},
		{"file's variable", Options{EnvFile: file, Env: []string{"WEIR_SET__SEED=null", "WEIR_SET__SEED_=0"}}, 0},
		{"file's override", Options{EnvFile: file}, 3},
		{"environment", Options{EnvFile: file, Env: []string{"WEIR_SET__SEED=4"}}, 4},
		{"flag", Options{EnvFile: file, Env: []string{"WEIR_SET__SEED=4"}, Sets: []string{"seed=5"}}, 5},
		{"variable in a flag", Options{EnvFile: file, Sets: []string{"seed=${N}"}}, 30},
		{"environment's variable", Options{EnvFile: file, Env: []string{"N=40"}, Sets: []string{"seed=${N}"}}, 40},
		{"empty variable", Options{Env: []string{"N="}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse("base.yaml", []byte(text), c.o)
			if c.want == 0 {
				if err == nil || !strings.Contains(err.Error(), `unknown key "seed_"`) {
					t.Errorf("got %v; want the name with an underscore too many refused", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p, err := s.Resolve(); err != nil || p.Seed != c.want {
				t.Errorf("got %+v, %v; want seed %d", p, err, c.want)
			}
		})
	}
}

// TestEnvironmentOverrides: names in variables have no case and no hyphens.
func TestEnvironmentOverrides(t *testing.T) {
	text := strings.Replace(base, "gateway:\n", "", 1)
	for variable, got := range map[string]func(*Plan) any{
		"WEIR_SET__KAFKA__FINAL_READ=false":                  func(p *Plan) any { return !p.Kafka.FinalRead },
		"WEIR_SET__kafka__brokers=5":                         func(p *Plan) any { return p.Kafka.Brokers == 5 },
		"WEIR_SET__PHASES__WARM_UP=7s":                       func(p *Plan) any { return p.Phases.WarmUp == 7*time.Second },
		"WEIR_SET__KAFKA__TOPICS__A__B__PARTITIONS=9":        func(p *Plan) any { return p.Kafka.Topics[1].Partitions == 9 },
		"WEIR_SET__KAFKA__TOPICS__1__PARTITIONS=9":           func(p *Plan) any { return p.Kafka.Topics[1].Partitions == 9 },
		"WEIR_SET__CLIENTS__VIEWERS__SLOW={every: 1s}":       func(p *Plan) any { return p.Clients[0].Slow.Every == time.Second },
		"WEIR_SET__GATEWAY__GUARANTEES__ORDERED=false":       func(p *Plan) any { return !p.Gateway.Guarantees.Ordered },
		"WEIR_SET__PRODUCERS__FEED__KEYS__COUNT=60":          func(p *Plan) any { return p.Producers[0].Keys.Count == 60 },
		"WEIR_SET__PHASES__MEASURE__STEADY__RATES__FEED=5/s": func(p *Plan) any { return p.Phases.Measure[0].Rates["feed"] == Hold(5) },
	} {
		s, err := Parse("base.yaml", []byte(text), Options{Env: []string{variable, "OTHER=1"}})
		if err != nil {
			t.Errorf("%s: %v", variable, err)
			continue
		}
		p, err := s.Resolve()
		if err != nil || got(p) != true {
			t.Errorf("%s: got it without effect, or %v", variable, err)
		}
	}
}

func TestExpand(t *testing.T) {
	e := &environment{vars: map[string]variable{"A": {"1", "here"}, "E": {"", "here"}, "_x9": {"${A}", "here"}}}
	for text, want := range map[string]string{
		"${A}": "1", "a${A}b${A}": "a1b1", "$$": "$", "$${A}": "${A}", "$": "$", "$A": "$A", "5$": "5$", "${E}": "", "${E:-d}": "d",
		"${N:-}": "", "${N:-a:-b}": "a:-b", "${_x9}": "${A}", "${A:-d}": "1", "": "",
	} {
		if got, _, err := e.expand(text); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"${N}": "the variable N is not set", "${": "is not a variable", "${}": "is not a variable", "${9}": "is not a variable",
		"${A-b}": "is not a variable", "${A": "is not a variable", "${ A}": "is not a variable",
	} {
		if _, _, err := e.expand(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v; want %q", text, err, want)
		}
	}
}

// TestSubstitutedScalarsAreTyped: what was plain is read again, what was quoted stays text.
func TestSubstitutedScalarsAreTyped(t *testing.T) {
	r := newReporter(source{name: "x"})
	r.env.vars = map[string]variable{"N": {"5", "from the environment"}}
	root, ok := parseTree(r, place{}, []byte("a: ${N}\nb: \"${N}\"\nc: x${N}\nd: ${E:-}\n$N: k\n${N}: k\n"))
	if !ok || len(r.problems) > 0 {
		t.Fatalf("got %v; want it parsed", r.problems)
	}
	var got []string
	for i := 0; i < len(root.children); i += 2 {
		got = append(got, root.children[i].value+" "+root.children[i+1].tag+" "+root.children[i+1].value)
	}
	want := []string{"a !!int 5", "b !!str 5", "c !!str x5", "d !!null ", "$N !!str k", "${N} !!str k"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestReadEnvFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.env")
	text := "\uFEFF# comment\n\nA=1\nB = no\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadEnvFile(file); err == nil || !strings.Contains(err.Error(), "a.env:4:1: is not a variable") {
		t.Errorf("got %v, %v; want line 4 refused", got, err)
	}
	text = "A=1\nB=\"x # \\\"y\\\" \\n\"  # comment\nC='a\\n # b'\nD=plain text # comment\nE=a#b\r\nF=\nG= # nothing\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"A=1", "B=x # \"y\" \n", `C=a\n # b`, "D=plain text", "E=a#b", "F=", "G="}
	if got, err := ReadEnvFile(file); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for path, want := range map[string]string{dir: "is a directory", filepath.Join(dir, "none"): "there is no such file"} {
		if _, err := ReadEnvFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q", path, err, want)
		}
	}
}

// FuzzEnvFile: no line panics, and what is read has a name.
func FuzzEnvFile(f *testing.F) {
	for _, seed := range []string{"A=1", "A='x'", `A="\n"`, "A= #", "=", "A", "A=\"", "A='a' b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		name, _, err := parseEnvLine(strings.TrimSpace(line))
		if err == nil && name != "" && !variableForm.MatchString(name) {
			t.Errorf("got name %q; want one of a variable", name)
		}
	})
}
