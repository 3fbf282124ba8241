package scenarios

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weirbench/weir/internal/settings"
)

// GatewayFile is what the file of weir gateway --config says. The zero value of each field stands for the gateway's default.
// Paths of files are relative to the working directory.
type GatewayFile struct {
	Listen        string // host:port
	InstanceID    string
	Brokers       []string // host:port each
	Topics        []string
	PublishTopics []string
	Conflate      []Conflation
	QueueBytes    int64
	SlowPolicy    string         // disconnect or drop-oldest
	Security      *KafkaSecurity // nil: plain text without authentication
	Settings      settings.Gateway
}

// LoadGatewayFile reads the file of weir gateway --config, applies the options' variables and --set flags, and checks it. What
// begins with WEIR_SET__ is meant for scenarios and without effect. The error is an [Errors] with all mistakes.
func LoadGatewayFile(path string, o Options) (GatewayFile, error) {
	data, err := readWhole(path, maxFileBytes)
	if err != nil {
		return GatewayFile{}, Errors{{File: orElse(shorten(path, 200), "--config"), Message: err.Error()}}
	}
	return parseGatewayFile(newReporter(source{name: path, text: string(data)}), data, o)
}

func parseGatewayFile(r *reporter, data []byte, o Options) (GatewayFile, error) {
	r.env = readEnvironment(r, o)
	for name := range r.env.vars {
		if strings.HasPrefix(name, setPrefix) {
			delete(r.env.vars, name)
		}
	}
	tree, ok := parseTree(r, place{}, data)
	if !ok {
		return GatewayFile{}, r.err()
	}
	f := decodeGatewayFile(r, applySets(r, tree, gatewayFileShape, r.overrides(o.Sets)))
	if err := r.err(); err != nil {
		return GatewayFile{}, err
	}
	return f, nil
}

// maxFileTopics bounds each list of topics in a file.
const maxFileTopics = 500

func decodeGatewayFile(r *reporter, root *node) GatewayFile {
	o := openObject(r, root, root.at, gatewayFileShape)
	queue := o.size("queue")
	f := GatewayFile{
		Listen:     o.text("listen", checkHostPort(0)).value,
		InstanceID: o.text("instance_id", checkNotEmpty).value,
		Brokers:    decodeTexts(o, "brokers", checkHostPort(1)),
		Topics:     decodeTopics(o),
		Security:   decodeSecurity(o),
		QueueBytes: queue.value,
		SlowPolicy: o.oneOf("slow_clients").value,
	}
	served := topicList{o, f.Topics}
	conflate := decodeConflate(o)
	if len(conflate) > maxFileTopics {
		r.addf(o.entries["conflate"].at, "%d are too many (at most %d)", len(conflate), maxFileTopics)
		conflate = nil
	}
	for _, c := range conflate {
		f.Conflate = append(f.Conflate, Conflation{Topic: c.topic, Interval: c.interval.value})
		served.has("topics", c.topic, c.keyAt)
	}
	s := decodeSettings(o)
	f.Settings, f.PublishTopics = s.Gateway, s.published
	for _, topic := range s.batched {
		served.has("topics", topic.value, topic.at)
	}
	for _, topic := range s.keyed {
		topicList{o, f.PublishTopics}.has("publish.topics", topic.value, topic.at)
	}
	enoughQueue(r, s.queueTotal, queue.or(defaultQueue), queue.state)
	batchesFit(r, s, queue.or(defaultQueue), queue.state, conflatedTopics(conflate))
	subjectsKnown(r, s)
	o.finish()
	return f
}

// topicList is a list of topics in a file. Where there is none a flag may give it.
type topicList struct {
	o      *object
	topics []string
}

// has reports a topic that is not in the list.
func (l topicList) has(list, topic string, at place) {
	switch {
	case len(l.topics) == 0 || slices.Contains(l.topics, topic):
	case len(l.o.r.problems) >= maxProblems: // it is only counted: what may have been meant would take long to find
		l.o.r.addf(at, "there is no such topic")
	default:
		l.o.r.addf(at, "there is no topic %s under %s%s", quote(topic), list, didYouMean(topic, l.topics))
	}
}

// decodeTopics takes a list of topics as they are called in Kafka.
func decodeTopics(o *object) []string {
	items, f := o.list("topics")
	if len(items) > maxFileTopics {
		o.r.addf(f.at, "%d are too many (at most %d)", len(items), maxFileTopics)
		return nil
	}
	var out []string
	seen := map[string]bool{}
	for _, i := range items {
		topic := parseScalar(o.r, i.value, i.at, "a topic's name", func(n *node) (string, error) { return textOf(n, checkServedTopic) })
		switch {
		case topic.state != given:
		case seen[topic.value]:
			o.r.addf(topic.at, "%s stands here a second time (keep one)", quote(topic.value))
		default:
			seen[topic.value] = true
			out = append(out, topic.value)
		}
	}
	return out
}

// checkServedTopic is Kafka's rule (org.apache.kafka.common.internals.Topic).
func checkServedTopic(name string) error {
	const longest = 249
	if len(name) > longest || name == "." || name == ".." || !topicForm.MatchString(name) {
		return fmt.Errorf("%s is not a topic's name (1 to %d letters, digits, points, _ and -)", quote(name), longest)
	}
	return nil
}

func decodeSecurity(o *object) *KafkaSecurity {
	k, ok := o.section("kafka")
	if !ok {
		return nil
	}
	out := &KafkaSecurity{TLS: decodeTLS(k).value, SASL: decodeSASL(k).value}
	k.finish()
	if *out == (KafkaSecurity{}) {
		return nil
	}
	return out
}

// fromHere makes a path one that holds whatever the file that names it lies beside.
func fromHere(path string) string {
	if path == "" {
		return ""
	}
	if absolute, err := filepath.Abs(path); err == nil {
		return absolute
	}
	return path
}
