package gateway

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/settings"
)

const protocolDoc = "../docs/PROTOCOL.md"

// docBlock is a fenced block of the specification.
type docBlock struct {
	kind  string // "session" or "messages"
	line  int
	lines []string
}

func docBlocks(t *testing.T) (blocks []docBlock) {
	t.Helper()
	file, err := os.Open(protocolDoc)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var open *docBlock
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		kind, fence := strings.CutPrefix(lines.Text(), "```")
		switch {
		case fence && open == nil:
			open = &docBlock{kind: kind, line: n}
		case fence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, lines.Text())
		}
	}
	if err := lines.Err(); err != nil || len(blocks) == 0 {
		t.Fatalf("read %s: %d examples, %v", protocolDoc, len(blocks), err)
	}
	return blocks
}

var varying = regexp.MustCompile(`(_at_ns":|"published",(?:"id":\d+,)?"partition":)\d+`)

var epochs = regexp.MustCompile(`"epoch":"([0-9a-f]{32})"`)

// exampleGateway is the gateway of the specification's examples.
func exampleGateway(t *testing.T) *gatewayUnderTest {
	return start(t, func(c *Config) {
		c.Topics = append(c.Topics, "ticks", "trades")
		c.Conflate = []Conflation{{Topic: "ticks", Interval: time.Hour}}
		c.Batch = []settings.Batch{{Topic: "trades", Interval: longestBatch}}
		c.PublishTopics = []string{"chat", "orders"}
	}, kfake.SeedTopics(4, "orders", "ticks", "trades"))
}

// The specification's sessions are played, and its messages built.
func TestProtocolExamples(t *testing.T) {
	for _, b := range docBlocks(t) {
		t.Run(fmt.Sprintf("%s in line %d", b.kind, b.line), func(t *testing.T) {
			switch b.kind {
			case "session":
				playSession(t, b)
			case "messages":
				buildNotices(t, b)
			default:
				t.Errorf("%q is not a kind of example that is checked", b.kind)
			}
		})
	}
}

func playSession(t *testing.T, b docBlock) {
	g := exampleGateway(t)
	var c *testClient
	var produced int64
	var epoch string // of the only topic that is resumed
	for i, line := range b.lines {
		who, what, _ := strings.Cut(line, ":")
		what = strings.TrimSpace(what)
		switch who {
		case "connect":
			if c != nil {
				c.ws.Close()
			}
			u, err := url.Parse(what)
			if err != nil || u.Path != "/ws" {
				t.Fatalf("line %d: %q: %v", b.line+1+i, what, err)
			}
			c = g.dialRaw(u.Query()["channel"]...)
			c.whole = true
		case "client":
			c.send(strings.ReplaceAll(what, "EPOCH", epoch))
		case "kafka":
			f := strings.SplitN(what, " ", 4)
			partition, _ := strconv.Atoi(f[1])
			g.produce(int32(partition), &kgo.Record{Topic: f[0], Key: []byte(f[2]), Value: []byte(f[3])})
			produced++
			g.eventually("the record is read", func(s Stats) bool { return s.Records >= produced })
		case "shutdown":
			g.stop()
		case "gateway":
			m := c.read()
			got := strings.ReplaceAll(varying.ReplaceAllString(string(m.Raw), "${1}…"), "\n", `\n`)
			if id := epochs.FindStringSubmatch(got); id != nil {
				epoch = id[1]
				got = strings.ReplaceAll(got, epoch, "EPOCH")
			}
			if got != what {
				t.Fatalf("line %d: got %s; want %s", b.line+1+i, got, what)
			}
		default:
			t.Errorf("line %d: %q is nobody", b.line+1+i, who)
		}
	}
}

