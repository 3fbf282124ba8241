package scenarios

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Scenario is a scenario as the user wrote it, of the right form, without defaults and not yet checked for what its
// parts have to do with each other: see [Scenario.Resolve]. It remembers where everything stood.
type Scenario struct {
	source      source
	at          place
	lift        bool // Options.LiftLimits
	name        field[string]
	description field[string]
	seed        field[uint64]
	kafka       kafkaSection
	gateway     gatewaySection
	producers   list[producerItem]
	clients     list[clientItem]
	phases      phasesSection
	thresholds  list[thresholdItem]
}

// list is a list of a scenario. Bad means that it, or the name of an item, is wrong, so that a name that is not in it
// is no mistake of its own.
type list[T any] struct {
	at    place
	items []T
	state fieldState
}

// Name is the scenario's name.
func (s *Scenario) Name() string { return s.name.value }

type kafkaSection struct {
	at        place
	provider  field[string]
	brokers   field[int]
	seeds     field[int]
	seedList  []string
	image     field[string]
	finalRead field[bool]
	isolation field[string]
	tls       field[*TLS]
	sasl      field[*SASL]
	registry  *Registry
	topics    list[topicItem]
}

type topicItem struct {
	at          place
	name        field[string]
	partitions  field[int]
	replication field[int]
	minISR      field[int]
	existing    field[bool]
	retention   field[int64]
}

type gatewaySection struct {
	at       place
	target   field[string]
	listen   field[string]
	url      field[string]
	copies   field[int]
	profile  field[*profileValue]
	queue    field[int64]
	slow     field[string]
	conflate []conflateItem
	readyIn  field[time.Duration]
	buildIn  field[time.Duration]

	variant    field[string]
	command    field[CommandTarget]
	container  field[ContainerTarget]
	usage      field[UsageSource]
	config     field[settingsItem]
	guarantees guaranteesSection
}

type conflateItem struct {
	topic    string
	keyAt    place
	interval field[time.Duration]
}

type producerItem struct {
	at          place
	name        field[string]
	topic       field[string]
	rate        field[Curve]
	arrivals    field[string]
	size        field[Size]
	keys        field[Keys]
	headers     []Header
	payload     field[payloadValue]
	acks        field[string]
	linger      field[time.Duration]
	compression field[string]
	stall       field[time.Duration]
}

type clientItem struct {
	at          place
	state       fieldState // bad: something in it is wrong by itself
	name        field[string]
	count       field[int]
	connectRate field[float64]
	subscribeAt place
	subscribe   []subscribeItem
	weighted    bool // subscribe is a list
	reconnect   field[bool]
	resume      field[bool]
	publish     *publishItem
	churn       field[Churn]
	slow        field[SlowReading]
	sources     []string
}

type subscribeItem struct {
	at     place
	topic  field[string]
	keys   field[int] // allKeys, or how many
	weight field[float64]
}

type publishItem struct {
	at       place
	name     field[string]
	topic    field[string]
	keys     field[int]
	rate     field[Curve]
	think    field[Think]
	arrivals field[string]
	size     field[Size]
	payload  field[payloadValue]
}

const allKeys = -1

type phasesSection struct {
	at      place
	connect field[time.Duration]
	join    field[time.Duration]
	warmUp  field[time.Duration]
	drain   field[time.Duration]
	measure list[measureItem]
}

type measureItem struct {
	at       place
	name     field[string]
	duration field[time.Duration]
	rates    []curveItem
	clients  []curveItem
}

// curveItem is the curve of a producer or a group in a phase.
type curveItem struct {
	name  string
	keyAt place
	curve field[Curve]
}

type thresholdItem struct {
	check field[parsedThreshold]
	abort field[bool]
}

// The bounds of single values. They protect the machine, or catch what can only be a slip.
const (
	maxClients      = maxInstances * maxPerInstance
	maxRate         = 1e6
	minRate         = 1.0 / 3600 * 0.999
	maxConnectRate  = 100_000
	maxDuration     = 24 * time.Hour
	maxStall        = 10 * time.Minute
	maxLinger       = time.Minute
	maxValueBytes   = 8 << 20
	minValueBytes   = 128 // the stamp takes up to 96
	maxQueueBytes   = 1 << 30
	maxRetention    = 1 << 40
	maxKeys         = 1_000_000
	maxSkew         = 10
	maxSigma        = 5
	maxWeight       = 1_000_000
	maxSteps        = 1000
	maxBins         = 256
	maxSources      = 250
	maxWeighted     = 32
	maxHeaders      = 32
	maxProfileItems = 64
	maxHeaderName   = 128
	maxHeaderValue  = 4 << 10

	maxCompressibility = 0.95
	maxBrokers         = 16
	maxInstances       = 16
	maxPerInstance     = 18_000 // clients; see whyMaxPerInstance
	maxPartitions      = 10_000
	maxTopicName       = 200 // Kafka's 249 less room for the run's suffix
)

