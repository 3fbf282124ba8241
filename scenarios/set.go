package scenarios

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// applySets applies overrides to the tree before it is decoded, so that they are checked as the file is. Later ones win.
func applySets(r *reporter, root *node, sets []string) *node {
	if root.kind != yaml.MappingNode {
		return root // decode says what is wrong
	}
	bytes := 0
	for _, text := range sets {
		if bytes += len(text); bytes > maxSetBytes {
			r.addf(place{set: text}, "the --set flags come to more than %s (write a scenario file)", formatSize(maxSetBytes))
			break
		}
		applySet(r, root, text)
	}
	return root
}

func applySet(r *reporter, root *node, text string) {
	at := place{set: text}
	path, value, ok := strings.Cut(text, "=")
	path = strings.TrimSpace(path)
	segments := strings.Split(path, ".")
	if !ok || slices.Contains(segments, "") {
		r.addf(at, "is not an override (write kafka.brokers=3)")
		return
	}
	if len(segments) > maxDepth {
		r.addf(at, "is nested more than %d deep", maxDepth)
		return
	}
	at.path = shorten(path, 200)
	if strings.TrimSpace(value) == "" {
		r.addf(at, "has no value (write %s=VALUE)", at.path)
		return
	}
	if n, ok := parseTree(r, at, []byte(value)); ok {
		setter{r: r, at: at}.put(root, segments, "", n)
	}
}

// setter puts one value into the tree.
type setter struct {
	r  *reporter
	at place // of the flag
}

// put replaces what the segments lead to below n, which stands at path; missing mappings on the way are made. The value
// null takes a key out, so that its default holds again.
func (s setter) put(n *node, segments []string, path string, value *node) {
	switch n.kind {
	case yaml.MappingNode:
		s.putKey(n, segments, path, value)
	case yaml.SequenceNode:
		s.putItem(n, segments, path, value)
	default:
		s.r.addf(s.at, "%s is one value, which has no %s (set %s as a whole)", path, quote(segments[0]), path)
	}
}

func (s setter) putKey(n *node, segments []string, path string, value *node) {
	key, rest := segments[0], segments[1:]
	for i := 0; i+1 < len(n.children); i += 2 {
		if n.children[i].value != key {
			continue
		}
		if len(rest) == 0 && value.tag == "!!null" {
			n.children = slices.Delete(n.children, i, i+2)
			return
		}
		if len(rest) == 0 {
			n.children[i+1] = value
			return
		}
		if child := n.children[i+1]; child.tag == "!!null" {
			n.children[i+1] = s.mapping() // "gateway:" with nothing below it
		}
		s.put(n.children[i+1], rest, join(path, key), value)
		return
	}
	if len(rest) == 0 && value.tag == "!!null" {
		return
	}
	flag := place{set: s.at.set}
	n.children = append(n.children, &node{kind: yaml.ScalarNode, tag: "!!str", value: key, at: flag})
	if len(rest) == 0 {
		n.children = append(n.children, value)
		return
	}
	child := s.mapping()
	n.children = append(n.children, child)
	s.put(child, rest, join(path, key), value)
}

func (s setter) mapping() *node {
	return &node{kind: yaml.MappingNode, tag: "!!map", at: place{set: s.at.set}}
}

// putItem finds the item of a list by its index, or by its name. Names may contain points, as topics' do: of the names
// that the segments can be read as, the longest wins.
func (s setter) putItem(n *node, segments []string, path string, value *node) {
	for taken := len(segments); taken > 0; taken-- {
		name := strings.Join(segments[:taken], ".")
		i := slices.IndexFunc(n.children, func(item *node) bool { return nameOf(item) == name })
		if i < 0 && taken == 1 {
			i = indexOf(name, len(n.children))
		}
		if i < 0 {
			continue
		}
		if taken == len(segments) {
			n.children[i] = value
		} else {
			s.put(n.children[i], segments[taken:], join(path, name), value)
		}
		return
	}
	var names []string
	for i, item := range n.children {
		names = append(names, orElse(nameOf(item), strconv.Itoa(i)))
	}
	s.r.addf(s.at, "%s has no item %s%s", path, quote(segments[0]), didYouMean(segments[0], names))
}

func indexOf(text string, length int) int {
	i, err := strconv.Atoi(text)
	if err != nil || i < 0 || i >= length {
		return -1
	}
	return i
}

// nameOf returns the value of an item's name key, or "".
func nameOf(item *node) string {
	if item.kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(item.children); i += 2 {
		if item.children[i].value == "name" && item.children[i+1].kind == yaml.ScalarNode {
			return item.children[i+1].value
		}
	}
	return ""
}
