package testbed

import (
	"crypto/tls"
	"fmt"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
)

// trustOf is how a target is trusted whose wire profile says so; nil where it leaves that to the system.
func trustOf(from *scenarios.TLS) (*tls.Config, error) {
	if from == nil {
		return nil, nil
	}
	config, err := kafkasec.TLS(*from).Config()
	if err != nil {
		return nil, fmt.Errorf("gateway.profile.tls: %w", err)
	}
	return config, nil
}
