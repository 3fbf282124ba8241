package machine

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// files is a file system from path and content in turn.
func files(pairs ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fs[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fs
}

// stat is of a machine with two processors, one of which runs guests; each kind of time has a number of its own.
const stat = "cpu  10 20 30 400 50 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\ncpu1 1 1 1 1 1 1 1 1 1 1\nintr 5\nctxt 9\n"

func TestProcessorTime(t *testing.T) {
	got, cores, err := ReadProcessorTime(files("proc/stat", stat))
	want := ProcessorTime{User: 10, Nice: 20, System: 30, Idle: 400, IOWait: 50, IRQ: 6, SoftIRQ: 7, Steal: 8}
	if err != nil || got != want || cores != 2 {
		t.Fatalf("got %+v of %d cores, %v; want %+v of 2", got, cores, err, want)
	}
	if got.Busy() != 81 || got.All() != 531 {
		t.Errorf("got %d busy of %d; want 81 of 531: guests' time is in user and nice already", got.Busy(), got.All())
	}
	later := ProcessorTime{11, 22, 33, 404, 55, 12, 14, 16}
	if got, known := later.Since(got); !known || got != (ProcessorTime{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("got %+v since, %v; want 1 to 8", got, known)
	}
}

// TestProcessorTimeThatFell: a processor that went offline takes idle time out of the sum, and what is left is no whole.
func TestProcessorTimeThatFell(t *testing.T) {
	before := ProcessorTime{User: 100, Idle: 1000, IOWait: 10}
	for after, want := range map[ProcessorTime]bool{
		{User: 150, Idle: 1050, IOWait: 10}: true,
		{User: 150, Idle: 1000, IOWait: 10}: true,  // busy all the while
		{User: 150, Idle: 1050, IOWait: 8}:  true,  // as the kernel may
		{User: 150, Idle: 999, IOWait: 10}:  false, // the sum still grew
		{User: 100, Idle: 1000, IOWait: 10}: false,
		{User: 100, Idle: 1000, IOWait: 9}:  false,
	} {
		if spent, known := after.Since(before); known != want {
			t.Errorf("%+v: got %+v, %v; want %v", after, spent, known, want)
		}
	}
}

func TestProcessorTimeThatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"":                              `read /proc/stat: its first line is "", not cpu and 8 numbers`,
		"intr 1 2 3 4 5 6 7 8":          `read /proc/stat: its first line is "intr 1 2 3 4 5 6 7 8", not cpu and 8 numbers`,
		"cpu 1 2 3 4 5 6 7\n":           `read /proc/stat: its first line is "cpu 1 2 3 4 5 6 7", not cpu and 8 numbers`,
		"cpu0 1 2 3 4 5 6 7 8\n":        `read /proc/stat: its first line is "cpu0 1 2 3 4 5 6 7 8", not cpu and 8 numbers`,
		"cpu 1 2 3 4 x 6 7 8\ncpu0 1\n": `read /proc/stat: strconv.ParseInt: parsing "x": invalid syntax`,
	} {
		got, cores, err := ParseProcessorTime(text)
		if err == nil || err.Error() != want || got != (ProcessorTime{}) || cores != 0 {
			t.Errorf("%q: got %+v, %d, %v; want %s", text, got, cores, err, want)
		}
	}
}

func TestDescription(t *testing.T) {
	m := files("proc/cpuinfo", "processor\t: 0\nmodel name\t: A Chip: 3 GHz\n\nprocessor\t: 1\nmodel name\t: Another\n",
		"proc/sys/kernel/osrelease", "6.18.5-cloud\n")
	if got := CPUModel(m); got != "A Chip: 3 GHz" {
		t.Errorf("got %q", got)
	}
	if got := KernelRelease(m); got != "6.18.5-cloud" {
		t.Errorf("got %q", got)
	}
	if got := CPUModel(files("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 243.75\n")); got != "" {
		t.Errorf("got %q of a processor without a name", got)
	}
}