// Why the bounds that no flag lifts are there.
const (
	whyMaxPerInstance = "a connection takes a descriptor, a process has 20000 where the limit is not raised, and the rest are for Kafka and files"
	whyMaxClients     = "weir drives no more, whatever the target"
	whyMax            = "more can only be a slip of the pen"
)

// What a slip of the pen should not be able to ask for. LiftLimits lifts these, up to the bounds above.
const (
	usualRate     = 50_000 // messages a second, all senders together
	usualClients  = 10_000
	usualDuration = time.Hour // warm-up and measure phases
	liftsLimits   = "--lift-limits lifts that"
)

var (
	nameForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	topicForm = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	hostForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,59}$`)
	notInName = regexp.MustCompile(`[^a-z0-9]+`)
)

// checkName checks the names of the scenario and of its producers, groups and phases.
func checkName(name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	mend := strings.Trim(notInName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if !nameForm.MatchString(mend) {
		mend = "my-name"
	}
	return fmt.Errorf("%s is not a name (a–z, 0–9 and -, at most 64: write %s)", quote(name), mend)
}

// checkTopicName is Kafka's rule (org.apache.kafka.common.internals.Topic), with room for the run's suffix.
func checkTopicName(name string) error {
	switch {
	case len(name) > maxTopicName:
		return fmt.Errorf("%s is longer than %d characters", quote(name), maxTopicName)
	case name == "." || name == "..":
		return fmt.Errorf("%s is not a topic's name in Kafka", quote(name))
	case strings.HasPrefix(name, "__"):
		return fmt.Errorf("%s begins with __, which Kafka keeps for itself", quote(name))
	case !topicForm.MatchString(name):
		return fmt.Errorf("%s is not a topic's name (letters, digits, point, _ and - alone)", quote(name))
	}
	return nil
}

// checkHostPort checks host:port; port 0 is allowed where a listener picks a free one.
func checkHostPort(lowest int) func(string) error {
	return func(address string) error {
		host, portText, err := net.SplitHostPort(address)
		port, portErr := strconv.Atoi(portText)
		switch {
		case strings.Contains(address, "://"):
			return fmt.Errorf("%s is a URL (write host:port alone)", quote(address))
		case err != nil || portErr != nil || port < lowest || port > 65535:
			return fmt.Errorf("%s is not host:port (write %s)", quote(address), hostPortMend(address, host))
		case host == "" || strings.ContainsAny(host, " /"):
			return fmt.Errorf("%s names no host (write 127.0.0.1:%s)", quote(address), portText)
		}
		return nil
	}
}

// hostPortMend makes host:port of what was written: a port alone, a host alone, or a host with a port that is none.
func hostPortMend(address, host string) string {
	port, err := strconv.Atoi(address)
	switch {
	case err == nil && port >= 0 && port <= 65535:
		return "127.0.0.1:" + address
	case hostForm.MatchString(address):
		return address + ":9092"
	case hostForm.MatchString(host):
		return host + ":9092"
	}
	return "127.0.0.1:9092"
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	name, secret := secretInQuery(text)
	switch {
	case secret:
		return fmt.Errorf("has the secret %s written out in its query, and it would stand in the run's record (remove it, and give the profile query: {%s: {env: NAME}})",
			quote(name), shorten(name, 60))
	case err == nil && u.User != nil, err != nil && strings.Contains(text, "@"):
		return fmt.Errorf("has a user or a password written out (remove it, and give the profile headers: {Authorization: {env: NAME}})")
	case err != nil || u.Host == "":
		return fmt.Errorf("%s is not a WebSocket URL (write ws://host:port/path)", quote(text))
	case u.Scheme == "https":
		return fmt.Errorf("%s is not a WebSocket URL (write wss://%s%s)", quote(text), u.Host, u.EscapedPath())
	case u.Scheme != "ws" && u.Scheme != "wss":
		return fmt.Errorf("%s is not a WebSocket URL (write ws://%s%s)", quote(text), u.Host, u.EscapedPath())
	case u.Hostname() == "":
		return fmt.Errorf("%s names no host (write ws://host:port/path)", quote(text))
	case u.Fragment != "":
		return fmt.Errorf("%s has a fragment, which WebSocket URLs have not (remove #%s)", quote(text), u.Fragment)
	}
	return nil
}

func checkImage(image string) error {
	if image == "" || strings.ContainsAny(image, " \t\n") {
		return fmt.Errorf("%s is not an image (write apache/kafka:4.3.1)", quote(image))
	}
	return nil
}

func anyText(string) error { return nil }
