package machine

import (
	"fmt"
	"io/fs"
	"math"
	"strings"
)

// EphemeralPorts is how many local ports the kernel gives out by itself for connections from one address to another: the
// range net.ipv4.ip_local_port_range without those of it in ip_local_reserved_ports (Linux,
// Documentation/networking/ip-sysctl.rst). The error says why that is not known.
func EphemeralPorts(files fs.FS) (int, error) {
	text, err := Text(files, "proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, err
	}
	var low, high int
	if n, _ := fmt.Sscan(text, &low, &high); n != 2 || low < 1 || low > high || high > math.MaxUint16 {
		return 0, fmt.Errorf("read net.ipv4.ip_local_port_range: %q is not two ports in ascending order", text)
	}
	reserved, _ := Text(files, "proc/sys/net/ipv4/ip_local_reserved_ports") // an old kernel has none
	return max(high-low+1-countReserved(reserved, low, high), 0), nil
}

// countReserved counts the ports from low to high on a list such as "8080,9000-9010", on which the kernel writes none twice.
func countReserved(list string, low, high int) int {
	total := 0
	for part := range strings.SplitSeq(list, ",") {
		var from, to int
		n, _ := fmt.Sscanf(part, "%d-%d", &from, &to)
		if n == 1 {
			to = from
		}
		if n > 0 && from <= high && to >= low {
			total += max(min(to, high)-max(from, low)+1, 0)
		}
	}
	return total
}
