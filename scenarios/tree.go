package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// node is a YAML node with its aliases written out, and with the override that it came from, if any.
type node struct {
	kind     yaml.Kind // MappingNode, SequenceNode or ScalarNode
	tag      string    // the short tag that YAML resolves a scalar to: !!str, !!int, !!bool, !!null …
	value    string
	style    yaml.Style
	children []*node // of a mapping key, value, key, value …
	at       place   // without a path
	unknown  bool    // its value is a variable's that is not known: reported already
}

// parseTree parses one YAML document into nodes and puts the environment's variables in. At is the override that the text
// comes from, or zero for a file.
func parseTree(r *reporter, at place, data []byte) (*node, bool) {
	if problem := unreadable(data); problem != "" {
		r.addf(at, "%s", problem)
		return nil, false
	}
	docs, err := decodeYAML(data)
	if err != nil {
		reportSyntax(r, at, data, err)
		return nil, false
	}
	if len(docs) > 1 {
		second := at
		if at.set == "" {
			second.line, second.column = docs[1].Line, docs[1].Column
		}
		r.addf(second, "a second document begins here (a scenario is one document: remove the ---)")
		return nil, false
	}
	if len(docs) == 0 || len(docs[0].Content) == 0 || at.set == "" && docs[0].Content[0].ShortTag() == "!!null" {
		r.addf(at, "is empty")
		return nil, false
	}
	c := copier{r: r, set: at.set}
	root := c.copy(docs[0].Content[0], 1)
	if c.failed {
		return nil, false
	}
	r.substitute(root)
	return root, true
}

// unreadable says why data is not worth parsing, or "".
func unreadable(data []byte) string {
	switch {
	case len(data) > maxFileBytes:
		return fmt.Sprintf("is larger than %s, which no scenario is", formatSize(maxFileBytes))
	case len(bytes.TrimSpace(data)) == 0:
		return "is empty"
	case !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		return "is not UTF-8 text"
	case countMarks(data) > maxMarks:
		return fmt.Sprintf("has more than %d YAML elements, which no scenario has", maxMarks)
	}
	return ""
}

// countMarks counts the characters that can begin a YAML node: the parser makes at most two nodes of about 200 bytes
// for each, so the count bounds its memory before it starts.
func countMarks(data []byte) int {
	n := 0
	for _, c := range data {
		switch c {
		case '\n', '\r', ',', ':', '[', ']', '{', '}', '-', '?':
			n++
		}
	}
	return n
}

