// Package targets holds third-party gateways that are ready to be measured: their sources, how each is built, started,
// probed and stopped (target.yaml), and how it is spoken to (profile.yaml). It is data; package testbed acts on it.
package targets

import "embed"

// Files holds a folder for each target, named like it, with target.yaml, profile.yaml and what building it needs.
//
//go:embed */target.yaml */profile.yaml
//go:embed node-ws/package.json node-ws/package-lock.json node-ws/server.js node-ws/channels.js node-ws/naive.js node-ws/shared.js
//go:embed spring-boot/pom.xml spring-boot/src
var Files embed.FS
