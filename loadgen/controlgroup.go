package loadgen

import (
	"os"
	"path"
	"strings"
)

// controlGroups lists the directories of this process's control groups of version 2, from its own up to the root's.
func controlGroups(read func(name string) string) (dirs []string) {
	for line := range strings.Lines(read("/proc/self/cgroup")) {
		group, two := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !two {
			continue
		}
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			dirs = append(dirs, path.Join("/sys/fs/cgroup", group))
			if group == "/" {
				break
			}
		}
	}
	return dirs
}

// readText returns what a file holds; empty where it can't be read.
func readText(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}
