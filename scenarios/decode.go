package scenarios

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// field is one value of a scenario as the user gave it, or its absence.
type field[T any] struct {
	value T
	at    place
	state fieldState
}

type fieldState int

const (
	absent fieldState = iota
	given
	bad // given, and wrong: reported already, so what depends on it is not checked
)

// or returns the value given, or the default.
func (f field[T]) or(fallback T) T {
	if f.state == given {
		return f.value
	}
	return fallback
}

// object is a mapping being decoded. Its getters take keys from it, with the bounds and words of its shape; finish reports
// the keys that the shape has not.
type object struct {
	r       *reporter
	shape   *shape
	at      place
	ok      bool // it is a mapping
	entries map[string]entry
	order   []string
	asked   []string
}

type entry struct {
	value *node
	keyAt place // where the key stands
	at    place // where the value stands
}

// openObject begins to decode a mapping.
func openObject(r *reporter, n *node, at place, s *shape) *object {
	o := &object{r: r, shape: s, at: at, ok: n.kind == yaml.MappingNode, entries: map[string]entry{}}
	switch {
	case n.unknown:
		return o
	case o.ok:
	case s.secret && n.kind == yaml.ScalarNode && n.tag != "!!null":
		r.hide(at)
		r.addf(at, "is a text, but must be a mapping (write %s)", s.mend())
		return o
	default:
		r.addf(at, "is %s, but must be a mapping (lines of key: value)", describe(n))
		return o
	}
	for i := 0; i+1 < len(n.children); i += 2 {
		o.add(n.children[i], n.children[i+1])
	}
	return o
}

func (o *object) add(key, value *node) {
	keyAt := key.at
	keyAt.path = o.at.path
	if key.kind != yaml.ScalarNode || key.tag == "!!null" {
		o.r.addf(keyAt, "a key must be a plain word")
		return
	}
	if key.tag == "!!merge" {
		o.r.addf(keyAt, "merge keys (<<) have no meaning here (write the keys out)")
		return
	}
	at := value.at
	at.path = join(o.at.path, key.value)
	keyAt.path = at.path
	if first, double := o.entries[key.value]; double {
		o.r.addf(keyAt, "the key stands here a second time%s (keep one)", firstAt(first.keyAt))
		return
	}
	o.entries[key.value] = entry{value: value, keyAt: keyAt, at: at}
	o.order = append(o.order, key.value)
}

func firstAt(at place) string {
	if at.line == 0 {
		return ""
	}
	return fmt.Sprintf(", after line %d", at.line)
}

// describe says what a node is, for "is …, but must be …".
func describe(n *node) string {
	switch {
	case n.kind == yaml.MappingNode:
		return "a mapping"
	case n.kind == yaml.SequenceNode:
		return "a list"
	case n.tag == "!!null":
		return "empty"
	}
	return quote(n.value)
}

// take returns a key's entry.
func (o *object) take(key string) (entry, bool) {
	if !slices.Contains(o.asked, key) {
		o.asked = append(o.asked, key)
	}
	e, ok := o.entries[key]
	return e, ok
}

// need reports required keys that are absent: those named, or all that the shape requires.
func (o *object) need(names ...string) {
	for _, k := range o.shape.keys {
		wanted := slices.Contains(names, k.name) || k.required && len(names) == 0
		if !wanted {
			continue
		}
		if _, ok := o.entries[k.name]; !ok && o.ok && !o.misspelt(k.name) {
			o.r.addf(o.at.under(k.name), "is missing (write %s: %s)", k.name, k.example)
		}
	}
}

// misspelt says whether a key is there under a name that finish takes for it.
func (o *object) misspelt(name string) bool {
	return slices.ContainsFunc(o.order, func(given string) bool {
		_, known := o.shape.key(given)
		return !known && Nearest(given, o.shape.names()) == name
	})
}

// strange says whether there is a key that the shape has not: what is missing may stand under it.
func (o *object) strange() bool {
	return slices.ContainsFunc(o.order, func(given string) bool {
		_, known := o.shape.key(given)
		return !known
	})
}

// only takes the one key of a choice.
func (o *object) only() (string, entry, bool) {
	var chosen []string
	for _, k := range o.shape.keys {
		if _, ok := o.take(k.name); ok {
			chosen = append(chosen, k.name)
		}
	}
	if !o.ok || len(o.order) == 0 {
		if o.ok {
			o.r.addf(o.at, "is empty (write %s)", o.shape.mend())
		}
		return "", entry{}, false
	}
	for _, name := range chosen[min(1, len(chosen)):] {
		o.r.addf(o.entries[name].keyAt, "stands beside %s, and there can be one of them (remove one)", chosen[0])
	}
	if len(chosen) != 1 {
		return "", entry{}, false
	}
	return chosen[0], o.entries[chosen[0]], true
}

