package machine

import (
	"io/fs"
	"strings"
)

// CPUModel is the name of the first processor in proc/cpuinfo (proc_cpuinfo(5)); empty where it has none, as on ARM.
func CPUModel(files fs.FS) string {
	text, _ := Text(files, "proc/cpuinfo")
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// KernelRelease is the kernel's release as uname(2) has it, such as 6.18.5; empty where it is not known.
func KernelRelease(files fs.FS) string {
	text, _ := Text(files, "proc/sys/kernel/osrelease")
	return text
}
