package benchtable

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Curve is one line of a panel. Points without a value are left out.
type Curve struct {
	Name string
	Y    Sample
}

// Panel is one diagram, both axes logarithmic: what grows in proportion is a line that rises at 45 degrees where the decades
// are as long, and what does not grow is level.
type Panel struct {
	Title, XLabel string
	X             []float64
	Curves        []Curve
}

const (
	panelWidth, panelHeight = 340, 240
	marginLeft, marginTop   = 56, 34
	marginRight, marginDown = 14, 54
	noticeable              = 1.25 // an axis reaches so far beyond what it holds at least
)

// palette are colours that are told apart by those who see few of them (Okabe and Ito, 2008).
func palette() []string { return []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7"} }

// SVG writes panels in rows of so many columns.
func SVG(w io.Writer, columns int, panels []Panel) error {
	rows := (len(panels) + columns - 1) / columns
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n",
		columns*panelWidth, rows*panelHeight)
	b.WriteString(`<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%columns*panelWidth, i/columns*panelHeight)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// axis maps values to places, by their logarithm.
type axis struct {
	low, high float64 // values
	from, to  float64 // places
}

func (a axis) place(v float64) float64 {
	return a.from + (math.Log(v)-math.Log(a.low))/(math.Log(a.high)-math.Log(a.low))*(a.to-a.from)
}

// ticks are the powers of ten in the axis; where there are fewer than three also twice and five times them, and where that
// gives fewer than two its ends.
func (a axis) ticks() []float64 {
	for _, steps := range [][]float64{{1}, {1, 2, 5}} {
		var out []float64
		for e := math.Floor(math.Log10(a.low)); math.Pow(10, e) <= a.high; e++ {
			for _, s := range steps {
				if v := s * math.Pow(10, e); v >= a.low*(1-1e-9) && v <= a.high*(1+1e-9) {
					out = append(out, v)
				}
			}
		}
		if len(out) > 2 || len(steps) > 1 && len(out) > 1 {
			return out
		}
	}
	return []float64{a.low, a.high}
}

// around returns an axis that holds all values above 0.
func around(values []float64, from, to float64) axis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 && !math.IsInf(v, 0) {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		low, high = 1, 1
	}
	return axis{low / noticeable, high * noticeable, from, to}
}

func (p Panel) draw(b *strings.Builder) {
	var all []float64
	for _, c := range p.Curves {
		all = append(all, c.Y...)
	}
	x := around(p.X, marginLeft, panelWidth-marginRight)
	y := around(all, panelHeight-marginDown, marginTop)
	fmt.Fprintf(b, `<text x="%d" y="16" font-weight="bold">%s</text>`+"\n", marginLeft, escape(p.Title))
	for _, v := range y.ticks() {
		at := y.place(v)
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			marginLeft, at, panelWidth-marginRight, marginLeft-4, at+4, short(v))
	}
	for _, v := range x.ticks() {
		at := x.place(v)
		fmt.Fprintf(b, `<path d="M%.1f %dV%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			at, marginTop, panelHeight-marginDown, at, panelHeight-marginDown+14, short(v))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (marginLeft+panelWidth-marginRight)/2, panelHeight-marginDown+28, escape(p.XLabel))
	for i, c := range p.Curves {
		colour := palette()[i%len(palette())]
		var path strings.Builder
		for j, v := range c.Y {
			if j >= len(p.X) || !(v > 0) || math.IsInf(v, 0) {
				continue
			}
			verb := 'L'
			if path.Len() == 0 {
				verb = 'M'
			}
			fmt.Fprintf(&path, "%c%.1f %.1f", verb, x.place(p.X[j]), y.place(v))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`+"\n", x.place(p.X[j]), y.place(v), colour)
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", path.String(), colour)
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", marginLeft+i*100, panelHeight-8, colour, escape(c.Name))
	}
}

// short writes a tick: 1500 as 1.5k.
func short(v float64) string {
	for _, u := range []struct {
		unit string
		size float64
	}{{"M", 1e6}, {"k", 1e3}} {
		if v >= u.size {
			return fmt.Sprintf("%.3g%s", v/u.size, u.unit)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a builder takes everything
	return b.String()
}