// decodeYAML returns the documents of a text, at most two.
func decodeYAML(data []byte) (docs []*yaml.Node, err error) {
	defer func() {
		// yaml.v3 is known to panic on some malformed texts; for the user that is a syntax error like any other.
		if p := recover(); p != nil {
			docs, err = nil, fmt.Errorf("yaml: the text is malformed (%v)", p)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for len(docs) < 2 {
		doc := new(yaml.Node)
		if err := decoder.Decode(doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// copier turns a yaml.v3 tree into nodes, writing aliases out, within the limits.
type copier struct {
	r      *reporter
	set    string
	nodes  int
	open   []*yaml.Node // the alias nodes being written out, innermost last
	failed bool
}

func (c *copier) fail(y *yaml.Node, format string, args ...any) *node {
	if !c.failed { // the first limit broken stops the copy: one message is enough
		c.r.addf(c.place(y), format, args...)
	}
	c.failed = true
	return nil
}

func (c *copier) place(y *yaml.Node) place {
	if c.set != "" {
		return place{set: c.set}
	}
	return place{line: y.Line, column: y.Column}
}

func (c *copier) copy(y *yaml.Node, depth int) *node {
	if c.failed {
		return nil
	}
	if c.nodes++; c.nodes > maxNodes {
		return c.tooMany(y)
	}
	if depth > maxDepth {
		return c.fail(y, "is nested more than %d deep", maxDepth)
	}
	if y.Kind == yaml.AliasNode && c.set != "" {
		// Many flags, each with an alias written out, would come to any amount of memory.
		return c.fail(y, "aliases (*%s) have no place in an override (write the values out)", shorten(y.Value, 60))
	}
	if y.Kind == yaml.AliasNode {
		if slices.ContainsFunc(c.open, func(outer *yaml.Node) bool { return outer.Alias == y.Alias }) {
			return c.fail(y, "the alias *%s contains itself", shorten(y.Value, 60))
		}
		c.open = append(c.open, y)
		n := c.copy(y.Alias, depth)
		c.open = c.open[:len(c.open)-1]
		return n
	}
	if y.Style&yaml.TaggedStyle != 0 {
		c.r.addf(c.place(y), "tags such as %s have no meaning here (remove it)", shorten(y.Tag, 60))
	}
	n := &node{kind: y.Kind, tag: y.ShortTag(), value: y.Value, style: y.Style, at: c.place(y)}
	for _, child := range y.Content {
		n.children = append(n.children, c.copy(child, depth+1))
	}
	return n
}

// tooMany reports the limit of elements, at the outermost alias where one is being written out.
func (c *copier) tooMany(y *yaml.Node) *node {
	if len(c.open) == 0 {
		return c.fail(y, "more than %d elements are no scenario", maxNodes)
	}
	return c.fail(c.open[0], "*%s and the aliases in it come to more than %d elements (write fewer values, without aliases)",
		shorten(c.open[0].Value, 60), maxNodes)
}

var (
	yamlLine   = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	leadingTab = regexp.MustCompile(`^ *\t`)
	idleLine   = regexp.MustCompile(`^\s*(#.*)?\s*$`)
)

// syntaxMends says what is usually behind a message of the parser.
var syntaxMends = []struct{ message, mend string }{
	{"mapping values are not allowed", "a value that contains \": \" needs quotes, and a key's indentation must be that of its neighbours"},
	{"did not find expected key", "the indentation must be that of the lines around it"},
	{"did not find expected '-' indicator", "the items of a list must be indented alike"},
	{"did not find expected ',' or ']'", "a [ is not closed"},
	{"did not find expected ',' or '}'", "a { is not closed, or a ${NAME} within { } has no quotes"},
	{"cannot start any token", "a value that begins so needs quotes"},
	{"unexpected end of stream", "a quote is not closed"},
	{"unknown anchor", "an alias *x needs an anchor &x before it"},
	{"could not find expected ':'", "a key needs a colon and a space after it"},
}

// reportSyntax records the parser's complaint, at the line where the text stops being YAML.
func reportSyntax(r *reporter, at place, data []byte, err error) {
	r.blind = true
	message := err.Error()
	head := yamlLine.FindStringSubmatch(message)
	message = shorten(message[len(head[0]):], 200)
	for _, m := range syntaxMends {
		if strings.Contains(message, m.message) {
			message += " (" + m.mend + ")"
			break
		}
	}
	if at.set != "" {
		r.addf(at, "is not YAML: %s", message)
		return
	}
	said, _ := strconv.Atoi(head[1])
	starts := lineStarts(data)
	at.line = syntaxLine(data, starts, max(said, 1))
	text, _, _ := bytes.Cut(data[starts[at.line-1]:], []byte("\n"))
	at.column = len(text) - len(bytes.TrimLeft(text, " ")) + 1
	if leadingTab.Match(text) {
		message = "a tab in the indentation (YAML takes spaces only)"
	} else {
		message = "is not YAML: " + message
	}
	r.addf(at, "%s", message)
}

// syntaxLine returns the line where a text stops being YAML: the first with something on it after the longest
// beginning that is YAML, since the line that yaml.v3 names is often that of the enclosing block, or one off. Said is
// yaml.v3's line, taken where the search would be long.
func syntaxLine(data []byte, starts []int, said int) int {
	const budget = 256 << 10 // bytes parsed in search of the line
	line, parsed := min(said, len(starts)), 0
	for n := len(starts) - 1; n >= 0 && parsed < budget; n-- {
		if _, err := decodeYAML(data[:starts[n]]); err == nil {
			line = n + 1
			break
		}
		parsed += starts[n]
	}
	for line < len(starts) && idleLine.Match(data[starts[line-1]:starts[line]]) {
		line++
	}
	return line
}

// lineStarts returns the offset of each line.
func lineStarts(data []byte) []int {
	starts := []int{0}
	for i, c := range data {
		if c == '\n' && i+1 < len(data) {
			starts = append(starts, i+1)
		}
	}
	return starts
}