// finish reports the keys that the shape has not, and those that a later version will have.
func (o *object) finish() {
	for _, name := range o.order {
		e := o.entries[name]
		known, ok := o.shape.key(name)
		switch {
		case ok && known.reserved:
			o.r.addf(e.keyAt, "not supported yet by this version (remove it)")
		case !ok:
			if o.shape.secret || secretName.MatchString(name) {
				o.r.hide(e.at)
			}
			e.keyAt.path = o.at.path
			o.r.addf(e.keyAt, "unknown key %s%s", quote(name), didYouMean(name, o.shape.names()))
		}
	}
	if o.r.watch != nil {
		o.r.watch(o)
	}
}

// of returns the description of a key that a getter asks for.
func (o *object) of(name string) key {
	k, _ := o.shape.key(name)
	return k
}

// scalar takes a key whose value is one scalar. Want says what it must be: "a rate such as 1000/s".
func scalar[T any](o *object, key, want string, parse func(*node) (T, error)) field[T] {
	e, ok := o.take(key)
	if !ok {
		return field[T]{}
	}
	return parseScalar(o.r, e.value, e.at, want, parse)
}

func parseScalar[T any](r *reporter, n *node, at place, want string, parse func(*node) (T, error)) field[T] {
	f := field[T]{at: at, state: bad}
	if n.unknown {
		return f
	}
	if n.kind != yaml.ScalarNode || n.tag == "!!null" {
		r.addf(at, "is %s, but must be %s", describe(n), want)
		return f
	}
	value, err := parse(n)
	if err != nil {
		r.addf(at, "%s", err)
		return f
	}
	return field[T]{value: value, at: at, state: given}
}

// text takes a string. A --set flag can't quote what YAML takes for a number, so there any scalar is one.
func (o *object) text(key string, check func(string) error) field[string] {
	return scalar(o, key, o.of(key).want, func(n *node) (string, error) { return textOf(n, check) })
}

func textOf(n *node, check func(string) error) (string, error) {
	if err := check(n.value); err != nil {
		return "", err
	}
	if n.tag != "!!str" && n.tag != "!!timestamp" && n.at.set == "" {
		return "", fmt.Errorf("%s is not text to YAML (write %q)", shorten(n.value, 60), shorten(n.value, 60))
	}
	return n.value, nil
}

// oneOf takes one of a few words.
func (o *object) oneOf(key string) field[string] {
	words := o.of(key).words
	want := "one of " + strings.Join(words, ", ")
	return scalar(o, key, want, func(n *node) (string, error) { return wordOf(n, words) })
}

func wordOf(n *node, words []string) (string, error) {
	if slices.Contains(words, n.value) {
		return n.value, nil
	}
	if near := Nearest(n.value, words); near != "" {
		return "", fmt.Errorf("%s is not known here (did you mean %s? there is %s)", quote(n.value), near, strings.Join(words, ", "))
	}
	return "", fmt.Errorf("%s is not known here (write %s)", quote(n.value), alternatives(words))
}

