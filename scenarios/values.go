package scenarios

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// decodeCurve takes a level, or a curve: {ramp: {from: 100/s, to: 2000/s}}.
func decodeCurve(o *object, key string) field[Curve] {
	k := o.of(key)
	e, ok := o.entries[key]
	if !ok || e.value.kind != yaml.MappingNode {
		if k.kind == kindRate {
			return holdOf(o.rate(key))
		}
		return holdOf(o.integer(key))
	}
	o.take(key)
	f := field[Curve]{at: e.at, state: bad}
	kinds := openObject(o.r, e.value, e.at, k.or[0].shape)
	name, form, ok := kinds.only()
	kinds.finish()
	if !ok {
		return f
	}
	f.value, ok = curveOf(kinds, name, form)
	if !ok {
		return f
	}
	if f.value.From == 0 && f.value.To == 0 && k.kind == kindRate {
		o.r.addf(e.at, "is 0 throughout (write a rate above 0 at one end)")
		return f
	}
	f.state = given
	return f
}

// holdOf makes a curve of one level.
func holdOf[T int | float64](level field[T]) field[Curve] {
	f := field[Curve]{at: level.at, state: level.state}
	if f.state == given {
		f.value = Hold(float64(level.value))
	}
	return f
}

// curveOf takes the form of a curve apart.
func curveOf(kinds *object, name string, form entry) (Curve, bool) {
	if name == "hold" {
		level, ok := kinds.level(name)
		return Hold(level), ok
	}
	o := openObject(kinds.r, form.value, form.at, kinds.of(name).shape)
	c, ok := Curve{Kind: CurveKind(name)}, false
	switch c.Kind {
	case CurveRamp:
		c.From, c.To, ok = o.levels("from", "to")
	case CurveSteps:
		steps := o.integer("steps")
		c.From, c.To, ok = o.levels("from", "to")
		c.Steps, ok = steps.value, ok && steps.state == given
	case CurveSpike:
		at, length := o.duration("at"), o.duration("for")
		c.From, c.To, ok = o.levels("base", "peak")
		c.At, c.For, ok = at.value, length.value, ok && at.state == given && length.state == given
		if ok && c.To <= c.From {
			o.r.addf(o.entries["peak"].at, "is no peak: it is not above base (write more)")
			ok = false
		}
	case CurveSine:
		period := o.duration("period")
		mean, amplitude, fine := o.levels("mean", "amplitude")
		c.From, c.To, c.Period, ok = mean, mean+amplitude, period.value, fine && period.state == given
		if fine && (amplitude > mean || amplitude == 0) {
			o.r.addf(o.entries["amplitude"].at, "must be above 0 and at most the mean, so that the curve stays above 0 (write less than the mean)")
			ok = false
		}
	}
	o.need()
	o.finish()
	return c, ok
}

func (o *object) levels(low, high string) (from, to float64, ok bool) {
	from, okFrom := o.level(low)
	to, okTo := o.level(high)
	return from, to, okFrom && okTo
}

// level takes a rate or a number; both may be 0 within a curve.
func (o *object) level(key string) (float64, bool) {
	if o.of(key).kind == kindInt {
		f := o.integer(key)
		return float64(f.value), f.state == given
	}
	high := float64(o.of(key).high)
	f := scalar(o, key, "a rate such as 1000/s", func(n *node) (float64, error) {
		if value, err := parseRate(n.value); err == nil && value == 0 {
			return 0, nil
		}
		return rateOf(n, high)
	})
	return f.value, f.state == given
}

// decodeSize takes "256B" or a distribution: {uniform: {min: 256B, max: 4KiB}}.
func decodeSize(o *object) field[Size] {
	e, ok := o.entries["size"]
	if !ok || e.value.kind != yaml.MappingNode {
		f := o.size("size")
		return field[Size]{Size{Kind: SizeFixed, Min: int(f.value), Max: int(f.value)}, f.at, f.state}
	}
	o.take("size")
	f := field[Size]{at: e.at, state: bad}
	kinds := openObject(o.r, e.value, e.at, sizeShape)
	name, form, ok := kinds.only()
	kinds.finish()
	if !ok {
		return f
	}
	if SizeKind(name) == SizeHistogram {
		f.value, ok = histogramOf(kinds, form)
	} else {
		f.value, ok = boundedSize(openObject(o.r, form.value, form.at, kinds.of(name).shape), SizeKind(name))
	}
	if ok {
		f.state = given
	}
	return f
}

