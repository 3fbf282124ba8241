package testbed

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weirbench/weir/scenarios"
)

const (
	defaultListen = "127.0.0.1:0"
	readyzTimeout = 2 * time.Second // for one answer
	maxAnswer     = 4096            // of an answer, in bytes
)

// gatewayReady is the one line that the gateway writes to standard output when it runs as a child.
type gatewayReady struct {
	Ready bool   `json:"ready"`
	Addr  string `json:"addr"`
}

// startReference starts weir's own gateway as a child process and makes sure that it is this one that answers.
func startReference(ctx context.Context, plan scenarios.GatewayPlan, seeds []string, topics []string, o Options) (*Target, error) {
	listen := plan.Listen
	if listen == "" {
		listen = defaultListen
	}
	if err := checkFree(listen); err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	trust, err := trustOf(plan.Profile.TLS)
	if err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	deadline := time.Now().Add(plan.ReadyIn)
	instance := o.RunID + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	file, err := writeGatewayFile(o.Dir, o.instance, gatewayFile(plan, listen, instance, seeds, topics, o))
	if err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	if o.Dir == "" {
		defer os.Remove(file)
	}
	var ready gatewayReady
	child, err := startProcess(ctx, processSpec{
		name:       "gateway" + o.instance,
		executable: o.Executable,
		args:       []string{"gateway", "--child", "--config", file},
		logPath:    o.logPath("gateway" + o.instance),
	}, plan.ReadyIn, &ready)
	if err != nil {
		return nil, err
	}
	addr := dialable(ready.Addr)
	scheme := ""
	if plan.Config.TLS != nil {
		scheme = "s"
	}
	if err := awaitReadyz(ctx, child, "http"+scheme+"://"+addr, trust, instance, deadline); err != nil {
		_ = child.kill()
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	procs, err := follow([]int{child.pid()}, "")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start gateway: %w", err), child.kill())
	}
	t := &Target{URL: "ws" + scheme + "://" + addr + "/ws", Description: "reference gateway", part: child, procs: procs}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: trust}}
	stats := func(ctx context.Context) (ResourceUse, error) { return askStats(ctx, client, "http"+scheme+"://"+addr) }
	if m, err := startMeter(ctx, stats); err == nil { // a run can do without
		t.meter = m
	}
	return t, nil
}

// askStats asks the gateway for what nobody else knows of it: how many goroutines it has.
func askStats(ctx context.Context, client *http.Client, base string) (use ResourceUse, err error) {
	got, err := ask(ctx, client, base+"/stats")
	if err != nil {
		return use, err
	}
	var stats struct {
		Goroutines int `json:"goroutines"`
	}
	if err := json.Unmarshal(got.body, &stats); err != nil || got.code != http.StatusOK || stats.Goroutines <= 0 {
		return use, fmt.Errorf("/stats says %s: %q", got.status, cut(string(got.body), 200))
	}
	use.Goroutines = stats.Goroutines
	return use, nil
}

// answer is what was answered: the status and the body's beginning.
type answer struct {
	code   int
	status string
	body   []byte
}

// ask returns an answer, whatever its status.
func ask(ctx context.Context, client *http.Client, url string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return answer{resp.StatusCode, resp.Status, body}, err
}

// gatewayFile is what the gateway is told. It names where secrets are found: the child inherits the environment.
func gatewayFile(plan scenarios.GatewayPlan, listen, instance string, seeds, topics []string, o Options) scenarios.GatewayFile {
	return scenarios.GatewayFile{
		Listen: listen, InstanceID: instance, Brokers: seeds, Topics: topics, PublishTopics: o.Publish, Conflate: plan.Conflate,
		QueueBytes: plan.QueueBytes, SlowPolicy: plan.SlowPolicy, Security: o.Security, Settings: plan.Config,
	}
}

// writeGatewayFile writes the instance's gateway.yaml into the directory, or, where there is none, a file for the while of the start.
func writeGatewayFile(dir, instance string, file scenarios.GatewayFile) (path string, err error) {
	if dir != "" {
		path = filepath.Join(dir, "gateway"+instance+".yaml")
		return path, os.WriteFile(path, file.YAML(), 0o600)
	}
	f, err := os.CreateTemp("", "weir-gateway-*.yaml")
	if err != nil {
		return "", err
	}
	_, err = f.Write(file.YAML())
	return f.Name(), errors.Join(err, f.Close())
}

// dialable turns an address that is listened on into one to connect to.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// checkFree tells whose a fixed port is before the gateway fails on it.
func checkFree(listen string) error {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("read gateway.listen %q: %w (write host:port)", listen, err)
	}
	if port == "0" {
		return nil
	}
	return portFree(listen, "end that process, or set gateway.listen to 127.0.0.1:0 for a free port")
}

// portFree tries to listen at the address; where somebody does already the error says who, and the mend.
func portFree(address, mend string) error {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(address) // else it could not be listened at
		return fmt.Errorf("%s is taken%s: %w (%s)", address, portOwner(port), syscall.EADDRINUSE, mend)
	case err != nil:
		return fmt.Errorf("listen at %s: %w", address, err)
	}
	return l.Close()
}

// errStranger means that something answers that is not the gateway that was started.
var errStranger = errors.New("a stranger answers")

// awaitReadyz polls the gateway's readiness until it answers 200 as the instance that was started.
func awaitReadyz(ctx context.Context, child *process, base string, trust *tls.Config, instance string, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: trust}, Timeout: readyzTimeout}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		err := askReadyz(ctx, client, base, instance)
		if err == nil || errors.Is(err, errStranger) {
			return err
		}
		if last == nil || !cutShort(ctx) {
			last = err // an attempt that was cut short by the deadline says less than the one before
		}
		select {
		case <-tick.C:
		case <-child.exited:
			return child.endedEarly()
		case <-ctx.Done():
			return fmt.Errorf("it said that it listens at %s, but isn't ready in time: %w%s", base, last, child.lines.tail())
		}
	}
}

// askReadyz asks once. Not ready yet, or no answer, is an error that may pass.
func askReadyz(ctx context.Context, client *http.Client, base, instance string) error {
	got, err := ask(ctx, client, base+"/readyz")
	if err != nil {
		return err
	}
	var said struct {
		Instance string `json:"instance"`
	}
	parsed := json.Unmarshal(got.body, &said)
	if got.code == http.StatusServiceUnavailable && (parsed != nil || said.Instance == "" || said.Instance == instance) {
		return fmt.Errorf("/readyz says %s: %s", got.status, cut(strings.TrimSpace(string(got.body)), 200))
	}
	if parsed != nil || said.Instance != instance {
		return fmt.Errorf("%w at %s, not the gateway that was started as %s: /readyz says %s: %q (end it, or set gateway.listen to 127.0.0.1:0 for a free port)",
			errStranger, base, instance, got.status, cut(string(got.body), 200))
	}
	if got.code != http.StatusOK {
		return fmt.Errorf("/readyz says %s", got.status)
	}
	return nil
}
