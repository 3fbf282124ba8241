package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
)

// The command blocks of the documents are run, so that what they show works. A block is a fence of the language sh; of
// its commands those that start weir are run (weir, bin/weir, go run ./cmd/weir), each by a shell, in order and in one
// directory with the library's scenarios in it. A comment right above the fence may say more:
//
//	<!-- test: --set phases.measure.steady.duration=2s -->   these follow `weir run`, which the reader does not see
//	<!-- test: exit 3, --set a=b -->                         the last command ends with that code
//	<!-- test: needs node npm, --set a=b -->                 not run where one of these programs is not on the PATH
//	<!-- test: skip, needs a cluster -->                     not run, and why

// shellBlock is a block of a document.
type shellBlock struct {
	at       string // file:line of the fence
	commands []shellCommand
	extra    string   // follows weir run
	exit     int      // of the last command
	needs    []string // programs without which it is not run
	skip     string   // why it is not run; empty where it is
}

// shellCommand is one command of a block.
type shellCommand struct {
	at   string // file:line
	text string
}

var (
	testMark    = regexp.MustCompile(`^<!-- *test: *(.*?) *-->$`)
	fence       = regexp.MustCompile("^ {0,3}(`{3,}|~{3,}) *([A-Za-z]*)")
	needsMark   = regexp.MustCompile(`^needs ([^,]+)(?:, *(.*))?$`)
	exitMark    = regexp.MustCompile(`^exit (\d+)(?:, *(.*))?$`)
	weirCommand = regexp.MustCompile(`(^|[;&|(]\s*|\s)(?:go run \./cmd/weir|(?:\./)?bin/weir|weir)(\s|$)`)
	weirRun     = regexp.MustCompile(`\bweir run\b`)
)

// shellBlocks takes a document apart. A mark that is not right above a block, or says nothing that is known, is an error:
// otherwise a slip in it would go unseen.
func shellBlocks(file, text string) ([]shellBlock, error) {
	var blocks []shellBlock
	var open string // the fence that closes the code block under way
	var block *shellBlock
	mark, markLine := "", 0
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		at := fmt.Sprintf("%s:%d", file, i+1)
		f := fence.FindStringSubmatch(line)
		switch {
		case open != "":
			if f != nil && strings.HasPrefix(f[1], open) && strings.TrimSpace(line) == f[1] {
				open, block = "", nil
			} else if block != nil {
				block.add(at, line)
			}
		case f != nil:
			open = f[1]
			if f[2] != "sh" {
				if mark != "" {
					return nil, fmt.Errorf("%s:%d: the test mark stands above a block that is no sh block", file, markLine)
				}
				continue
			}
			blocks = append(blocks, shellBlock{at: at})
			block = &blocks[len(blocks)-1]
			if err := block.apply(mark); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, markLine, err)
			}
			mark = ""
		case mark != "" && strings.TrimSpace(line) != "":
			return nil, fmt.Errorf("%s:%d: the test mark does not stand right above a block", file, markLine)
		case testMark.MatchString(strings.TrimSpace(line)):
			mark, markLine = testMark.FindStringSubmatch(strings.TrimSpace(line))[1], i+1
		}
	}
	if mark != "" || open != "" {
		return nil, fmt.Errorf("%s: a test mark without a block, or a block without an end", file)
	}
	return blocks, nil
}

// apply takes over what a mark says.
func (b *shellBlock) apply(mark string) error {
	if why, ok := strings.CutPrefix(mark, "skip"); ok {
		b.skip = strings.TrimSpace(strings.TrimPrefix(why, ","))
		if b.skip == "" {
			return errors.New("the test mark does not say why the block is skipped (write: skip, why)")
		}
		return nil
	}
	if m := needsMark.FindStringSubmatch(mark); m != nil {
		b.needs, mark = strings.Fields(m[1]), m[2]
	}
	if m := exitMark.FindStringSubmatch(mark); m != nil {
		b.exit, _ = strconv.Atoi(m[1]) // digits
		mark = m[2]
	}
	if mark != "" && !strings.HasPrefix(mark, "-") {
		return fmt.Errorf("the test mark says %q (write flags, exit N, needs PROGRAM, or skip, why)", mark)
	}
	b.extra = mark
	return nil
}

