// Package scenarios is the YAML language of weir and what it resolves to.
//
// Load parses a scenario strictly and reports every mistake at once, each with its place and the mend. Resolve fills in
// every default and returns a Plan, which is plain data. The package also carries the library of scenarios, embedded.
// It starts no goroutine, opens no connection and reads no clock.
//
// # The way
//
// The text is bounded before it is parsed (tree.go), parsed by yaml.v3 into a tree with its aliases written out, changed
// by variables and the --set flags (environment.go, set.go), decoded with the place of every value (decode.go, sections.go and
// the sections_….go, values.go), filled in (defaults.go) and checked for what its parts have to do with each other (resolve.go
// and the resolve_….go). Where the form is wrong already, the last two are done too, for what they find, so that all mistakes
// come at once.
//
// # The language
//
// The mappings of the language, their keys, words, bounds and examples stand in language.go and the language_….go. The
// decoder takes them from there; schema.json, for editors, and docs/SCENARIOS.md, for people, are written from there by
// the tests' -update flag. A key that the description has and the decoder does not ask for fails a test, as does the
// opposite, a default that is not the described one, and a bound that the decoder does not keep.
//
// The file of weir gateway --config is another mapping of the same language (language_gatewayfile.go, gatewayfile.go), with a
// schema and a guide of its own, docs/gateway.schema.json and docs/GATEWAY.md; gatewayfile_yaml.go writes one.
//
// What else a scenario is made of: overrides and the environment (set.go, environment.go: flags win over variables, these
// over a file of variables, that over the scenario), the files that a scenario names (reads.go), and thresholds
// (threshold.go, metrics.go). Secrets are named, never written out: [Secret]. What stands where one was written out is
// kept out of every message (problem.go).
package scenarios