// TestCoreQuota: a quota may be a fraction, and the least of all groups above counts.
func TestCoreQuota(t *testing.T) {
	for _, c := range []struct {
		name  string
		files fs.FS
		want  float64 // 0 for none
	}{
		{"no groups", files(), 0},
		{"no quota", files("proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/cpu.max", "max 100000\n"), 0},
		{"half a core", files("proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/cpu.max", "50000 100000\n"), 0.5},
		{"by the group above", files("proc/self/cgroup", "1:cpu:/x\n0::/a/b\n", "sys/fs/cgroup/a/cpu.max", "150000 100000\n",
			"sys/fs/cgroup/a/b/cpu.max", "200000 100000\n"), 1.5},
		{"by its own", files("proc/self/cgroup", "0::/a/b\n", "sys/fs/cgroup/a/cpu.max", "150000 100000\n",
			"sys/fs/cgroup/a/b/cpu.max", "20000 100000\n"), 0.2},
		{"by the root's", files("proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/cpu.max", "900000 100000\n"), 9},
		{"groups that nobody tells", files("sys/fs/cgroup/cpu.max", "900000 100000\n"), 9},
		{"out of its namespace", files("proc/self/cgroup", "0::/../a\n", "sys/fs/cgroup/a/cpu.max", "50000 100000\n"), 0.5},
		{"a sibling's", files("proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/b/cpu.max", "50000 100000\n"), 0},
		{"version 1", files("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "25000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"), 0.25},
		{"version 1 without one", files("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"), 0},
		{"no period", files("sys/fs/cgroup/cpu.max", "100000 0\n"), 0},
	} {
		if got, known := CoreQuota(c.files); got != c.want || known != (c.want > 0) {
			t.Errorf("%s: got %v, %v; want %v", c.name, got, known, c.want)
		}
	}
}

// TestAvailableMemory is the least of what the kernel and the control groups leave.
func TestAvailableMemory(t *testing.T) {
	m := files("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    1000 kB\n", "proc/self/cgroup", "4:memory:/x\n0::/a/b\n")
	expect := func(what string, want Memory) {
		t.Helper()
		if got, known := AvailableMemory(m); got != want || !known {
			t.Errorf("%s: got %+v, %v; want %+v", what, got, known, want)
		}
	}
	set := func(dir, limit, most, usage, used string) {
		m[dir+"/"+limit], m[dir+"/"+usage] = &fstest.MapFile{Data: []byte(most + "\n")}, &fstest.MapFile{Data: []byte(used + "\n")}
	}
	expect("no groups", Memory{1000 << 10, false})
	set("sys/fs/cgroup/a/b", "memory.max", "max", "memory.current", "5")
	expect("an unlimited group", Memory{1000 << 10, false})
	set("sys/fs/cgroup/a", "memory.max", "2000000", "memory.current", "5")
	expect("a group that leaves more", Memory{1000 << 10, false})
	set("sys/fs/cgroup/a", "memory.max", "5000", "memory.current", "1000")
	expect("a group above it", Memory{4000, true})
	set("sys/fs/cgroup/a/b", "memory.max", "4500", "memory.current", "5")
	expect("a group above that has less left than its own", Memory{4000, true})
	set("sys/fs/cgroup/memory", "memory.limit_in_bytes", "3000", "memory.usage_in_bytes", "3500")
	expect("a full group of version 1", Memory{0, true})
	stat := func(dir, text string) { m[dir+"/memory.stat"] = &fstest.MapFile{Data: []byte(text)} }
	stat("sys/fs/cgroup/memory", "cache 3000\ninactive_file 2600\ntotal_inactive_file 700\n")
	expect("page cache of version 1, with that of the groups below", Memory{200, true})
	stat("sys/fs/cgroup/memory", "total_inactive_file 3400\n")
	expect("a group of version 1 with little but page cache", Memory{2900, true})
	set("sys/fs/cgroup/a/b", "memory.max", "2800", "memory.current", "2500")
	stat("sys/fs/cgroup/a", "inactive_file 900\n")
	expect("the page cache of another group", Memory{300, true})
	stat("sys/fs/cgroup/a/b", "anon 400\nfile 2100\ninactive_anon 1\ninactive_file 1200\nactive_file 900\n")
	expect("page cache, of which a part is in use", Memory{1500, true})
	stat("sys/fs/cgroup/a/b", "inactive_file 9000\n")
	expect("more page cache than is used", Memory{2800, true})
	stat("sys/fs/cgroup/a/b", "inactive_file -5\ninactive_file\n")
	expect("a figure that is none", Memory{300, true})
	if got, known := AvailableMemory(files()); known {
		t.Errorf("got %+v of nothing; want it unknown", got)
	}
}

func TestEphemeralPorts(t *testing.T) {
	const portRange, reserved = "proc/sys/net/ipv4/ip_local_port_range", "proc/sys/net/ipv4/ip_local_reserved_ports"
	for _, c := range []struct {
		name  string
		files fs.FS
		want  int
		err   string
	}{
		{"the default", files(portRange, "32768\t60999\n"), 28_232, ""},
		{"one", files(portRange, "40000\t40000\n", reserved, "\n"), 1, ""},
		{"some reserved, in part within", files(portRange, "32768\t60999\n", reserved, "8080,30000-32769,40000-49999,60000,60999-65535\n"),
			28_232 - 2 - 10_000 - 1 - 1, ""},
		{"no range", files(portRange, "32768\n"), 0, `read net.ipv4.ip_local_port_range: "32768" is not two ports in ascending order`},
		{"backwards", files(portRange, "60999 32768\n"), 0,
			`read net.ipv4.ip_local_port_range: "60999 32768" is not two ports in ascending order`},
	} {
		got, err := EphemeralPorts(c.files)
		if said := text(err); got != c.want || said != c.err {
			t.Errorf("%s: got %d, %q; want %d, %q", c.name, got, said, c.want, c.err)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestNothingIsKnown of a system that has no such files.
func TestNothingIsKnown(t *testing.T) {
	if _, _, err := ReadProcessorTime(files()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("processor time: got %v", err)
	}
	if _, err := EphemeralPorts(files()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ports: got %v", err)
	}
	if got := CPUModel(files()) + KernelRelease(files()); got != "" {
		t.Errorf("got %q", got)
	}
}

// FuzzFacts: whatever the files hold, no figure is below zero and nothing panics.
func FuzzFacts(f *testing.F) {
	for _, seed := range []string{"", "x", "-1", "9999999999999999999999", "5 4 3", "max", "0::/../..", "-9223372036854775808", "1-70000,2", stat} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		m := files("proc/stat", one, "proc/self/cgroup", "0::/a\n"+other, "sys/fs/cgroup/cpu.max", one, "sys/fs/cgroup/a/cpu.max", other,
			"proc/meminfo", "MemAvailable: 1 kB", "sys/fs/cgroup/memory.max", one, "sys/fs/cgroup/memory.current", other,
			"sys/fs/cgroup/memory.stat", "inactive_file "+one,
			"proc/sys/net/ipv4/ip_local_port_range", one, "proc/sys/net/ipv4/ip_local_reserved_ports", other)
		if _, cores, err := ReadProcessorTime(m); cores < 0 || err == nil && !strings.HasPrefix(strings.TrimSpace(one), "cpu") {
			t.Errorf("got %d cores, %v", cores, err)
		}
		if cores, known := CoreQuota(m); known != (cores > 0) {
			t.Errorf("got a quota of %v, %v", cores, known)
		}
		if memory, known := AvailableMemory(m); memory.Bytes < 0 || !known {
			t.Errorf("got %+v available, %v", memory, known)
		}
		if ports, err := EphemeralPorts(m); ports < 0 || err != nil && ports != 0 {
			t.Errorf("got %d ports, %v", ports, err)
		}
	})
}
