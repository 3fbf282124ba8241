package scenarios

import (
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/weirbench/weir/targets"
)

// profileValue is a wire profile with what a target that is spoken to so declares.
type profileValue struct {
	WireProfile
	guarantees guaranteesSection
}

// decodeProfile takes the name of a built-in profile, the path of a file with one, or one written out.
func decodeProfile(o *object) field[*profileValue] {
	e, ok := o.take("profile")
	if !ok {
		return field[*profileValue]{}
	}
	f := field[*profileValue]{at: e.at, state: bad}
	if e.value.kind == yaml.MappingNode {
		before := len(o.r.problems)
		f.value = profileOf(o.r, e.value, e.at, "custom")
		if len(o.r.problems) == before {
			f.state = given
		}
		return f
	}
	named := parseScalar(o.r, e.value, e.at, o.of("profile").want, func(n *node) (string, error) { return textOf(n, anyText) })
	if named.state != given {
		return f
	}
	switch {
	case slices.Contains(profileNames, named.value):
		f.value, f.state = TargetKind(named.value).ownProfile(), given
	case strings.HasSuffix(named.value, ".yaml") || strings.HasSuffix(named.value, ".yml"):
		f.value, f.state = profileFile(o.r, named)
	default:
		_, err := wordOf(e.value, profileNames)
		o.r.addf(e.at, "%s, or the path of a .yaml file", strings.TrimSuffix(err.Error(), ")")+")")
	}
	return f
}

