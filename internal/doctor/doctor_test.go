package doctor

import (
	"context"
	"errors"
	"math"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// files is a file system from path and content in turn.
func files(pairs ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fs[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fs
}

// good is a machine that lacks nothing.
func good() Machine {
	return Machine{
		Files: files(
			"proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n",
			"proc/sys/net/ipv4/ip_local_reserved_ports", "\n",
			"proc/sys/net/core/somaxconn", "4096\n",
			"proc/sys/net/ipv4/tcp_tw_reuse", "2\n",
			"proc/meminfo", "MemTotal:       24000000 kB\nMemAvailable:   20971520 kB\n",
			"sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n",
			"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n",
		),
		Cores:       8,
		Descriptors: func() (uint64, uint64, bool) { return 1024, 1_048_576, true },
		Tables:      func() error { return nil },
		Clock: func() (ClockState, bool) {
			return ClockState{Synchronised: true, MaxError: 1500 * time.Microsecond}, true
		},
		Timing: func(context.Context) (Timing, bool) {
			return Timing{Realtime: true, Waits: 500, P50: 30 * time.Microsecond, P99: 60 * time.Microsecond}, true
		},
		Busy:   func(context.Context) (float64, float64, bool) { return 0.03, 0, true },
		Stamps: func(context.Context) (bool, error) { return true, nil },
		Docker: func(context.Context, string) testbed.DockerState {
			return testbed.DockerState{Version: "28.2.2", Present: true}
		},
		Disk:   func(string) (uint64, error) { return 50 << 30, nil },
		Kafka:  func(context.Context, *scenarios.Plan) error { return nil },
		Target: func(context.Context, *scenarios.Plan) error { return nil },
	}
}

// with is a machine with some files changed; an empty content takes the file away.
func with(pairs ...string) Machine {
	m := good()
	fs := m.Files.(fstest.MapFS)
	for path, file := range files(pairs...) {
		fs[path] = file
		if len(file.Data) == 0 {
			delete(fs, path)
		}
	}
	return m
}

// planOf is a library scenario with some values set.
func planOf(t *testing.T, sets ...string) *scenarios.Plan {
	t.Helper()
	s, err := scenarios.Load("quickstart", scenarios.Options{Sets: sets})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func general(*testing.T) Needs { return Needs{Clients: 20_000, RunsDir: "results/runs"} }

func forPlan(sets ...string) func(*testing.T) Needs {
	return func(t *testing.T) Needs {
		plan := planOf(t, sets...)
		return Needs{Plan: plan, Clients: plan.ClientCount(), RunsDir: "results/runs"}
	}
}

// external is a plan on brokers and a gateway that are there already.
var external = forPlan("kafka.provider=external", "kafka.seeds=127.0.0.1:9092", "gateway.target=external", "gateway.url=ws://127.0.0.1:8080/ws")

// changed is the good machine with one source replaced.
func changed(change func(*Machine)) Machine {
	m := good()
	change(&m)
	return m
}

// TestEachLackIsNamedWithItsMend plants one lack at a time and requires what is printed, to the letter.
func TestEachLackIsNamedWithItsMend(t *testing.T) {
	const portMend = "connect from several addresses: source_addresses: [127.0.0.2, 127.0.0.3] in the client group, " +
		"or widen the range: sysctl -w net.ipv4.ip_local_port_range='10000 65535'"
	const pacingMend = "setcap cap_sys_nice+ep on the weir binary, or rtprio 1 in /etc/security/limits.conf; docker run --cap-add SYS_NICE"
	const dockerMend = "start Docker, or let your user use it; weir does without: --set kafka.provider=embedded"
	const cpuMend = "give it more: docker run --cpus, CPUQuota in a systemd unit, resources.limits.cpu in Kubernetes"
	limited := func(soft, hard uint64) Machine {
		return changed(func(m *Machine) { m.Descriptors = func() (uint64, uint64, bool) { return soft, hard, true } })
	}
	timed := func(timing Timing) Machine {
		return changed(func(m *Machine) { m.Timing = func(context.Context) (Timing, bool) { return timing, true } })
	}
	clock := func(c ClockState) Machine {
		return changed(func(m *Machine) { m.Clock = func() (ClockState, bool) { return c, true } })
	}
	inDocker := func(d testbed.DockerState) Machine {
		return changed(func(m *Machine) { m.Docker = func(context.Context, string) testbed.DockerState { return d } })
	}
	busy := func(busy, stolen float64) Machine {
		return changed(func(m *Machine) {
			m.Busy = func(context.Context) (float64, float64, bool) { return busy, stolen, true }
		})
	}
	onDisk := func(free uint64, err error) Machine {
		return changed(func(m *Machine) { m.Disk = func(string) (uint64, error) { return free, err } })
	}
	for _, c := range []struct {
		name    string
		check   string
		machine Machine
		needs   func(*testing.T) Needs
		want    Finding
	}{
		{"descriptors", "descriptors", limited(1024, 4096), general, Finding{State: Warn,
			Text: "4,096 descriptors a process, 20,256 for 20,000 clients; weir's threads hold so many each",
			Mend: "raise the hard limit: LimitNOFILE=20256 in a systemd unit, nofile in /etc/security/limits.conf, or docker run --ulimit nofile=20256"}},
		{"descriptors of no plan", "descriptors", limited(1024, 4096), func(*testing.T) Needs { return Needs{RunsDir: "results/runs"} }, Finding{State: Warn,
			Text: "4,096 descriptors a process, 10,256 for 10,000 clients; weir's threads hold so many each",
			Mend: "raise the hard limit: LimitNOFILE=10256 in a systemd unit, nofile in /etc/security/limits.conf, or docker run --ulimit nofile=10256"}},
		{"descriptors of a plan", "descriptors", limited(512, 512), forPlan(), Finding{State: Fail,
			Text: "512 descriptors a process, 756 for 500 clients; weir's threads hold so many each",
			Mend: "raise the hard limit: LimitNOFILE=756 in a systemd unit, nofile in /etc/security/limits.conf, or docker run --ulimit nofile=756"}},
		{"descriptors of which few are soft", "descriptors", limited(1024, 1_048_576), forPlan(), Finding{State: OK,
			Text: "1,048,576 descriptors a process, 756 for 500 clients; weir's threads hold so many each; weir raises its own soft limit of 1,024 to that"}},
		{"descriptors of several gateways", "descriptors", limited(512, 512), func(t *testing.T) Needs {
			n := forPlan()(t)
			n.Plan.Gateway.Instances = 2
			return n
		}, Finding{State: OK, Text: "512 descriptors a process, 506 for 500 clients of 2 gateways; weir's threads hold so many each"}},
		{"descriptors in one table", "descriptors", changed(func(m *Machine) {
			m.Descriptors = func() (uint64, uint64, bool) { return 512, 512, true }
			m.Tables = func() error { return syscall.EPERM }
		}), func(t *testing.T) Needs {
			n := forPlan()(t)
			n.Plan.Gateway.Instances = 2
			return n
		}, Finding{State: Fail,
			Text: "512 descriptors a process, 756 for 500 clients of 2 gateways; weir's threads hold so many together, since none can have a table of its own: operation not permitted",
			Mend: "raise the hard limit: LimitNOFILE=756 in a systemd unit, nofile in /etc/security/limits.conf, or docker run --ulimit nofile=756, " +
				"or let weir call close_range with CLOSE_RANGE_UNSHARE, which a seccomp profile may forbid"}},
		{"descriptors without a limit", "descriptors", limited(math.MaxUint64, math.MaxUint64), general, Finding{State: OK,
			Text: "unlimited descriptors a process, 20,256 for 20,000 clients; weir's threads hold so many each"}},
		{"ports", "ports", with("proc/sys/net/ipv4/ip_local_port_range", "50000\t59999"), general, Finding{State: Warn,
			Text: "10,000 ports for connections from one address to another, 20,000 needed", Mend: portMend}},
		{"ports of a plan on this machine", "ports", with("proc/sys/net/ipv4/ip_local_port_range", "50000\t50199"), forPlan(), Finding{State: OK,
			Text: "200 ports for connections from one address to another, 500 needed: weir connects from several addresses by itself"}},
		{"ports of a plan", "ports", with("proc/sys/net/ipv4/ip_local_port_range", "50000\t50199"), forPlan("gateway.target=external", "gateway.url=ws://localhost:8080/ws"), Finding{State: Fail,
			Text: "200 ports for connections from one address to another, 500 needed", Mend: portMend}},
		{"reserved ports", "ports", with("proc/sys/net/ipv4/ip_local_reserved_ports", "8080,40000-49999,60000"), general, Finding{State: Warn,
			Text: "18,231 ports for connections from one address to another, 20,000 needed", Mend: portMend}},
		{"one processor", "cpu", changed(func(m *Machine) { m.Cores = 1 }), general, Finding{State: Warn,
			Text: "1 processor: generator, Kafka and gateway will wait for each other", Mend: cpuMend}},
		{"half a processor by the control group above", "cpu", with("proc/self/cgroup", "0::/a/b\n", "sys/fs/cgroup/a/cpu.max", "50000 100000\n", "sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
			general, Finding{State: Warn, Text: "0.5 processors (the control group allows that of 8): generator, Kafka and gateway will wait for each other", Mend: cpuMend}},
		{"less by the control group above than by its own", "cpu", with("proc/self/cgroup", "0::/a/b\n", "sys/fs/cgroup/a/cpu.max", "50000 100000\n",
			"sys/fs/cgroup/a/b/cpu.max", "400000 100000\n"), general,
			Finding{State: Warn, Text: "0.5 processors (the control group allows that of 8): generator, Kafka and gateway will wait for each other", Mend: cpuMend}},
		{"version 1 control group", "cpu", with("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"), general, Finding{
			State: Warn, Text: "1.5 processors (the control group allows that of 8): generator, Kafka and gateway will wait for each other", Mend: cpuMend}},
		{"busy", "cpu load", busy(0.8, 0), general, Finding{State: Warn,
			Text: "the processors are 80% busy now, before anything of weir's runs", Mend: "end what else runs, or wait for it"}},
		{"steal", "cpu load", busy(0.1, 0.07), general, Finding{State: Warn,
			Text: "7% of the processors' time goes to other machines of the host (steal)", Mend: "take a machine that shares its host with fewer"}},
		{"governor", "governor", with("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"), general, Finding{State: Warn,
			Text: "the processors' frequency follows the load (governor powersave): latencies of small loads come out longer", Mend: "cpupower frequency-set -g performance"}},
		{"memory", "memory", with("proc/meminfo", "MemAvailable:   131072 kB\n"), general, Finding{State: Warn,
			Text: "128 MiB available, about 1.10 GiB needed", Mend: "end what else runs, raise the limit, or take fewer clients or a shorter stall"}},
		{"memory of a plan in a control group", "memory", with("sys/fs/cgroup/memory.max", "67108864\n", "sys/fs/cgroup/memory.current", "50331648\n"), forPlan(), Finding{State: Fail,
			Text: "16.0 MiB available in the control group, about " + Bytes(MemoryBytes(planOf(t))) + " needed",
			Mend: "end what else runs, raise the limit, or take fewer clients or a shorter stall"}},
		{"memory of a plan in a control group above", "memory", with("proc/self/cgroup", "0::/a/b\n", "sys/fs/cgroup/a/memory.max", "1073741824\n",
			"sys/fs/cgroup/a/memory.current", "1056964608\n", "sys/fs/cgroup/a/b/memory.max", "max\n", "sys/fs/cgroup/a/b/memory.current", "4096\n"),
			forPlan(), Finding{State: Fail, Text: "16.0 MiB available in the control group, about " + Bytes(MemoryBytes(planOf(t))) + " needed",
				Mend: "end what else runs, raise the limit, or take fewer clients or a shorter stall"}},
		{"clock source", "clock source", with("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"), general, Finding{State: Warn,
			Text: "hpet: reading the time is slow or coarse", Mend: "boot with clocksource=tsc where the processor's is stable"}},
		{"no time service", "clock sync", clock(ClockState{}), general, Finding{State: Warn,
			Text: "no service keeps the clock, as far as the kernel knows: one that starts later may set it in the midst of a run",
			Mend: "run chronyd or systemd-timesyncd"}},
		{"clock step", "clock sync", clock(ClockState{Synchronised: true, Step: -2 * time.Second}), general, Finding{State: Warn,
			Text: "the clock was set by -2s while it was watched; a step during a run makes it invalid",
			Mend: "find what sets it: two time services at once, or the host's; let one slew it (chronyd, systemd-timesyncd)"}},
		{"no realtime priority", "pacing", timed(Timing{Waits: 1}), general, Finding{State: Warn,
			Text: "the pacing thread gets no realtime priority: a busy machine makes it late", Mend: pacingMend}},
		{"nice alone", "pacing", timed(Timing{Waits: 1, Nice: true}), general, Finding{State: Warn,
			Text: "the pacing thread gets no realtime priority, only a better nice value: a busy machine makes it late", Mend: pacingMend}},
		{"late waits", "timing", timed(Timing{Realtime: true, Waits: 500, P50: 80 * time.Microsecond, P99: 4 * time.Millisecond}), general, Finding{State: Warn,
			Text: "a wait for an instant ends late by 80µs (p50), 4ms (p99), of 500: a run whose send lag p99 is above 1 ms is invalid unless its e2e p99 is five times that",
			Mend: "try again when the machine is quiet, and see pacing and cpu load above"}},
		{"no timestamps", "timestamps", changed(func(m *Machine) {
			m.Stamps = func(context.Context) (bool, error) { return true, errors.New("protocol not\navailable") }
		}), general, Finding{State: Warn,
			Text: "the kernel gives no receive timestamps over loopback (protocol not available): read times will be the program's, its own delay included"}},
		{"backlog", "backlog", with("proc/sys/net/core/somaxconn", "128\n"), general, Finding{State: Warn,
			Text: "net.core.somaxconn is 128: a burst of connections may be refused or take a second more", Mend: "sysctl -w net.core.somaxconn=4096"}},
		{"port reuse", "port reuse", with("proc/sys/net/ipv4/tcp_tw_reuse", "0\n"), general, Finding{State: Warn,
			Text: "net.ipv4.tcp_tw_reuse is 0: after a run its ports are taken for a minute", Mend: "sysctl -w net.ipv4.tcp_tw_reuse=2"}},
		{"conntrack", "conntrack", with("proc/sys/net/netfilter/nf_conntrack_max", "8192\n", "proc/sys/net/netfilter/nf_conntrack_count", "192\n"), general, Finding{State: Warn,
			Text: "8,000 of 8,192 connection tracking entries are free, 20,256 needed: beyond them packets are dropped",
			Mend: "sysctl -w net.netfilter.nf_conntrack_max=40704"}},
		{"no Docker", "docker", inDocker(testbed.DockerState{Err: errors.New("reach docker: no such socket")}), general, Finding{State: Warn,
			Text: "reach docker: no such socket", Mend: dockerMend}},
		{"no Docker for a plan", "docker", inDocker(testbed.DockerState{Err: errors.New("reach docker: no such socket")}), forPlan("kafka.provider=docker"), Finding{State: Fail,
			Text: "reach docker: no such socket", Mend: dockerMend}},
		{"no Docker and none needed", "docker", inDocker(testbed.DockerState{Err: errors.New("reach docker: no such socket")}), forPlan(), Finding{State: OK,
			Text: "not needed by this scenario"}},
		{"image to be pulled", "docker", inDocker(testbed.DockerState{Version: "28.2.2"}), forPlan("kafka.provider=docker"), Finding{State: OK,
			Text: "Docker 28.2.2 answers; image apache/kafka:4.3.1 is not there, the first run pulls it"}},
		{"image that can't be pulled", "docker", inDocker(testbed.DockerState{Version: "28.2.2", PullErr: errors.New("denied")}),
			forPlan("kafka.provider=docker", "kafka.image=example/kafka:1"), Finding{State: Fail,
				Text: "Docker 28.2.2 answers; image example/kafka:1 is not there and can't be pulled",
				Mend: "bring it in another way (docker load), or name another: --set kafka.image=…; the registry said: denied"}},
		{"disk that can't be written", "disk", onDisk(0, errors.New("permission denied")), general, Finding{State: Fail,
			Text: "results/runs: permission denied", Mend: "make it writable, or choose another with --out"}},
		{"full disk", "disk", onDisk(1<<20, nil), general, Finding{State: Fail,
			Text: "results/runs can be written; 1.00 MiB free, about 4.00 MiB needed for a run", Mend: "free some, or choose another with --out"}},
		{"no cluster", "kafka", changed(func(m *Machine) {
			m.Kafka = func(context.Context, *scenarios.Plan) error { return errors.New("nothing listens at 127.0.0.1:9092") }
		}), external, Finding{State: Fail, Text: "nothing listens at 127.0.0.1:9092", Mend: "start the cluster, or correct kafka.seeds"}},
		{"no target", "target", changed(func(m *Machine) {
			m.Target = func(context.Context, *scenarios.Plan) error { return errors.New("HTTP 404") }
		}), external, Finding{State: Fail, Text: "HTTP 404", Mend: "start the gateway, or correct gateway.url"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Check = c.check
			for _, got := range Examine(t.Context(), c.machine, c.needs(t), nil) {
				switch {
				case got.Check == c.check && got != c.want:
					t.Errorf("got  %+v\nwant %+v", got, c.want)
				case got.Check != c.check && got.State != OK:
					t.Errorf("%s: got %+v; want ok, since %s alone was planted", got.Check, got, c.check)
				}
			}
		})
	}
}

// TestAMachineThatTellsNothing: on such a system nothing is called missing.
func TestAMachineThatTellsNothing(t *testing.T) {
	m := good()
	m.Files = files()
	m.Descriptors = func() (uint64, uint64, bool) { return 0, 0, false }
	m.Clock = func() (ClockState, bool) { return ClockState{}, false }
	m.Timing = func(context.Context) (Timing, bool) { return Timing{}, false }
	m.Busy = func(context.Context) (float64, float64, bool) { return 0, 0, false }
	m.Stamps = func(context.Context) (bool, error) { return false, nil }
	unknown := 0
	for _, f := range Examine(t.Context(), m, general(t), nil) {
		if f.State != OK || f.Mend != "" {
			t.Errorf("got %+v; want nothing missing", f)
		}
		if f.Text == "not known here" {
			unknown++
		}
	}
	if want := 10; unknown != want {
		t.Errorf("%d checks are not known here; want %d", unknown, want)
	}
}

// TestHostileFiles: what the kernel would never write is not known, and no panic.
func TestHostileFiles(t *testing.T) {
	for _, text := range []string{"", " ", "x", "-1", "9999999999999999999999", "5 4 3", "max", "\x00", "60999 32768"} {
		m := good()
		fs := m.Files.(fstest.MapFS)
		for _, path := range []string{
			"proc/self/cgroup", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current",
			"proc/sys/net/netfilter/nf_conntrack_max", "proc/sys/net/netfilter/nf_conntrack_count", "sys/fs/cgroup/cpu/cpu.cfs_quota_us",
		} {
			fs[path] = &fstest.MapFile{}
		}
		for path := range fs {
			fs[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got, want := len(Examine(t.Context(), m, general(t), nil)), len(checks(general(t))); got != want {
			t.Errorf("%q: got %d findings; want %d", text, got, want)
		}
	}
}

// TestSourceAddressesShareThePorts: connections are counted by the address that they come from.
func TestSourceAddressesShareThePorts(t *testing.T) {
	plan := planOf(t)
	plan.Clients[0].Count, plan.Clients[0].SourceAddresses = 501, []string{"127.0.0.2", "127.0.0.3"}
	got := ports(t.Context(), with("proc/sys/net/ipv4/ip_local_port_range", "50000\t50249"), Needs{Plan: plan})
	if want := "250 ports for connections from one address to another, 251 needed from 127.0.0.2"; got.Text != want || got.State != Fail {
		t.Errorf("got %+v; want %q", got, want)
	}
}

// TestThisMachine: every check ends and says something; what it finds is the machine's business.
func TestThisMachine(t *testing.T) {
	t.Parallel() // it waits for a cluster that is not there
	m := Local(nil)
	m.Docker = good().Docker // no test depends on what else is installed
	needs := external(t)
	needs.RunsDir = t.TempDir()
	needs.Plan.Kafka.Seeds = []string{"127.0.0.1:1"}
	needs.Plan.Gateway.URL, needs.Plan.Gateway.ReadyIn = "ws://127.0.0.1:1/ws", time.Millisecond
	told := 0
	found := Examine(t.Context(), m, needs, func(Finding) { told++ })
	if told != len(found) || told != len(checks(needs)) {
		t.Errorf("got %d findings, %d told; want %d", len(found), told, len(checks(needs)))
	}
	states := map[string]State{}
	for _, f := range found {
		states[f.Check] = f.State
		if f.Text == "" {
			t.Errorf("%s says nothing", f.Check)
		}
	}
	if states["kafka"] != Fail || states["target"] != Fail || states["disk"] != OK {
		t.Errorf("got kafka %s, target %s, disk %s; want two that fail, since nothing listens there, and ok", states["kafka"], states["target"], states["disk"])
	}
}

// TestExamineEndsWithItsContext returns what there is.
func TestExamineEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	found := Examine(ctx, good(), general(t), func(f Finding) {
		if f.Check == "ports" {
			cancel()
		}
	})
	if len(found) != 2 {
		t.Errorf("got %d findings; want the 2 before the end", len(found))
	}
}

func TestRoomFor(t *testing.T) {
	plan := planOf(t)
	if err := RoomFor(plan, t.TempDir()+"/not/yet"); err != nil {
		t.Errorf("got %v; want room", err)
	}
	plan.IntervalNS = time.Nanosecond // as many intervals as no disk holds
	if _, known := freeBytes("."); known && RoomFor(plan, t.TempDir()) == nil {
		t.Error("got room for more than any disk holds")
	}
}

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		n    int64
		want string
	}{{0, "0 B"}, {999, "999 B"}, {1000, "0.98 KiB"}, {1536, "1.50 KiB"}, {25_700_000, "24.5 MiB"}, {150 << 20, "150 MiB"}, {1 << 62, "4.00 EiB"}} {
		if got := Bytes(c.n); got != c.want {
			t.Errorf("Bytes(%d): got %q; want %q", c.n, got, c.want)
		}
	}
}

// TestMemoryOfInstances: each further gateway is a process of its own.
func TestMemoryOfInstances(t *testing.T) {
	n := forPlan()(t)
	one := MemoryBytes(n.Plan)
	plan := *n.Plan
	plan.Gateway.Instances = 16
	if got, want := MemoryBytes(&plan)-one, int64(15*instanceBytes); got != want {
		t.Errorf("15 gateways more: got %d bytes more; want %d", got, want)
	}
}
