package testbed

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// versionTimeout is for a tool to say its version; a JVM takes a while on a machine under load.
const versionTimeout = 30 * time.Second

// missingError is a tool that is not there, or too old.
type missingError struct {
	target string
	tool   tool
	found  string // the version that is there; "" for none
}

// Error names the tool and where it is to be had.
func (e *missingError) Error() string {
	want := e.tool.Name
	if e.tool.AtLeast != "" {
		want += " " + e.tool.AtLeast + " or newer"
	}
	have := fmt.Sprintf("`%s` is not on the PATH: install it", e.tool.Name)
	if e.found != "" {
		have = fmt.Sprintf("`%s %s` says %s: install a newer one", e.tool.Name, strings.Join(e.tool.VersionArgs, " "), e.found)
	}
	if e.tool.Hint != "" {
		have += " (" + e.tool.Hint + ")"
	}
	return fmt.Sprintf("%s needs %s, and %s", e.target, want, have)
}

// checkTools looks for what the target needs; a *missingError for each that is not there as it should be.
func checkTools(ctx context.Context, target string, tools []tool) error {
	var errs []error
	for _, t := range tools {
		errs = append(errs, checkTool(ctx, target, t))
	}
	return errors.Join(errs...)
}

func checkTool(ctx context.Context, target string, t tool) error {
	path, err := exec.LookPath(t.Name)
	if err != nil {
		return &missingError{target: target, tool: t}
	}
	if t.AtLeast == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, t.VersionArgs...)
	cmd.WaitDelay = outputGrace
	env, hide := buildEnv("")
	cmd.Env = env
	out, err := cmd.CombinedOutput() // Java says it on standard error
	said := versionPattern.FindString(string(out))
	if err != nil || said == "" {
		if err == nil {
			err = errors.New("it names no version")
		}
		return fmt.Errorf("%s needs %s: ask for its version by `%s %s`: %w: %s",
			target, t.Name, t.Name, strings.Join(t.VersionArgs, " "), err, cut(strings.TrimSpace(hide.Text(string(out))), 200))
	}
	have, err := parseVersion(said)
	if err != nil {
		return fmt.Errorf("%s needs %s: %w", target, t.Name, err)
	}
	want, _ := parseVersion(t.AtLeast) // the recipe was checked
	if older(have, want) {
		return &missingError{target: target, tool: t, found: said}
	}
	return nil
}

var versionPattern = regexp.MustCompile(`\d+(\.\d+)*`)

// parseVersion reads numbers with dots between them.
func parseVersion(text string) ([]int, error) {
	var version []int
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no version", text)
		}
		version = append(version, n)
	}
	return version, nil
}

// older compares number by number; one that is missing is 0.
func older(have, want []int) bool {
	for i, w := range want {
		h := 0
		if i < len(have) {
			h = have[i]
		}
		if h != w {
			return h < w
		}
	}
	return false
}
