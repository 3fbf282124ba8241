package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// The limits of the environment.
const (
	maxEnvFileBytes    = 256 << 10
	maxVariables       = 16      // in one value
	maxSubstitutedText = 1 << 20 // all values with variables in them together
)

// setPrefix begins the variables that are overrides: WEIR_SET__KAFKA__PROVIDER=docker.
const setPrefix = "WEIR_SET"

// environment is the variables that scenarios may use: those of the environment win over those of a file.
type environment struct {
	vars  map[string]variable
	spent int // bytes substituted so far
}

type variable struct {
	value string
	from  string // "from the environment", "from .env:3"
}

// readEnvironment gathers the variables of the options. Mistakes in the file go to the reporter, with its name.
func readEnvironment(r *reporter, o Options) *environment {
	e := &environment{vars: map[string]variable{}}
	if o.EnvFile != "" {
		lines, problems := readEnvFile(o.EnvFile)
		r.others = append(r.others, problems...)
		for _, l := range lines {
			e.vars[l.name] = variable{l.value, fmt.Sprintf("from %s:%d", shorten(o.EnvFile, 80), l.line)}
		}
	}
	for _, pair := range o.Env {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			e.vars[name] = variable{value, "from the environment"}
		}
	}
	return e
}

// ReadEnvFile returns the variables of a file of NAME=value lines, "NAME=value" each, in its order. The error is an
// [Errors].
func ReadEnvFile(path string) ([]string, error) {
	lines, problems := readEnvFile(path)
	if len(problems) > 0 {
		return nil, Errors(problems)
	}
	var out []string
	for _, l := range lines {
		out = append(out, l.name+"="+l.value)
	}
	return out, nil
}

type envLine struct {
	name, value string
	line        int
}