// profileFile reads a profile from a file of its own; its mistakes bear that file's name.
func profileFile(r *reporter, path field[string]) (*profileValue, fieldState) {
	file := r.beside(path.value)
	data, err := readWhole(file, maxFileBytes)
	if err != nil {
		r.addf(path.at, "%s %v", quote(file), err)
		return nil, bad
	}
	inner := newReporter(source{name: file, text: string(data)})
	inner.env, inner.reads, inner.watch = r.env, r.reads, r.watch
	p := parseProfile(inner, data, strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
	if problems := inner.list(); len(problems) > 0 {
		r.others = append(r.others, problems...)
		return nil, bad
	}
	return p, given
}

// parseProfile parses the text of a profile's file.
func parseProfile(r *reporter, data []byte, name string) *profileValue {
	root, ok := parseTree(r, place{}, data)
	if !ok {
		return nil
	}
	return profileOf(r, root, root.at, name)
}

// readyProfile is the profile of one of targets/. That each is right is a matter of this module alone, and tested.
func readyProfile(name string) *profileValue {
	file := name + "/profile.yaml"
	data, err := targets.Files.ReadFile(file)
	if err != nil {
		panic(err) // embedded
	}
	r := newReporter(source{name: file, text: string(data)})
	p := parseProfile(r, data, name)
	if err := r.err(); err != nil {
		panic(err)
	}
	return p
}

// profileOf takes a profile apart.
func profileOf(r *reporter, n *node, at place, name string) *profileValue {
	o := openObject(r, n, at, profileShape)
	in := sendable(channelPlaceholders)
	bare := BareProfile()
	path, subscribe, greet := o.text("path", in), o.text("subscribe", in), decodeTexts(o, "greet", sendable(greetPlaceholders))
	p := &profileValue{guarantees: decodeGuarantees(o)}
	p.WireProfile = WireProfile{
		Name:        o.text("name", checkNotEmpty).or(name),
		Path:        path.value,
		Query:       decodeQuery(o),
		Headers:     decodeHandshake(o),
		Subprotocol: o.text("subprotocol", checkNotEmpty).value,
		Channel:     o.text("channel", sendable([]string{"topic"})).or(bare.Channel),
		KeyChannel:  o.text("key_channel", sendable([]string{"topic", "key"})).or(bare.KeyChannel),
		Greet:       greet,
		Subscribe:   subscribe.value,
		Binary:      o.boolean("binary").value,
		Separator:   o.text("separator", checkNotEmpty).value,
		Control:     decodeTexts(o, "control", checkNotEmpty),
		Refusal:     o.text("refusal", checkNotEmpty).value,
		Notice:      o.text("notice", checkNotEmpty).value,
	}
	ping, pong := o.text("ping", checkNotEmpty), o.text("pong", checkNotEmpty)
	p.Ping, p.Pong = ping.value, pong.value
	p.Publish = decodePublishProfile(o)
	p.ReceivedAt, p.QueuedAt = o.text("received_at", checkNotEmpty).value, o.text("queued_at", checkNotEmpty).value
	oneOrAll(r, subscribe)
	if (ping.state == absent) != (pong.state == absent) {
		o.need("ping", "pong")
	}
	p.TLS, p.Deflate = decodeTLS(o).value, o.boolean("deflate").value
	p.Value, p.Joined = o.oneOf("value").value, o.text("joined", checkNotEmpty).value
	p.Resume = decodeResumeProfile(o)
	decodeFraming(o, &p.WireProfile)
	decodeAcknowledge(o, &p.WireProfile)
	o.finish()
	return p
}

// oneOrAll refuses a frame that would be sent once and once for each channel.
func oneOrAll(r *reporter, frame field[string]) {
	if strings.Contains(frame.value, "{channel}") && strings.Contains(frame.value, "{channels}") {
		r.addf(frame.at, "has {channel} and {channels}: it is sent once for each channel, or once with all (keep one)")
	}
}

// decodeFraming takes what the target wraps its messages in. A framing knows how to subscribe.
func decodeFraming(o *object, p *WireProfile) {
	framing, event := o.oneOf("framing"), o.text("event", checkNotEmpty)
	p.Framing, p.Event = framing.value, event.value
	if framing.state == bad {
		return
	}
	if event.state != absent && framing.value != framingSocketIO {
		o.r.addf(event.at, "is what Socket.IO subscribes by (remove it, or write framing: %s)", framingSocketIO)
	}
	if framing.state == absent {
		return
	}
	for _, key := range []string{"greet", "subscribe", "resume"} {
		if e, ok := o.entries[key]; ok {
			o.r.addf(e.at, "has no use with framing: %s, which greets and subscribes by itself to what channel and key_channel name (remove it)", framing.value)
		}
	}
}

// decodeAcknowledge takes how a client acknowledges a message.
func decodeAcknowledge(o *object, p *WireProfile) {
	frame, id := o.text("acknowledge", sendable([]string{"client", "id"})), o.text("acknowledge_id", checkNotEmpty)
	p.Acknowledge, p.AcknowledgeID = frame.value, id.value
	named := strings.Contains(frame.value, "{id}")
	switch {
	case frame.state == given && frame.value == "":
		o.r.addf(frame.at, "is empty")
	case frame.state == given && named && id.state == absent:
		o.need("acknowledge_id")
	case id.state != absent && (frame.state == absent || frame.state == given && !named):
		o.r.addf(id.at, `is for the {id} in acknowledge (write acknowledge: '{"ack":"{id}"}')`)
	}
}

func decodeResumeProfile(o *object) *ResumeProfile {
	e, ok := o.take("resume")
	if !ok {
		return nil
	}
	p := openObject(o.r, e.value, e.at, resumeProfileShape)
	subscribe := p.text("subscribe", sendable(append(slices.Clone(channelPlaceholders), "positions")))
	out := &ResumeProfile{
		Subscribe: subscribe.value,
		Partition: p.text("partition", checkNotEmpty).value,
		Offset:    p.text("offset", checkNotEmpty).value,
		Positions: p.text("positions", checkNotEmpty).value,
		Field:     p.text("field", checkNotEmpty).value,
		Failed:    p.text("failed", checkNotEmpty).value,
		CaughtUp:  p.text("caught_up", checkNotEmpty).value,
	}
	if subscribe.state == given && !strings.Contains(subscribe.value, "{positions}") {
		o.r.addf(subscribe.at, "has no {positions} (put it where they must stand)")
	}
	oneOrAll(o.r, subscribe)
	p.need()
	p.finish()
	return out
}
