package testbed

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/weirbench/weir/scenarios"
)

// placing is what a target's placeholders stand for.
type placing struct {
	port          int  // where the target listens
	published     int  // where clients reach that; port itself where nothing is published
	bridged       bool // into a network of the target's own, in which it must listen on more than loopback
	seeds, topics []string
	run           string
	files         string // the folder of the files that were written for the target; "" where there is none
}

// fill replaces the placeholders in a text that the target is given.
func (p placing) fill(text string) string { return p.at(p.port).Replace(text) }

// fillURL replaces them in an address that weir connects to.
func (p placing) fillURL(text string) string { return p.at(p.published).Replace(text) }

// fillPattern replaces them in a regular expression, where they stand for themselves.
func (p placing) fillPattern(text string) string {
	pairs := p.pairs(p.port)
	for i := 1; i < len(pairs); i += 2 {
		pairs[i] = regexp.QuoteMeta(pairs[i])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func (p placing) at(port int) *strings.Replacer { return strings.NewReplacer(p.pairs(port)...) }

// pairs are the placeholders, each with what it stands for behind it.
func (p placing) pairs(port int) []string {
	return []string{
		"{port}", strconv.Itoa(port), "{seeds}", strings.Join(p.seeds, ","), "{topics}", strings.Join(p.topics, ","),
		"{host}", p.host(), "{run}", p.run, "{seeds_json}", inJSON(p.seeds), "{topics_json}", inJSON(p.topics), "{files}", p.files,
	}
}

// host is the address that the target is to listen at: nobody but this machine is to reach it.
func (p placing) host() string {
	if p.bridged {
		return "0.0.0.0"
	}
	return "127.0.0.1"
}

func inJSON(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	text, _ := json.Marshal(list) // strings always encode
	return string(text)
}

func (p placing) fillAll(texts []string) []string {
	var filled []string
	for _, text := range texts {
		filled = append(filled, p.fill(text))
	}
	return filled
}

func (p placing) ready(r scenarios.Ready) scenarios.Ready {
	r.URL = p.fillURL(r.URL)
	r.Log = p.fillPattern(r.Log)
	return r
}
