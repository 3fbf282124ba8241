package testbed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weirbench/weir/scenarios"
)

const (
	builtStamp = ".weir-built" // in the folder of a target that was built to its end
	lockEvery  = 100 * time.Millisecond

	defaultBuildIn = 10 * time.Minute // where the plan says nothing
)

// startBuilt starts a target of targets/: it is unpacked and built once for each version of its folder, and then run as a
// command is; or, where its tools are not there and it names an image, as a container.
func startBuilt(ctx context.Context, plan scenarios.GatewayPlan, seeds, topics []string, o Options) (*Target, error) {
	name := string(plan.Target)
	fail := func(err error) (*Target, error) { return nil, fmt.Errorf("start target %s: %w", name, err) }
	r, err := readRecipe(o.Targets, name)
	if err != nil {
		return fail(err)
	}
	variant, err := r.variant(plan.Variant)
	if err != nil {
		return fail(err)
	}
	describe := name
	if plan.Variant != "" {
		describe += " (" + plan.Variant + ")"
	}
	missing := checkTools(ctx, name, r.Tools)
	if wrong := (*missingError)(nil); missing != nil && (r.Container == nil || !errors.As(missing, &wrong)) {
		return fail(missing)
	}
	if missing != nil {
		c := r.Container
		plan.Container = &scenarios.ContainerTarget{
			Image: c.Image, Args: c.Args, Env: envVars(c.Env, variant), Port: c.Port, URL: c.URL, Ready: c.Ready.plan(),
			StopIn: time.Duration(c.StopIn),
		}
		t, err := startContainer(ctx, &plan, describe+", container "+c.Image, r.Files, seeds, topics, o)
		if err != nil {
			return fail(fmt.Errorf("%w; nor does its image do: %w", missing, err))
		}
		return t, nil
	}
	dir, err := build(ctx, name, r, plan.BuildIn, o)
	if err != nil {
		return fail(err)
	}
	plan.Command = &scenarios.CommandTarget{
		Args: r.Run.Args, Dir: dir, Env: envVars(r.Run.Env, variant), URL: r.Run.URL, Ready: r.Run.Ready.plan(),
		StopSignal: r.Run.StopSignal, StopIn: time.Duration(r.Run.StopIn),
	}
	t, err := startCommand(ctx, &plan, describe, r.Files, seeds, topics, o)
	if err != nil {
		return fail(err)
	}
	return t, nil
}

// build unpacks the target's folder into the cache and builds it, unless that has been done, within the time. Of two that
// build the same one waits for the other. On an error neither the folder nor a lock is left.
func build(ctx context.Context, name string, r *recipe, buildIn time.Duration, o Options) (dir string, err error) {
	files, err := fs.Sub(o.Targets, name)
	if err != nil {
		return "", err
	}
	sum, err := contentSum(files)
	if err != nil {
		return "", fmt.Errorf("read its folder: %w", err)
	}
	cache, err := cacheFolder(o)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, name+"-"+sum)
	ctx, cancel := boundBuild(ctx, buildIn)
	defer cancel()
	waited := false
	unlock, err := lockFile(ctx, dir+".lock", func() {
		waited = true
		o.log("another run builds " + name + ": waiting for it")
	})
	if err != nil && waited {
		return "", fmt.Errorf("wait for another run, which builds it (the lock is %s.lock): %w", dir, err)
	}
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, builtStamp)); err == nil {
		return dir, nil
	}
	if err := makeIn(ctx, name, dir, files, r, o); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// makeIn unpacks the files into the folder and runs the steps there.
func makeIn(ctx context.Context, name, dir string, files fs.FS, r *recipe, o Options) error {
	if err := os.RemoveAll(dir); err != nil { // what a weir that was killed has left
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return fmt.Errorf("unpack it: %w", err)
	}
	for _, step := range r.Build {
		o.log(fmt.Sprintf("building %s, once for this version: %s", name, strings.Join(step, " ")))
		if err := buildStep(ctx, dir, step, o); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, builtStamp), nil, 0o644)
}

// cacheFolder is where targets are built.
func cacheFolder(o Options) (string, error) {
	cache := o.Cache
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a folder to build it in: %w", err)
		}
		cache = filepath.Join(user, "weir", "targets")
	}
	return cache, os.MkdirAll(cache, 0o755)
}

// boundBuild bounds what is made before a target can start. The cause says what to do about it.
func boundBuild(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	if within <= 0 {
		within = defaultBuildIn
	}
	return context.WithTimeoutCause(ctx, within, fmt.Errorf(
		"not done within %v (is the package registry reached, or does it take a proxy? set gateway.build_in to give it longer)", within))
}

// buildStep runs one command in the folder, in the environment that docs/TARGETS.md lists. Nothing of it is left when it
// returns.
func buildStep(ctx context.Context, dir string, step []string, o Options) error {
	env, hide := buildEnv(o.RunID)
	spec := processSpec{
		name: "build (" + step[0] + ")", executable: step[0], args: step[1:], dir: dir, env: env, hide: hide.Text,
		logPath: o.logPath("target-build"), foreign: true, signal: signalNumber(defaultStopSignal),
	}
	g, err := startGuarded(ctx, spec, o)
	if err != nil {
		return err
	}
	_ = g.child.stdin.Close() // nobody answers questions
	select {
	case <-g.child.exited:
	case <-ctx.Done():
		killErr := g.kill()
		return errors.Join(fmt.Errorf("build by `%s`: %w%s", strings.Join(step, " "), context.Cause(ctx), g.child.lines.tail()), killErr)
	}
	_ = g.kill() // what it left: a build tool's daemon, as Gradle's, is no failure of the build
	if state := g.child.cmd.ProcessState; !state.Success() {
		return fmt.Errorf("build by `%s`: %s%s", strings.Join(step, " "), state, g.child.lines.tail())
	}
	return nil
}

// contentSum tells versions of a folder apart: 16 hexadecimal digits of its files' names and contents.
func contentSum(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%q %d\n%s", path, len(data), data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:8]), err
}

// writeFiles writes the target's files, their placeholders filled in, into the run directory, and adds their folder to the
// placeholders.
func writeFiles(files map[string]string, p placing, o Options) (placing, error) {
	if len(files) == 0 {
		return p, nil
	}
	dir := o.Dir
	if dir == "" {
		return p, errors.New("write its files: there is no run directory")
	}
	dir, err := filepath.Abs(filepath.Join(dir, "target"))
	if err != nil {
		return p, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return p, err
	}
	p.files = dir
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(p.fill(text)), 0o644); err != nil {
			return p, err
		}
	}
	return p, nil
}
