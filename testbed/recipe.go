package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/weirbench/weir/scenarios"
)

// recipe is a target.yaml: how a target of targets/ is built and run.
type recipe struct {
	Description string `yaml:"description"`
	// Tools must be there before anything is built. Where one is not, Container takes the program's place, if there is one.
	Tools []tool `yaml:"tools"`
	// Build are commands without a shell, run one after the other in the unpacked folder.
	Build [][]string `yaml:"build"`
	Run   runRecipe  `yaml:"run"`
	// Files are written before the start, their placeholders filled in; {files} is the folder.
	Files     map[string]string        `yaml:"files"`
	Container *containerRecipe         `yaml:"container"`
	Variants  map[string]variantRecipe `yaml:"variants"`
}

// tool is a program that a target needs.
type tool struct {
	Name        string   `yaml:"name"`
	VersionArgs []string `yaml:"version_args"` // what has it say its version; none asks for none
	AtLeast     string   `yaml:"at_least"`     // 18, 3.9.1
	Hint        string   `yaml:"hint"`         // where it is to be had
}

// runRecipe is scenarios.CommandTarget, as a file has it.
type runRecipe struct {
	Args       []string          `yaml:"args"`
	Env        map[string]string `yaml:"env"`
	URL        string            `yaml:"url"`
	Ready      readyRecipe       `yaml:"ready"`
	StopSignal string            `yaml:"stop_signal"`
	StopIn     duration          `yaml:"stop_in"`
}

// containerRecipe is scenarios.ContainerTarget, as a file has it.
type containerRecipe struct {
	Image  string            `yaml:"image"`
	Args   []string          `yaml:"args"`
	Env    map[string]string `yaml:"env"`
	Port   int               `yaml:"port"`
	URL    string            `yaml:"url"`
	Ready  readyRecipe       `yaml:"ready"`
	StopIn duration          `yaml:"stop_in"`
}

type readyRecipe struct {
	URL  string `yaml:"url"`
	Port bool   `yaml:"port"`
	Log  string `yaml:"log"`
}

// variantRecipe is what a variant of a target adds.
type variantRecipe struct {
	Env map[string]string `yaml:"env"`
}

// duration is written as 500ms, 5s, 2m.
type duration time.Duration

// UnmarshalYAML reads a duration.
func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v <= 0 {
		return fmt.Errorf("line %d: %q is not a duration (write 5s)", n.Line, n.Value)
	}
	*d = duration(v)
	return nil
}

// readRecipe reads NAME/target.yaml.
func readRecipe(targets fs.FS, name string) (*recipe, error) {
	if targets == nil {
		return nil, errors.New("no targets are built into this weir")
	}
	file := name + "/target.yaml"
	data, err := fs.ReadFile(targets, file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var r recipe
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: it has more than one document", file)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return &r, nil
}

func (r *recipe) check() error {
	if len(r.Run.Args) == 0 {
		return errors.New("run.args names no program")
	}
	for i, t := range r.Tools {
		if t.Name == "" {
			return fmt.Errorf("tools[%d] has no name", i)
		}
		if _, err := parseVersion(t.AtLeast); t.AtLeast != "" && (err != nil || len(t.VersionArgs) == 0) {
			return fmt.Errorf("tools[%d]: at_least wants a version such as 18 or 3.9, and version_args", i)
		}
	}
	for i, step := range r.Build {
		if len(step) == 0 {
			return fmt.Errorf("build[%d] names no program", i)
		}
	}
	for name := range r.Files {
		if !fs.ValidPath(name) || name == "." || strings.Contains(name, "/") {
			return fmt.Errorf("files: %q is no file name", name)
		}
	}
	return nil
}

// variant is the environment of the variant. One must be named where there are any, since they are different targets.
func (r *recipe) variant(name string) (map[string]string, error) {
	v, ok := r.Variants[name]
	if ok || name == "" && len(r.Variants) == 0 {
		return v.Env, nil
	}
	known := strings.Join(slices.Sorted(maps.Keys(r.Variants)), " or ")
	switch {
	case known == "":
		return nil, fmt.Errorf("it has no variants (leave gateway.variant %q out)", name)
	case name == "":
		return nil, fmt.Errorf("it has variants (set gateway.variant to %s)", known)
	}
	return nil, fmt.Errorf("it has no variant %q (set gateway.variant to %s)", name, known)
}

// envVars is the variables of several maps, the later over the earlier.
func envVars(envs ...map[string]string) []scenarios.EnvVar {
	all := map[string]string{}
	for _, env := range envs {
		maps.Copy(all, env)
	}
	var vars []scenarios.EnvVar
	for _, name := range slices.Sorted(maps.Keys(all)) {
		vars = append(vars, scenarios.EnvVar{Name: name, Value: all[name]})
	}
	return vars
}

func (r readyRecipe) plan() scenarios.Ready {
	return scenarios.Ready{URL: r.URL, Port: r.Port, Log: r.Log}
}
