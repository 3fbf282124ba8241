package scenarios

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.yaml
var library embed.FS

//go:embed schema.json
var schema string

// Schema is the JSON Schema (draft-07) of the language, as editors take it.
func Schema() string { return schema }

// FS is the library of scenarios that the binary carries: NAME.yaml each, read only.
func FS() fs.FS { return library }

// Library returns the names of the scenarios in the library, sorted: what Load takes where there is no such file.
func Library() []string {
	files, err := fs.Glob(library, "*.yaml")
	if err != nil {
		return nil // the pattern is constant and valid
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}

// fromLibrary returns the scenario that a path names where it is no file: quickstart, quickstart.yaml and
// scenarios/quickstart.yaml are the same one.
func fromLibrary(name string) ([]byte, bool) {
	data, err := library.ReadFile(libraryName(name) + ".yaml")
	return data, err == nil
}

func libraryName(name string) string {
	name = strings.TrimPrefix(path.Clean(strings.ReplaceAll(name, `\`, "/")), "scenarios/")
	return strings.TrimSuffix(name, ".yaml")
}
