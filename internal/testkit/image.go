package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ImageFolder makes a folder that an image of weir alone is built from: weir without C libraries, and a Dockerfile.
func ImageFolder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "weir"), "github.com/weirbench/weir/cmd/weir")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build weir for an image: %v\n%s", err, out)
	}
	file := "FROM scratch\nCOPY weir /weir\nENTRYPOINT [\"/weir\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
