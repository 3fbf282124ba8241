// Package targets carries what weir must know of the gateways of this directory: how each is spoken to (NAME/profile.yaml).
// It imports nothing of the project.
package targets

import "embed"

// Files holds NAME/profile.yaml of each target, read only.
//
//go:embed node-ws/profile.yaml spring-boot/profile.yaml centrifugo/profile.yaml
var Files embed.FS