// boundedSize takes uniform's and lognormal's bounds.
func boundedSize(o *object, kind SizeKind) (Size, bool) {
	low, high := o.size("min"), o.size("max")
	s, ok := Size{Kind: kind, Min: int(low.value), Max: int(high.value)}, low.state == given && high.state == given
	if ok && low.value > high.value {
		o.r.addf(low.at, "%s is above the max of %s (swap them)", formatSize(low.value), formatSize(high.value))
		ok = false
	}
	if kind == SizeLognormal {
		median, sigma := o.size("median"), o.number("sigma")
		s.Median, s.Sigma = int(median.value), sigma.value
		if ok && median.state == given && (median.value < low.value || median.value > high.value) {
			o.r.addf(median.at, "%s is not from min to max, which are %s and %s (write one between)",
				formatSize(median.value), formatSize(low.value), formatSize(high.value))
			ok = false
		}
		ok = ok && median.state == given && sigma.state == given
	}
	o.need()
	o.finish()
	return s, ok
}

// histogramOf takes a list of sizes with their weights.
func histogramOf(kinds *object, e entry) (Size, bool) {
	k := kinds.of("histogram")
	items, list := kinds.items(e, k.example)
	s, ok := Size{Kind: SizeHistogram, Min: math.MaxInt}, list.state == given
	if len(items) > maxBins {
		kinds.r.addf(e.at, "%d sizes are too many (at most %d)", len(items), maxBins)
		return s, false
	}
	seen := map[int64]bool{}
	for _, i := range items {
		o := openObject(kinds.r, i.value, i.at, k.item.shape)
		size, weight := o.size("size"), o.number("weight")
		o.need()
		o.finish()
		if size.state == given && seen[size.value] {
			o.r.addf(size.at, "%s stands here a second time (add up the weights)", formatSize(size.value))
			ok = false
		}
		seen[size.value] = true
		ok = ok && size.state == given && weight.state == given
		s.Bins = append(s.Bins, SizeBin{Bytes: int(size.value), Weight: weight.value})
		s.Min, s.Max = min(s.Min, int(size.value)), max(s.Max, int(size.value))
	}
	return s, ok
}

// payloadValue is a payload and, where its values have sizes of their own, their bounds.
type payloadValue struct {
	Payload
	own Size
}

// stampRoom is what a stamp, with the field around it, can add to a line.
const stampRoom = 128

// decodePayload takes "random" or a mapping.
func decodePayload(o *object) field[payloadValue] {
	e, ok := o.entries["payload"]
	if !ok || e.value.kind != yaml.MappingNode {
		return scalar(o, "payload", o.of("payload").want, func(n *node) (payloadValue, error) {
			if n.value != string(PayloadRandom) {
				return payloadValue{}, fmt.Errorf("%s is not known here (write %s)", quote(n.value), o.of("payload").want)
			}
			return payloadValue{Payload: Payload{Kind: PayloadRandom}}, nil
		})
	}
	o.take("payload")
	f := field[payloadValue]{at: e.at, state: bad}
	if s := schemaPayloadShape(e); s != nil {
		if f.value, ok = schemaPayload(openObject(o.r, e.value, e.at, s)); ok {
			f.state = given
		}
		return f
	}
	kinds := openObject(o.r, e.value, e.at, payloadShape)
	name, form, ok := kinds.only()
	kinds.finish()
	if !ok {
		return f
	}
	f.value.Kind = PayloadKind(name)
	switch f.value.Kind {
	case PayloadRandom:
		random := openObject(o.r, form.value, form.at, kinds.of(name).shape)
		share := random.share("compressibility")
		random.finish()
		if share.state == given && share.value > maxCompressibility {
			o.r.addf(share.at, "is more than a payload with a stamp in it can have (at most %g)", maxCompressibility)
			share.state = bad
		}
		f.value.Compressibility = share.value
		ok = random.ok && share.state != bad
	case PayloadTemplate:
		text := kinds.text(name, checkTemplate)
		f.value.Template, ok = text.value, text.state == given
		f.value.own = templateSize(text.value)
	case PayloadLines:
		f.value, ok = linesPayload(kinds)
	}
	if ok {
		f.state = given
	}
	return f
}

