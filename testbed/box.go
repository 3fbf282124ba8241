package testbed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/weirbench/weir/scenarios"
)

// createIn is for Docker to make and start a container whose image is there.
const createIn = 2 * time.Minute

// boxFiles is the folder in a container that weir's files for it are put into.
const boxFiles = "/weir"

// box is how a target's container is made.
type box struct {
	image   string
	args    []string
	env     targetEnv
	place   placing
	host    bool // this machine's network
	network string
	files   map[string]string
	runID   string
}

// newBox chooses ports and network.
func newBox(c *scenarios.ContainerTarget, image string, files map[string]string, seeds, topics []string, o Options) (*box, error) {
	b := &box{image: image, files: files, runID: o.RunID, host: c.HostNetwork}
	switch {
	case b.host:
	case o.Network != "":
		b.network, seeds = o.Network, o.NetworkSeeds
	case loopbackSeeds(seeds):
		b.host = true
		o.log("the brokers are at loopback addresses: the target's container gets this machine's network (host_network)")
	}
	free, err := freePort()
	if err != nil {
		return nil, err
	}
	b.place = placing{port: c.Port, published: free, seeds: seeds, topics: topics, run: o.RunID, files: boxFiles}
	if c.Port == 0 {
		b.place.port = free
	}
	b.place.bridged = !b.host
	if b.host {
		b.place.published = b.place.port
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(b.place.port))
		if err := portFree(address, "end that process, or give the target another port"); err != nil {
			return nil, err
		}
	}
	if b.env, err = newTargetEnv(c.Env, b.place); err != nil {
		return nil, err
	}
	b.args = b.place.fillAll(c.Args)
	return b, nil
}

// inside is the target's port as Docker names it.
func (b *box) inside() network.Port {
	return network.MustParsePort(strconv.Itoa(b.place.port) + "/tcp")
}

func (b *box) request() testcontainers.GenericContainerRequest {
	req := testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{
			Image: b.image, Cmd: b.args, Env: b.env.vars,
			Name:   "weir-" + b.runID + "-target",
			Labels: map[string]string{targetLabel: b.runID},
			HostConfigModifier: func(h *container.HostConfig) {
				if b.host {
					h.NetworkMode = "host"
					return
				}
				h.PortBindings = network.PortMap{b.inside(): {{
					HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), HostPort: strconv.Itoa(b.place.published),
				}}}
				if b.network != "" {
					h.NetworkMode = container.NetworkMode(b.network)
				}
			},
		},
		Logger: log.NewNoopLogger(),
	}
	if !b.host {
		req.ExposedPorts = []string{b.inside().String()}
	}
	if b.network != "" && !b.host {
		req.Networks = []string{b.network}
		req.NetworkAliases = map[string][]string{b.network: {"target"}}
	}
	for name, text := range b.files {
		req.Files = append(req.Files, testcontainers.ContainerFile{
			Reader: strings.NewReader(b.place.fill(text)), ContainerFilePath: boxFiles + "/" + name, FileMode: 0o644,
		})
	}
	return req
}

// runWithin is run, for as long as Docker may take.
func (b *boxed) runWithin(ctx context.Context, box *box) error {
	ctx, cancel := context.WithTimeoutCause(ctx, createIn, fmt.Errorf("not started within %v (is Docker overloaded?)", createIn))
	defer cancel()
	if err := b.run(ctx, box); err != nil {
		return causeOr(ctx, err)
	}
	return nil
}

// run makes and starts the container. One that could not be started is removed, so that another try may have its name.
func (b *boxed) run(ctx context.Context, box *box) error {
	c, err := testcontainers.GenericContainer(ctx, box.request())
	if err != nil {
		return err
	}
	id := c.GetContainerID()
	if _, err := b.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeIn)
		defer cancel()
		_, _ = b.api.ContainerRemove(removeCtx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}) // Stop looks again
		return err
	}
	b.id = id
	info, err := b.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	if pid := info.Container.State.Pid; runsContainer(pid, id) {
		b.pid = pid
	}
	return nil
}

// runsContainer reports whether the process of that number on this machine is of the container. Docker may run on another,
// such as a virtual one.
func runsContainer(pid int, id string) bool {
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return pid > 0 && err == nil && strings.Contains(string(groups), id)
}

// image is the plan's, pulled where it isn't there, or the one that is built from the plan's folder. That is kept, under a
// name of the folder's own, so that a next run builds only what has changed.
func (b *boxed) image(ctx context.Context, c *scenarios.ContainerTarget, buildIn time.Duration, o Options) (string, error) {
	if buildIn <= 0 {
		buildIn = defaultBuildIn
	}
	if c.Image != "" {
		return c.Image, pullImage(ctx, b.api, c.Image, buildIn, o.log, "mend gateway.container.image, build it, or set gateway.build_in to give it longer")
	}
	ctx, cancel := boundBuild(ctx, buildIn)
	defer cancel()
	folder, err := filepath.Abs(c.Build)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(folder, "Dockerfile")); err != nil {
		return "", fmt.Errorf("build an image from %s: %w (gateway.container.build is a folder with a Dockerfile)", c.Build, err)
	}
	o.log("building the target's image from " + c.Build)
	lines, err := newLineSink(o.logPath("target-build"))
	if err != nil {
		return "", err
	}
	defer lines.close()
	out := &lineWriter{line: lines.add}
	p, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(log.NewNoopLogger()))
	if err != nil {
		return "", err
	}
	defer p.Close()
	sum := sha256.Sum256([]byte(folder))
	image, err := p.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		Context: folder, Repo: "weir-target-" + hex.EncodeToString(sum[:6]), Tag: "latest", KeepImage: true, BuildLogWriter: out,
	}})
	out.end()
	if err != nil {
		return "", fmt.Errorf("build an image from %s: %w%s", c.Build, causeOr(ctx, err), lines.tail())
	}
	return image, nil
}

// stats asks Docker what the container uses, where its processes are not on this machine. The memory is without the page
// cache that can be given back, as `docker stats` shows it.
func (b *boxed) stats(ctx context.Context) (ResourceUse, error) {
	r, err := b.api.ContainerStats(ctx, b.id, client.ContainerStatsOptions{})
	if err != nil {
		return ResourceUse{}, err
	}
	defer r.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		return ResourceUse{}, fmt.Errorf("read the container's use: %w", err)
	}
	memory := s.MemoryStats.Usage
	for _, cache := range []string{"inactive_file", "total_inactive_file"} { // cgroup 2 and 1
		if n, ok := s.MemoryStats.Stats[cache]; ok && n < memory {
			memory -= n
			break
		}
	}
	return ResourceUse{CPUSeconds: float64(s.CPUStats.CPUUsage.TotalUsage) / 1e9, RSSBytes: int64(memory)}, nil
}
