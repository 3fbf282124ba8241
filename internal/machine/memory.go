package machine

import (
	"fmt"
	"io/fs"
	"strings"
)

// Memory is how much this process may still take.
type Memory struct {
	Bytes   int64
	ByGroup bool // a control group bounds it below what the kernel has available
}

// AvailableMemory is the smaller of what the kernel says is available to new processes without swapping (MemAvailable of
// proc_meminfo(5)) and what the control groups leave; known is false where neither tells.
func AvailableMemory(files fs.FS) (m Memory, known bool) {
	text, _ := Text(files, "proc/meminfo")
	for line := range strings.Lines(text) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			m.Bytes, known = kib<<10, true
		}
	}
	if left, limited := groupMemory(files); limited && (!known || left < m.Bytes) {
		m, known = Memory{Bytes: left, ByGroup: true}, true
	}
	return m, known
}