func alternatives(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// within returns an error where a value is outside its bounds.
func within[T int | int64 | uint64 | float64 | time.Duration](value, low, high T, format func(T) string) error {
	if value < low {
		return fmt.Errorf("%s is too little (at least %s)", format(value), format(low))
	}
	if value > high {
		return fmt.Errorf("%s is too much (at most %s)", format(value), format(high))
	}
	return nil
}

// capped says of a value above one of the hard bounds that no flag lifts them, and why they are there.
func capped[T int | int64 | float64 | time.Duration](err error, value, bound, hard T, why string) error {
	if err == nil || bound != hard || value <= hard {
		return err
	}
	return fmt.Errorf("%s; no flag lifts that: %s)", strings.TrimSuffix(err.Error(), ")"), why)
}

func (o *object) integer(key string) field[int] {
	k := o.of(key)
	return scalar(o, key, "a whole number", func(n *node) (int, error) {
		value, err := intOf(n)
		if err != nil {
			return 0, err
		}
		return value, capped(within(value, int(k.low), int(k.high), strconv.Itoa), value, int(k.high), maxClients, whyMaxClients)
	})
}

func intOf(n *node) (int, error) {
	value, err := parseCount(n.value)
	if err == nil && n.tag == "!!str" {
		err = fmt.Errorf("%s is text to YAML (write %d without quotes)", quote(n.value), value)
	}
	return int(value), err
}

func (o *object) boolean(key string) field[bool] {
	return scalar(o, key, "true or false", func(n *node) (bool, error) {
		value, err := parseBool(n.value)
		if err == nil && n.tag == "!!str" {
			err = fmt.Errorf("%s is text to YAML (write %t without quotes)", quote(n.value), value)
		}
		return value, err
	})
}

func (o *object) duration(key string) field[time.Duration] {
	k := o.of(key)
	return scalar(o, key, "a duration such as 30s", func(n *node) (time.Duration, error) {
		d, err := parseDuration(n.value)
		if err != nil {
			return 0, err
		}
		return d, capped(within(d, time.Duration(k.low), time.Duration(k.high), formatDuration), d, time.Duration(k.high), maxDuration, whyMax)
	})
}

func (o *object) rate(key string) field[float64] {
	high := float64(o.of(key).high)
	return scalar(o, key, "a rate such as 1000/s", func(n *node) (float64, error) { return rateOf(n, high) })
}

// number takes a decimal number above 0.
func (o *object) number(key string) field[float64] {
	k := o.of(key)
	return scalar(o, key, k.want, func(n *node) (float64, error) {
		value, err := parseNumber(n.value)
		if err == nil && (value <= 0 || value > float64(k.high)) {
			err = fmt.Errorf("%s is outside of what %s can be (above 0, at most %d)", quote(n.value), key, k.high)
		}
		return value, err
	})
}

func (o *object) share(key string) field[float64] {
	return scalar(o, key, o.of(key).want, func(n *node) (float64, error) { return parseShare(n.value) })
}

func rateOf(n *node, high float64) (float64, error) {
	value, err := parseRate(n.value)
	if err != nil {
		return 0, err
	}
	if value < minRate {
		return 0, fmt.Errorf("%s is too little (at least 1/h)", quote(n.value))
	}
	return value, capped(within(value, 0, high, formatRate), value, high, maxRate, whyMax)
}

func (o *object) size(key string) field[int64] {
	k := o.of(key)
	return scalar(o, key, orElse(k.want, "a size such as 256B"), func(n *node) (int64, error) { return sizeOf(n, k.low, k.high) })
}

func sizeOf(n *node, low, high int64) (int64, error) {
	value, err := parseSize(n.value)
	if err != nil {
		return 0, err
	}
	return value, within(value, low, high, formatSize)
}

// item is one element of a list.
type item struct {
	value *node
	at    place
}

var pathWord = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)

// list takes a list. Items that have a name are named by it in paths, the first of each name. From a --set flag a text
// is taken for a list split at its commas.
func (o *object) list(key string) (items []item, f field[int]) {
	e, ok := o.take(key)
	if !ok {
		return nil, field[int]{}
	}
	if e.value.kind == yaml.SequenceNode && len(e.value.children) == 0 && o.of(key).empty {
		return nil, field[int]{at: e.at, state: given}
	}
	return o.items(e, o.of(key).example)
}

// items takes a list apart; example is one as it could be written.
func (o *object) items(e entry, example string) (items []item, f field[int]) {
	want := exampleItem(example)
	f = field[int]{at: e.at, state: given}
	nodes := e.value.children
	if e.value.unknown {
		f.state = bad
		return nil, f
	}
	if e.value.kind == yaml.ScalarNode && e.value.at.set != "" && e.value.tag != "!!null" {
		nodes = splitList(e.value)
	} else if e.value.kind != yaml.SequenceNode {
		o.r.addf(e.at, "is %s, but must be a list (write %s)", describe(e.value), want)
		f.state = bad
	}
	if f.state == given && len(nodes) == 0 {
		o.r.addf(e.at, "is empty (write %s)", want)
		f.state = bad
	}
	if f.state == bad {
		return nil, f
	}
	seen := map[string]bool{}
	for i, n := range nodes {
		label := nameOf(n)
		if seen[label] || !pathWord.MatchString(label) {
			label = strconv.Itoa(i)
		}
		seen[label] = true
		at := n.at
		at.path = join(e.at.path, label)
		items = append(items, item{n, at})
	}
	return items, f
}

// exampleItem returns the first item of an example's list as a line of a list: "- 127.0.0.1:9092".
func exampleItem(list string) string {
	inner := strings.TrimSuffix(strings.TrimPrefix(list, "["), "]")
	depth := 0
	for i, c := range inner {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ',' && depth == 0:
			return "- " + inner[:i]
		}
	}
	return "- " + inner
}

// splitList splits a scalar of a --set flag at the commas outside braces.
func splitList(n *node) []*node {
	var out []*node
	depth, start := 0, 0
	add := func(text string) {
		out = append(out, &node{kind: yaml.ScalarNode, tag: "!!str", value: strings.TrimSpace(text), at: n.at})
	}
	for i, c := range n.value {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ',' && depth <= 0:
			add(n.value[start:i])
			start = i + 1
		}
	}
	add(n.value[start:])
	return out
}
