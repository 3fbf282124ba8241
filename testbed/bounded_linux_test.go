package testbed

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/weirbench/weir/scenarios"
)

// hangingStep is a build step that says that it hangs, and who it is, and never ends.
const hangingStep = `  - [sh, -c, "touch half-made; echo $$ > %; echo asking the registry; sleep 600 & wait"]`

// wantNothingLeft checks that of the run no process, and of the build no folder and no lock is left.
func wantNothingLeft(t *testing.T, o Options) {
	t.Helper()
	if left := sweep(o.RunID, 0, 0); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
	if left, err := os.ReadDir(o.Cache); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v in the cache; want nothing", left, err)
	}
}

// TestBuildHangs: a build that never ends, as npm does behind a proxy that takes connections and answers nothing.
func TestBuildHangs(t *testing.T) {
	t.Parallel()
	said := filepath.Join(t.TempDir(), "pid")
	o := builtOptions(t, recipeText(t, strings.Replace(hangingStep, "%", said, 1)))
	plan := scenarios.GatewayPlan{Target: scenarios.TargetNodeWS, Variant: "naive", ReadyIn: time.Minute, BuildIn: 2 * time.Second}
	_, err := StartTarget(t.Context(), plan, nil, nil, o)
	wantText(t, err, "start target node-ws: build by `sh -c", "not done within 2s", "set gateway.build_in", "its last lines", "asking the registry")
	wantNothingLeft(t, o)
}

// TestBuildInterrupted: Ctrl-C while a build hangs ends it at once.
func TestBuildInterrupted(t *testing.T) {
	t.Parallel()
	said := filepath.Join(t.TempDir(), "pid")
	o := builtOptions(t, recipeText(t, strings.Replace(hangingStep, "%", said, 1)))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted")
	go func() {
		defer cancel(cause)
		for tick := time.Tick(10 * time.Millisecond); ctx.Err() == nil; <-tick {
			if _, err := os.Stat(said); err == nil {
				return
			}
		}
	}()
	plan := scenarios.GatewayPlan{Target: scenarios.TargetNodeWS, Variant: "naive", ReadyIn: time.Minute, BuildIn: time.Hour}
	if _, err := StartTarget(ctx, plan, nil, nil, o); !errors.Is(err, cause) {
		t.Errorf("got %v; want the context's cause", err)
	}
	wantNothingLeft(t, o)
}

// TestBuildWaitsBounded: the wait for another run's build is a part of the time, and leaves that run its lock.
func TestBuildWaitsBounded(t *testing.T) {
	t.Parallel()
	o := builtOptions(t, recipeText(t, ""))
	r, err := readRecipe(o.Targets, "node-ws")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := contentSum(mustSub(t, o.Targets, "node-ws"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Cache, "node-ws-"+sum+".lock")
	unlock, err := lockFile(t.Context(), path, func() {})
	if err != nil {
		t.Fatal(err)
	}
	_, err = build(t.Context(), "node-ws", r, 50*time.Millisecond, o)
	wantText(t, err, "wait for another run, which builds it (the lock is "+path+")", "not done within 50ms", "gateway.build_in")
	if _, err := os.Stat(path); err != nil {
		t.Errorf("got %v; want the other's lock to be there", err)
	}
	unlock()
	if _, err := build(t.Context(), "node-ws", r, time.Minute, o); err != nil {
		t.Errorf("got %v once the other is done", err)
	}
	if locks, _ := filepath.Glob(filepath.Join(o.Cache, "*.lock")); len(locks) > 0 {
		t.Errorf("got %q; want no lock to be left", locks)
	}
}

// TestBuildEnvironment: a build has what tools need, and nothing else of the user's shell; logins are not in its log.
func TestBuildEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"WEIR_TEST_PASSWORD": "canary-of-kafka", "AWS_SECRET_ACCESS_KEY": "canary-of-aws", "NPM_CONFIG__AUTH": "canary-of-npm",
		"HTTPS_PROXY": "http://user:canary-of-proxy@127.0.0.1:1", "MAVEN_OPTS": "-Xmx1g", "npm_config_registry": "http://127.0.0.1:1/", "JAVA_HOME": "/java",
	} {
		t.Setenv(name, value)
	}
	o := builtOptions(t, recipeText(t, `  - [sh, -c, "env; echo $NPM_CONFIG__AUTH > auth; false"]`))
	_, err := startTestBuilt(t, "naive", o)
	wantText(t, err, "PATH=", "HOME=", "MAVEN_OPTS=-Xmx1g", "npm_config_registry=http://127.0.0.1:1/", "JAVA_HOME=/java", envRun+"="+o.RunID,
		"NPM_CONFIG__AUTH=[secret]", "HTTPS_PROXY=http://[secret]@127.0.0.1:1")
	for _, canary := range []string{"canary", "WEIR_TEST", "AWS_"} {
		if strings.Contains(err.Error(), canary) {
			t.Errorf("got %q in %v", canary, err)
		}
		if text, err := os.ReadFile(filepath.Join(o.Dir, "target-build.log")); err != nil || strings.Contains(string(text), canary) {
			t.Errorf("got %q in the log %q, %v", canary, text, err)
		}
	}
}

// TestDockerBuildHangs: a step of a Dockerfile that never ends; its container goes with it.
func TestDockerBuildHangs(t *testing.T) {
	api := requireDocker(t)
	folder := t.TempDir()
	mark := "weir-test-" + options(t).RunID
	file := "FROM " + testImage() + "\nRUN echo building; echo " + mark + "; exec sleep 600\n"
	if err := os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t)
	plan := scenarios.GatewayPlan{
		Target: scenarios.TargetContainer, ReadyIn: time.Minute, BuildIn: 8 * time.Second,
		Container: &scenarios.ContainerTarget{Build: folder, Port: 1, URL: "ws://127.0.0.1:{port}/"},
	}
	_, err := StartTarget(t.Context(), plan, nil, nil, o)
	wantText(t, err, "build an image from "+folder, "not done within 8s", "set gateway.build_in", "its last lines", mark)
	if n := labelledTargets(t, api, o.RunID); n != 0 {
		t.Errorf("%d containers are left", n)
	}
	wantNoBuild(t, api, mark)
}

// wantNoBuild waits for the container of a build's step to go.
func wantNoBuild(t *testing.T, api *client.Client, mark string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.Tick(50 * time.Millisecond); ; {
		all, err := api.ContainerList(ctx, client.ContainerListOptions{All: true})
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, c := range all.Items {
			if strings.Contains(c.Command, mark) {
				left++
			}
		}
		if left == 0 {
			return
		}
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatalf("%d containers of the build are left", left)
		}
	}
}

// TestDockerPullHangs: a registry that takes connections and answers nothing.
func TestDockerPullHangs(t *testing.T) {
	requireDocker(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := options(t)
	image := l.Addr().String() + "/silent:1"
	plan := scenarios.GatewayPlan{
		Target: scenarios.TargetContainer, ReadyIn: time.Minute, BuildIn: 2 * time.Second,
		Container: &scenarios.ContainerTarget{Image: image, Port: 1, URL: "ws://127.0.0.1:{port}/"},
	}
	_, err = StartTarget(t.Context(), plan, nil, nil, o)
	wantText(t, err, "pull image "+image, "not done within 2s: does its registry answer?", "gateway.build_in")
}

func mustSub(t *testing.T, files fs.FS, name string) fs.FS {
	t.Helper()
	sub, err := fs.Sub(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}