func buildNotices(t *testing.T, b docBlock) {
	h := newTestHub(t, SlowDropOldest)
	for i, line := range b.lines {
		want := strings.TrimPrefix(line, "gateway: ")
		m, err := parse(0, []byte(want))
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind == string(noticeSlow) {
			if got := string(appendSlowNotice(nil, m.QueuedBytes, m.LimitBytes)); got != want {
				t.Errorf("line %d: got %s; want %s", b.line+1+i, got, want)
			}
			continue
		}
		if m.Kind == string(noticeMoved) {
			if got := string(appendMovedNotice(nil, h.channel(m.Channel), m.Partition, m.Offset)); got != want {
				t.Errorf("line %d: got %s; want %s", b.line+1+i, got, want)
			}
			continue
		}
		n := notice{
			kind: noticeKind(m.Kind), channel: h.channel(m.Channel), partition: m.Partition,
			firstOffset: m.FirstOffset, lastOffset: m.LastOffset, count: m.Count,
		}
		if !slices.Contains([]noticeKind{noticeDropped, noticeGap, noticeTruncated}, n.kind) {
			t.Errorf("line %d: kind %q does not exist", b.line+1+i, n.kind)
		}
		if got := string(n.append(nil)); got != want {
			t.Errorf("line %d: got %s; want %s", b.line+1+i, got, want)
		}
	}
}

// docTable gives the rows under the table head that begins with head, their
// cells trimmed and without backquotes.
func docTable(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	doc, err := os.ReadFile(protocolDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "\n"+head)
	if !ok {
		t.Fatalf("%s has no table %q", protocolDoc, head)
	}
	for _, line := range strings.Split(rest, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			return rows
		}
		var row []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			row = append(row, strings.ReplaceAll(strings.TrimSpace(cell), "`", ""))
		}
		rows = append(rows, row)
	}
	return rows
}

func TestProtocolCloseCodes(t *testing.T) {
	rows := docTable(t, "| code | name |")
	if len(rows) != len(closeCodes) {
		t.Fatalf("the specification has %d close codes; want %d", len(rows), len(closeCodes))
	}
	for i, want := range closeCodes {
		if got := rows[i]; got[0] != strconv.Itoa(int(want.code)) || got[1] != want.name || got[2] != want.reason {
			t.Errorf("close code: got %v; want %d %s %q", got, want.code, want.name, want.reason)
		}
		if neverSent := strings.HasPrefix(rows[i][3], "never sent"); neverSent == want.code.onWire() {
			t.Errorf("close code %d: the specification and the code differ on whether it is sent", want.code)
		}
	}
}

func TestProtocolPublishCodes(t *testing.T) {
	var got []ErrorCode
	for _, row := range docTable(t, "| code | of | meaning |") {
		got = append(got, ErrorCode(row[0]))
	}
	want := []ErrorCode{
		ErrorBadRequest, ErrorNotOpen, ErrorForbidden, ErrorNoIdentity, ErrorTooLarge, ErrorTooManyInFlight, ErrorBufferFull, ErrorKafka, ErrorShuttingDown,
	}
	if !slices.Equal(got, want) {
		t.Errorf("codes: got %v; want %v", got, want)
	}
}

func TestProtocolErrorCodes(t *testing.T) {
	var got []ErrorCode
	for _, row := range docTable(t, "| code | meaning |") {
		got = append(got, ErrorCode(row[0]))
	}
	want := []ErrorCode{
		ErrorBadRequest, ErrorUnknownType, ErrorUnknownChannel, ErrorTooManyChannels, ErrorForbidden,
		ErrorTooManyRequests, ErrorUnauthorized, ErrorTooManyConnections,
		ErrorNotResumable, ErrorKafka, ErrorShuttingDown, ErrorNotReady,
	}
	if !slices.Equal(got, want) {
		t.Errorf("error codes: got %v; want %v", got, want)
	}
}

func TestProtocolStats(t *testing.T) {
	var got, want []string
	for _, row := range docTable(t, "| field | meaning |") {
		got = append(got, strings.Split(row[0], ", ")...)
	}
	for f := range reflect.TypeFor[Stats]().Fields() {
		want = append(want, f.Tag.Get("json"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("fields of /stats: got %v; want %v", got, want)
	}
}
