package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	deadline := time.Now().Add(plan.ReadyIn)
	instance := o.RunID + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	told := referenceRun{plan, listen, instance, seeds, topics, o.Publish, o.Security}
	var ready gatewayReady
	child, err := startProcess(ctx, processSpec{
		name:       "gateway",
		executable: o.Executable,
		args:       told.args(),
		logPath:    o.logPath("gateway"),
	}, plan.ReadyIn, &ready)
	if err != nil {
		return nil, err
	}
	addr := dialable(ready.Addr)
	if err := awaitReadyz(ctx, child, addr, instance, deadline); err != nil {
		_ = child.kill()
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	return &Target{URL: "ws://" + addr + "/ws", Description: "reference gateway", part: child, pids: []int{child.pid()}}, nil
}

// referenceRun is all that the reference gateway is told.
type referenceRun struct {
	plan             scenarios.GatewayPlan
	listen, instance string
	seeds            []string
	topics, publish  []string // by their names in Kafka, as in plan.Conflate
	security         *scenarios.KafkaSecurity
}

// args is the child's command line.
func (r referenceRun) args() []string {
	plan := r.plan
	args := []string{
		"gateway", "--listen", r.listen, "--brokers", strings.Join(r.seeds, ","), "--topics", strings.Join(r.topics, ","),
		"--instance-id", r.instance, "--child",
	}
	if plan.QueueBytes > 0 {
		args = append(args, "--queue-bytes", strconv.FormatInt(plan.QueueBytes, 10))
	}
	if plan.SlowPolicy != "" {
		args = append(args, "--slow-clients", plan.SlowPolicy)
	}
	for _, t := range r.publish {
		args = append(args, "--publish", t)
	}
	for _, c := range plan.Conflate {
		args = append(args, "--conflate", c.Topic+"="+c.Interval.String())
	}
	return append(args, securityArgs(r.security)...)
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
		return fmt.Errorf("%s is taken%s (%s)", address, portOwner(port), mend)
	case err != nil:
		return fmt.Errorf("listen at %s: %w", address, err)
	}
	return l.Close()
}

// errStranger means that something answers that is not the gateway that was started.
var errStranger = errors.New("a stranger answers")

// awaitReadyz polls the gateway's readiness until it answers 200 as the instance that was started.
func awaitReadyz(ctx context.Context, child *process, addr, instance string, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: readyzTimeout}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		err := askReadyz(ctx, client, addr, instance)
		if err == nil || errors.Is(err, errStranger) {
			return err
		}
		if last == nil || ctx.Err() == nil {
			last = err // an attempt that was cut short by the deadline says less than the one before
		}
		select {
		case <-tick.C:
		case <-child.exited:
			return child.endedEarly()
		case <-ctx.Done():
			return fmt.Errorf("it said that it listens at %s, but isn't ready in time: %w%s", addr, last, child.lines.tail())
		}
	}
}

// askReadyz asks once. Not ready yet, or no answer, is an error that may pass.
func askReadyz(ctx context.Context, client *http.Client, addr, instance string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	var answer struct {
		Instance string `json:"instance"`
	}
	parsed := json.Unmarshal(body, &answer)
	if resp.StatusCode == http.StatusServiceUnavailable && (parsed != nil || answer.Instance == "" || answer.Instance == instance) {
		return fmt.Errorf("/readyz says %s: %s", resp.Status, cut(strings.TrimSpace(string(body)), 200))
	}
	if parsed != nil || answer.Instance != instance {
		return fmt.Errorf("%w at %s, not the gateway that was started as %s: /readyz says %s: %q (end it, or set gateway.listen to 127.0.0.1:0 for a free port)",
			errStranger, addr, instance, resp.Status, cut(string(body), 200))
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz says %s", resp.Status)
	}
	return nil
}
