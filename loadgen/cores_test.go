package loadgen

import "testing"

// TestUsableCores: a quota may be a fraction, and the least of all groups above counts.
func TestUsableCores(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  float64
	}{
		{"no groups", nil, 4},
		{"no quota", map[string]string{"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "max 100000\n"}, 4},
		{"half a core", map[string]string{"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "50000 100000\n"}, 0.5},
		{"by the group above", map[string]string{"/proc/self/cgroup": "1:cpu:/x\n0::/a/b\n", "/sys/fs/cgroup/a/cpu.max": "150000 100000\n",
			"/sys/fs/cgroup/a/b/cpu.max": "200000 100000\n"}, 1.5},
		{"more than there are", map[string]string{"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "900000 100000\n"}, 4},
		{"version 1", map[string]string{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "25000\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0.25},
		{"version 1 without one", map[string]string{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 4},
	} {
		if got := coresIn(4, func(name string) string { return test.files[name] }); got != test.want {
			t.Errorf("%s: got %v; want %v", test.name, got, test.want)
		}
	}
}