// templateSize bounds what a template without {pad} comes to.
func templateSize(text string) Size {
	const digits, name = 20, 64
	rest := placeholder.ReplaceAllString(text, "")
	most := len(rest) + stampRoom + digits*(strings.Count(text, "{seq}")+strings.Count(text, "{key}")+strings.Count(text, "{due_ms}")) +
		name*strings.Count(text, "{producer}")
	return Size{Min: len(rest), Max: most}
}

func linesPayload(kinds *object) (payloadValue, bool) {
	path := kinds.text("lines", checkPath)
	if path.state != given {
		return payloadValue{}, false
	}
	p := Payload{Kind: PayloadLines, File: kinds.r.beside(path.value)}
	measured := kinds.r.reads.linesOf(p.File)
	if measured.err != nil {
		kinds.r.addf(path.at, "%s %v", quote(p.File), measured.err)
		return payloadValue{}, false
	}
	p.Lines, p.MeanBytes, p.MaxBytes = measured.lines, measured.mean, measured.max
	return payloadValue{p, Size{Min: measured.min, Max: measured.max + stampRoom}}, true
}

// sizeAgainstPayload refuses a size where the payload has one of its own, which is filled in.
func sizeAgainstPayload(r *reporter, size *field[Size], payload field[payloadValue]) {
	p := payload.value
	if payload.state != given || !p.sizesItself() {
		return
	}
	if size.state != absent {
		mend := "remove it"
		if p.Kind == PayloadTemplate {
			mend = "remove it, or put {pad} into the template"
		}
		if p.Schema != nil {
			mend = "remove it, or name a pad_field"
		}
		r.addf(size.at, "has no use with this payload, whose values have sizes of their own (%s)", mend)
	}
	size.value, size.state = p.own, given
}

// sizesItself says whether the values have sizes of their own, whatever the plan's Size says.
func (p Payload) sizesItself() bool {
	return p.Kind == PayloadLines || p.Kind == PayloadTemplate && !strings.Contains(p.Template, "{pad}") || p.Schema != nil && p.Schema.PadField == ""
}

// placeholder finds {word}: braces with anything else in them, as JSON's, stand for themselves.
var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// checkPlaceholders refuses placeholders that have no meaning.
func checkPlaceholders(text string, known ...string) error {
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, m[1]) {
			return fmt.Errorf("{%s} stands for nothing here%s", shorten(m[1], 60), didYouMean(m[1], known))
		}
	}
	return nil
}

var templatePlaceholders = []string{"stamp", "seq", "key", "producer", "due_ms", "pad"}

func checkTemplate(text string) error {
	if len(text) > maxValueBytes/8 {
		return fmt.Errorf("is longer than %s", formatSize(maxValueBytes/8))
	}
	if err := checkPlaceholders(text, templatePlaceholders...); err != nil {
		return err
	}
	switch n := strings.Count(text, "{stamp}"); {
	case n == 0:
		return fmt.Errorf("has no {stamp}, by which weir knows a message again (put {stamp} where it can stand)")
	case n > 1:
		return fmt.Errorf("has {stamp} %d times (keep one)", n)
	case strings.Count(text, "{pad}") > 1:
		return fmt.Errorf("has {pad} more than once (keep one)")
	}
	return nil
}

func checkPath(path string) error {
	if path == "" || len(path) > 4096 || strings.ContainsRune(path, 0) {
		return fmt.Errorf("%s is not a file's path", quote(path))
	}
	return nil
}
