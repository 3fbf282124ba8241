package targets_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// yamlBlocks returns the YAML of a document, block by block.
func yamlBlocks(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(text), "\n```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		blocks = append(blocks, block+"\n")
	}
	return blocks
}

// TestDocumentedYAML: the profile and the gateways that docs/TARGETS.md shows are right.
func TestDocumentedYAML(t *testing.T) {
	blocks := yamlBlocks(t, "../docs/TARGETS.md")
	if len(blocks) != 6 {
		t.Fatalf("got %d blocks; want two profiles and four gateways", len(blocks))
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "my-gateway"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"profile.yaml", "other.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, "my-gateway", name), []byte(blocks[i]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rest := "\nversion: 1\nname: documented\nkafka: {topics: [{name: orders}]}\n" +
		"producers: [{name: feed, topic: orders, rate: 10/s}]\nclients: [{name: viewers, count: 1, subscribe: {topic: orders}}]\n" +
		"phases: {measure: [{name: steady, duration: 1s}]}\n"
	blocks = append(blocks, "gateway: {target: external, url: 'ws://127.0.0.1:8080/', profile: my-gateway/profile.yaml}\n",
		"gateway: {target: external, url: 'wss://127.0.0.1:8443/', profile: my-gateway/other.yaml}\n")
	for _, block := range blocks[2:] {
		s, err := scenarios.Parse(filepath.Join(dir, "s.yaml"), []byte(block+rest), scenarios.Options{})
		if err != nil {
			t.Errorf("%v in\n%s", err, block)
			continue
		}
		if _, err := s.Resolve(); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}
