//go:build !linux

package gateway

// polls is of no use here: each client has its goroutines.
type polls struct{}

func newPolls(*hub) (*polls, error) { return nil, nil }

func (p *polls) take(*client, func(opcode, []byte) bool) bool { return false }

func (p *polls) run() {}

func (p *polls) close() {}
