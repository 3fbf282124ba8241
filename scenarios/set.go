package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// override is one value put into the tree before it is decoded.
type override struct {
	label string // as the user gave it, with where it is from: "--set a.b=c"
	path  []string
	value string
	// fold compares names without regard to case, and - and _ as equal: variables' names can't tell them apart.
	fold bool
	bad  string // what is wrong with it
}

// overrides lists those of the environment, sorted, and then the flags, which win.
func (r *reporter) overrides(sets []string) []override {
	out := r.env.overrides()
	bytes := 0
	for _, o := range out {
		bytes += len(o.label)
	}
	for _, text := range sets {
		at := place{set: "--set " + text}
		if bytes += len(text); bytes > maxSetBytes {
			return append(out, override{label: at.set, bad: fmt.Sprintf("the --set flags come to more than %s (write a scenario file)", formatSize(maxSetBytes))})
		}
		path, value, ok := strings.Cut(text, "=")
		segments := strings.Split(strings.TrimSpace(path), ".")
		if !ok || slices.Contains(segments, "") {
			out = append(out, override{label: at.set, bad: "is not an override (write kafka.brokers=3)"})
			continue
		}
		out = append(out, override{label: at.set, path: segments, value: value})
	}
	return out
}

// applySets applies overrides to the tree before it is decoded, so that they are checked as the file is. Later ones win.
func applySets(r *reporter, root *node, language *shape, overrides []override) *node {
	if root.kind != yaml.MappingNode {
		return root // decode says what is wrong
	}
	for _, o := range overrides {
		applySet(r, root, language, o)
	}
	return root
}

func applySet(r *reporter, root *node, language *shape, o override) {
	at := place{set: o.label}
	if o.bad != "" {
		r.addf(at, "%s", o.bad)
		return
	}
	if len(o.path) > maxDepth {
		r.addf(at, "is nested more than %d deep", maxDepth)
		return
	}
	s := setter{r: r, at: at, fold: o.fold}
	at.path = shorten(strings.Join(o.path, "."), 200)
	if o.fold {
		at.path = ""
	}
	if strings.TrimSpace(o.value) == "" {
		r.addf(at, "has no value (write %s=VALUE)", orElse(at.path, o.label[:strings.IndexByte(o.label, '=')]))
		return
	}
	if n, ok := parseTree(r, at, []byte(o.value)); ok {
		s.at = at
		s.put(root, language, o.path, "", n)
	}
}

// setter puts one value into the tree.
type setter struct {
	r    *reporter
	at   place // of the override
	fold bool
}

var foldName = strings.NewReplacer("_", "-")

// same compares a name in the tree with one of the path.
func (s setter) same(name, segment string) bool {
	if !s.fold {
		return name == segment
	}
	return strings.EqualFold(foldName.Replace(name), foldName.Replace(segment))
}

// newKey is the name of a key that the mapping of that shape has not yet.
func (s setter) newKey(shape *shape, segment string) string {
	if !s.fold {
		return segment
	}
	if shape != nil {
		for _, k := range shape.keys {
			if s.same(k.name, segment) {
				return k.name
			}
		}
	}
	return strings.ToLower(segment)
}

// below is the shape of a key's mapping, or of the items of its list; nil where it has none.
func (s *shape) below(name string) *shape {
	if s == nil {
		return nil
	}
	k, _ := s.key(name)
	for _, form := range append([]key{k}, k.or...) {
		if form.shape != nil {
			return form.shape
		}
		if form.item != nil && form.item.shape != nil {
			return form.item.shape
		}
	}
	return nil
}

// put replaces what the segments lead to below n, which stands at path; missing mappings on the way are made. The value
// null takes a key out, so that its default holds again.
func (s setter) put(n *node, shape *shape, segments []string, path string, value *node) {
	switch n.kind {
	case yaml.MappingNode:
		s.putKey(n, shape, segments, path, value)
	case yaml.SequenceNode:
		s.putItem(n, shape, segments, path, value)
	default:
		s.r.addf(s.at, "%s is one value, which has no %s (set %s as a whole)", path, quote(segments[0]), path)
	}
}

func (s setter) putKey(n *node, shape *shape, segments []string, path string, value *node) {
	key, rest := segments[0], segments[1:]
	for i := 0; i+1 < len(n.children); i += 2 {
		if !s.same(n.children[i].value, key) {
			continue
		}
		key = n.children[i].value
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
		s.put(n.children[i+1], shape.below(key), rest, join(path, key), value)
		return
	}
	key = s.newKey(shape, key)
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
	s.put(child, shape.below(key), rest, join(path, key), value)
}

func (s setter) mapping() *node {
	return &node{kind: yaml.MappingNode, tag: "!!map", at: place{set: s.at.set}}
}

// putItem finds the item of a list by its index, or by its name. Names may contain points, as topics' do: of the names
// that the segments can be read as, the longest wins.
func (s setter) putItem(n *node, shape *shape, segments []string, path string, value *node) {
	for taken := len(segments); taken > 0; taken-- {
		name := strings.Join(segments[:taken], ".")
		i := slices.IndexFunc(n.children, func(item *node) bool { return s.same(nameOf(item), name) && nameOf(item) != "" })
		if i < 0 && taken == 1 {
			i = indexOf(name, len(n.children))
		}
		if i < 0 {
			continue
		}
		if taken == len(segments) {
			n.children[i] = value
		} else {
			s.put(n.children[i], shape, segments[taken:], join(path, name), value)
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