// add takes a line over where it starts weir, or goes on with one that does.
func (b *shellBlock) add(at, line string) {
	line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
	if n := len(b.commands); n > 0 && strings.HasSuffix(b.commands[n-1].text, `\`) {
		b.commands[n-1].text = strings.TrimSuffix(b.commands[n-1].text, `\`) + line
		return
	}
	if !strings.HasPrefix(line, "#") && weirCommand.MatchString(line) {
		b.commands = append(b.commands, shellCommand{at, line})
	}
}

// script is the command as the test runs it.
func (b *shellBlock) script(c shellCommand) string {
	text := weirCommand.ReplaceAllString(c.text, "${1}weir${2}")
	if b.extra != "" {
		text = weirRun.ReplaceAllLiteralString(text, "weir run "+b.extra)
	}
	return text
}

// run runs the block in a directory.
func (b *shellBlock) run(t *testing.T, dir string) {
	for i, c := range b.commands {
		want := report.ExitPassed
		if i == len(b.commands)-1 {
			want = b.exit
		}
		before := summaries(t, dir)
		cmd := exec.Command("sh", "-c", b.script(c))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		got := cmd.ProcessState.ExitCode()
		if got == report.ExitInvalid && lateAlone(t, before, summaries(t, dir)) {
			t.Logf("%s: this machine did not keep the schedule", c.at)
		} else if got != want {
			t.Fatalf("%s: %s\nrun as: %s\nexit code: got %d (%v); want %d\n%s", c.at, c.text, b.script(c), got, err, want, out)
		}
	}
}

// summaries are the runs below a directory: by the path of each one's directory, when its summary was written.
func summaries(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	found := map[string]time.Time{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != report.SummaryName {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found[filepath.Dir(path)] = info.ModTime()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// lateAlone reports whether a command made an invalid run, and each such is so for the machine's lateness alone.
func lateAlone(t *testing.T, before, after map[string]time.Time) bool {
	t.Helper()
	late := 0
	for dir, written := range after {
		if before[dir].Equal(written) {
			continue
		}
		s, err := readSummary(dir)
		if err != nil {
			t.Fatal(err)
		}
		if s.Exit != report.ExitInvalid {
			continue
		}
		if !testkit.LateAlone(s) {
			return false
		}
		late++
	}
	return late > 0
}

// TestDocumentsCommands runs the command blocks of README.md and docs.
func TestDocumentsCommands(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{filepath.Join(root, "README.md")}
	for _, pattern := range []string{"*.md", "scenarios/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, "docs", filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("no documents are found at docs/%s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	var ran atomic.Int64
	t.Cleanup(func() { // when all have ended
		if ran.Load() == 0 {
			t.Error("no command of the documents was run")
		}
	})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := shellBlocks(name, string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runBlocks(t, filepath.Join(root, "scenarios"), blocks, &ran)
		})
	}
}

// runBlocks runs a document's blocks one after the other in one directory, since they go on from each other, and counts
// those that ran.
func runBlocks(t *testing.T, library string, blocks []shellBlock, ran *atomic.Int64) {
	dir := t.TempDir()
	if err := os.Symlink(library, filepath.Join(dir, "scenarios")); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if len(b.commands) == 0 {
			continue
		}
		t.Run(b.at, func(t *testing.T) {
			if b.skip != "" {
				t.Skipf("%s: skipped: %s", b.at, b.skip)
			}
			for _, program := range b.needs {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("%s: skipped: %v", b.at, err)
				}
			}
			ran.Add(1)
			b.run(t, dir)
		})
	}
}

func TestShellBlocks(t *testing.T) {
	blocks, err := shellBlocks("A.md", "text `weir run x`\n\n```sh\nmake build\nbin/weir run a --set x=1   # comment\n# weir run no\n$ go run ./cmd/weir validate \\\n  b\n"+
		"```\n<!-- test: --set d=2s -->\n\n~~~ sh\nweir run a && weir report r\n~~~\n```yaml\nweir: run\n```\n"+
		"<!-- test: exit 3, --quiet -->\n```sh\nFOO=1 weir run a | head -1\n```\n<!-- test: skip, needs a cluster -->\n```sh\nweir run c\n```\n"+
		"<!-- test: needs node npm, exit 1, --quiet -->\n```sh\nweir run d\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []shellBlock{
		{at: "A.md:3", commands: []shellCommand{{"A.md:5", "bin/weir run a --set x=1   # comment"}, {"A.md:7", "go run ./cmd/weir validate b"}}},
		{at: "A.md:12", extra: "--set d=2s", commands: []shellCommand{{"A.md:13", "weir run a && weir report r"}}},
		{at: "A.md:19", exit: 3, extra: "--quiet", commands: []shellCommand{{"A.md:20", "FOO=1 weir run a | head -1"}}},
		{at: "A.md:23", skip: "needs a cluster", commands: []shellCommand{{"A.md:24", "weir run c"}}},
		{at: "A.md:27", needs: []string{"node", "npm"}, exit: 1, extra: "--quiet", commands: []shellCommand{{"A.md:28", "weir run d"}}},
	}
	if !reflect.DeepEqual(blocks, want) {
		t.Errorf("got  %+v\nwant %+v", blocks, want)
	}
	for i, script := range []string{"weir run a --set x=1   # comment", "weir run --set d=2s a && weir report r", "FOO=1 weir run --quiet a | head -1"} {
		if got := blocks[i].script(blocks[i].commands[0]); got != script {
			t.Errorf("got %q; want %q", got, script)
		}
	}
}

func TestShellBlocksRefusesWrongMarks(t *testing.T) {
	for text, want := range map[string]string{
		"<!-- test: skip -->\n```sh\n```\n":             "A.md:1: the test mark does not say why the block is skipped (write: skip, why)",
		"\n<!-- test: sikp, why -->\n```sh\n```\n":      `A.md:2: the test mark says "sikp, why" (write flags, exit N, needs PROGRAM, or skip, why)`,
		"<!-- test: --quiet -->\ntext\n```sh\n```\n":    "A.md:1: the test mark does not stand right above a block",
		"<!-- test: --quiet -->\n```yaml\n```\n":        "A.md:1: the test mark stands above a block that is no sh block",
		"<!-- test: --quiet -->\n":                      "A.md: a test mark without a block, or a block without an end",
		"```sh\nweir run a\n":                           "A.md: a test mark without a block, or a block without an end",
		"<!-- test: exit x -->\n```sh\nweir run\n```\n": `A.md:1: the test mark says "exit x" (write flags, exit N, needs PROGRAM, or skip, why)`,
	} {
		if _, err := shellBlocks("A.md", text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v; want %s", text, err, want)
		}
	}
}