var (
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,199}$`)
	// secretName finds what may be the name of a secret.
	secretName = regexp.MustCompile(`(?i)passw(or)?d|secret|token|authorization|cookie|credential|api[-_]?key`)
)

// readEnvFile parses a file of variables. Messages name a variable and never repeat a value.
func readEnvFile(path string) (lines []envLine, problems []Problem) {
	file := shorten(path, 200)
	data, err := readWhole(path, maxEnvFileBytes)
	if err == nil && (!utf8.Valid(data) || strings.ContainsRune(string(data), 0)) {
		err = errors.New("is not UTF-8 text")
	}
	if err != nil {
		return nil, []Problem{{File: file, Message: err.Error()}}
	}
	seen := map[string]int{}
	number := 0
	for text := range strings.SplitSeq(strings.TrimPrefix(string(data), "\uFEFF"), "\n") {
		number++
		name, value, err := parseEnvLine(strings.TrimSpace(text))
		if err == nil && name != "" && seen[name] > 0 {
			err = fmt.Errorf("%s stands here a second time, after line %d (keep one)", name, seen[name])
		}
		if err != nil && len(problems) < maxProblems {
			problems = append(problems, Problem{File: file, Line: number, Column: 1, Message: err.Error()})
		}
		if err != nil || name == "" {
			continue
		}
		seen[name] = number
		lines = append(lines, envLine{name, value, number})
	}
	return lines, problems
}

// parseEnvLine parses NAME=value, 'value' or "value", or nothing. A comment begins with # at the line's beginning or behind a
// space.
func parseEnvLine(line string) (name, value string, err error) {
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	name, value, ok := strings.Cut(line, "=")
	if !ok || !variableForm.MatchString(name) {
		return "", "", errors.New("is not a variable (write NAME=value, without spaces around the =)")
	}
	if value != "" && (value[0] == '\'' || value[0] == '"') {
		value, err = unquoteEnv(name, value)
		return name, value, err
	}
	if value == "" || value[0] == '#' || value[0] == ' ' || value[0] == '\t' {
		return name, "", spaceBefore(name, value)
	}
	if i := strings.Index(strings.ReplaceAll(value, "\t#", " #"), " #"); i >= 0 {
		value = value[:i]
	}
	return name, strings.TrimSpace(value), nil
}

func spaceBefore(name, value string) error {
	rest := strings.TrimSpace(value)
	if rest == "" || rest[0] == '#' {
		return nil
	}
	return fmt.Errorf("%s has a space before its value (write %s=value)", name, name)
}

// unquoteEnv takes 'as it is', or "with \n, \t, \" and \\".
func unquoteEnv(name, text string) (string, error) {
	mark, b := text[0], strings.Builder{}
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case c == mark:
			rest := strings.TrimSpace(text[i+1:])
			if rest != "" && rest[0] != '#' {
				return "", fmt.Errorf("%s has something behind its closing quote (remove it, or put it within the quotes)", name)
			}
			return b.String(), nil
		case c == '\\' && mark == '"' && i+1 < len(text):
			i++
			escaped, ok := map[byte]byte{'n': '\n', 't': '\t', '"': '"', '\\': '\\', '$': '$'}[text[i]]
			if !ok {
				return "", fmt.Errorf("%s has a backslash before what needs none (write \\\\ for one, or take single quotes)", name)
			}
			b.WriteByte(escaped)
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("%s has a quote that is not closed", name)
}

// overrides lists the variables that are overrides, sorted by name, so that what contains comes before what it contains.
func (e *environment) overrides() []override {
	var out []override
	for name, v := range e.vars {
		rest, ok := strings.CutPrefix(name, setPrefix)
		if !ok {
			continue
		}
		label := name + "=" + v.value
		if v.from != "from the environment" {
			label = strings.TrimPrefix(v.from, "from ") + ": " + label
		}
		path := strings.Split(strings.TrimPrefix(rest, "__"), "__")
		if !strings.HasPrefix(rest, "__") || slices.Contains(path, "") {
			out = append(out, override{label: label, bad: fmt.Sprintf("is not an override (write %s__KAFKA__BROKERS=3)", setPrefix)})
			continue
		}
		out = append(out, override{label: label, path: path, value: v.value, fold: true})
	}
	slices.SortFunc(out, func(a, b override) int { return cmp.Or(slices.Compare(a.path, b.path), cmp.Compare(a.label, b.label)) })
	return out
}

// substitute puts the variables into the values of a tree. What was a plain scalar is typed as one again.
func (r *reporter) substitute(n *node) {
	for i, child := range n.children {
		if n.kind != yaml.MappingNode || i%2 == 1 {
			r.substitute(child)
		}
	}
	if n.kind != yaml.ScalarNode || !strings.Contains(n.value, "$") {
		return
	}
	value, used, err := r.env.expand(n.value)
	if err != nil {
		r.addf(n.at, "%s", err)
		n.unknown = true
		return
	}
	n.value = value
	n.at.vars = strings.Join(used, ", ")
	if n.style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		n.tag = (&yaml.Node{Kind: yaml.ScalarNode, Value: value}).ShortTag()
	}
}

// expand replaces ${NAME}, ${NAME:-default} and $$ in a text. Used says which variables it took from where.
func (e *environment) expand(text string) (value string, used []string, err error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		if e.spent += len(before); e.spent > maxSubstitutedText || b.Len() > maxSubstitutedText {
			return "", nil, fmt.Errorf("the values with variables in them come to more than %s", formatSize(maxSubstitutedText))
		}
		switch {
		case !found:
			return b.String(), used, nil
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			text = rest[1:]
		case strings.HasPrefix(rest, "{"):
			inner, after, closed := strings.Cut(rest[1:], "}")
			v, from, err := e.lookUp(inner, closed)
			if err != nil {
				return "", nil, err
			}
			if !slices.Contains(used, from) {
				used = append(used, from)
			}
			if len(used) > maxVariables {
				return "", nil, fmt.Errorf("has more than %d variables in it, which no value needs", maxVariables)
			}
			e.spent += len(v)
			b.WriteString(v)
			text = after
		default:
			b.WriteByte('$')
			text = rest
		}
		if e.spent > maxSubstitutedText {
			return "", nil, fmt.Errorf("the values with variables in them come to more than %s", formatSize(maxSubstitutedText))
		}
	}
}

// lookUp returns the value of what stands between ${ and }, and where it is from.
func (e *environment) lookUp(inner string, closed bool) (value, from string, err error) {
	name, fallback, hasDefault := strings.Cut(inner, ":-")
	if !closed || !variableForm.MatchString(name) {
		return "", "", fmt.Errorf("%s is not a variable (write ${NAME} or ${NAME:-default}, and $$ for a $)", quote("${"+inner))
	}
	v, ok := e.vars[name]
	switch {
	case ok && (v.value != "" || !hasDefault):
		return v.value, name + " " + v.from, nil
	case hasDefault:
		return fallback, name + " by default", nil
	}
	return "", "", fmt.Errorf("the variable %s is not set (set it, or write ${%s:-default})", name, name)
}
