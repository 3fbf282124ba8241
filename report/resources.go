package report

import (
	"fmt"
	"math"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// resourceGauge returns the gauge that a threshold's subject is about.
func resourceGauge(subject string) (gauge string, ok bool) {
	switch subject {
	case "generator_cpu":
		return results.GaugeGeneratorCPU, true
	case "gateway_cpu":
		return results.GaugeGatewayCPU, true
	case "kafka_cpu":
		return results.GaugeKafkaCPU, true
	case "generator_rss":
		return results.GaugeGeneratorRSS, true
	case "gateway_rss":
		return results.GaugeGatewayRSS, true
	case "kafka_rss":
		return results.GaugeKafkaRSS, true
	case "machine_busy":
		return results.GaugeMachineBusy, true
	}
	return "", false
}

// gaugeStat is what is kept of one gauge in one phase: its mean, weighted by the intervals' length, and its maximum.
type gaugeStat struct {
	sum, weight, max float64
	intervals        int
}

func (g *gaugeStat) add(value float64, length time.Duration) {
	seconds := max(length, time.Nanosecond).Seconds() // a clock set back leaves an interval without length
	if g.intervals == 0 {
		g.max = value
	}
	g.sum += value * seconds
	g.weight += seconds
	g.max = math.Max(g.max, value)
	g.intervals++
}

func (g *gaugeStat) merge(o gaugeStat) {
	if o.intervals == 0 {
		return
	}
	if g.intervals == 0 {
		*g = o
		return
	}
	g.sum += o.sum
	g.weight += o.weight
	g.max = math.Max(g.max, o.max)
	g.intervals += o.intervals
}

func (g *gaugeStat) mean() float64 { return g.sum / g.weight }

// observeResource finds a resource's mean or maximum over the intervals of the scope's phases. What was not measured
// fails the threshold.
func (j *Judge) observeResource(gauge, stat string, within scope) observation {
	g := j.evidence.gauge(gauge, within)
	if g.intervals == 0 {
		return observation{text: "not measured: no interval of the measure phases has " + gauge}
	}
	o := observation{state: found}
	switch stat {
	case "mean":
		o.value = g.mean()
	case "max":
		o.value = g.max
	default:
		return noData("%s is no statistic that this weir knows", stat)
	}
	if all := j.evidence.measuredIntervals(within); g.intervals < all {
		o.note = fmt.Sprintf("measured in %d of %d intervals only", g.intervals, all)
	}
	return o
}

// resourceBreach gives a reason where a maximum has left the threshold already.
func (j *Judge) resourceBreach(t scenarios.Threshold, gauge, stat string, within scope) (string, float64) {
	g := j.evidence.gauge(gauge, within)
	if stat != "max" || g.intervals == 0 || t.Op != "<" && t.Op != "<=" || holds(g.max, t.Op, t.Value) {
		return "", 0
	}
	value, bound := formatApart(g.max, t.Value, t.Unit)
	return fmt.Sprintf("%s is %s already, not %s %s", subjectOf(t), value, t.Op, bound), g.max
}

// Resources is what the parts of a run used in the measure phases, over their intervals. Each figure is null where it
// was not measured: a target or a Kafka that weir did not start is not weir's to look into.
type Resources struct {
	Generator PartResources `json:"generator"`
	Gateway   PartResources `json:"gateway"`
	Kafka     PartResources `json:"kafka"`
	// MachineBusyMean and MachineBusyMax are of all cores together, as a share of 1.
	MachineBusyMean *float64 `json:"machine_busy_mean"`
	MachineBusyMax  *float64 `json:"machine_busy_max"`
	// GatewayCPUPerDelivery is the gateway's processor time in microseconds, over the intervals of the measure phases, by
	// what arrived in these intervals for the first time, whenever it was due: a delivery of a measure phase that came in
	// the drain is not among them, and what was replayed meanwhile is.
	GatewayCPUPerDelivery *float64 `json:"gateway_cpu_us_per_delivery"`
	// GatewayRSSPerConnection is the gateway's whole resident memory by client that was connected, both over the same
	// intervals of the measure phases.
	GatewayRSSPerConnection *float64 `json:"gateway_rss_bytes_per_connection"`
}

// PartResources is what one part of the run used, with all that it started: processor time by time, in cores, resident
// memory, and open descriptors.
type PartResources struct {
	CPUMean *float64 `json:"cpu_cores_mean"`
	CPUMax  *float64 `json:"cpu_cores_max"`
	RSSMean *float64 `json:"rss_bytes_mean"`
	RSSMax  *float64 `json:"rss_bytes_max"`
	// DescriptorsMean and DescriptorsMax are null for Kafka, whose are not counted.
	DescriptorsMean *float64 `json:"descriptors_mean"`
	DescriptorsMax  *float64 `json:"descriptors_max"`
}

func resources(e *evidence, all scope) Resources {
	figures := func(name string) (mean, most *float64) {
		g := e.gauge(name, all)
		if g.intervals == 0 {
			return nil, nil
		}
		v := g.mean()
		return &v, &g.max
	}
	part := func(cpu, rss, descriptors string) (p PartResources) {
		p.CPUMean, p.CPUMax = figures(cpu)
		p.RSSMean, p.RSSMax = figures(rss)
		p.DescriptorsMean, p.DescriptorsMax = figures(descriptors)
		return p
	}
	r := Resources{
		Generator: part(results.GaugeGeneratorCPU, results.GaugeGeneratorRSS, results.GaugeDescriptors),
		Gateway:   part(results.GaugeGatewayCPU, results.GaugeGatewayRSS, results.GaugeGatewayDescriptors),
		Kafka:     part(results.GaugeKafkaCPU, results.GaugeKafkaRSS, ""),

		GatewayCPUPerDelivery:   e.cpuOfArrivals.quotient(1e6),
		GatewayRSSPerConnection: e.rssOfConnections.quotient(1),
	}
	r.MachineBusyMean, r.MachineBusyMax = figures(results.GaugeMachineBusy)
	return r
}

// ratio is what was used of one thing by another, both summed over the same intervals.
type ratio struct{ used, by float64 }

// quotient is null where there is nothing to divide by.
func (r ratio) quotient(times float64) *float64 {
	if r.by <= 0 {
		return nil
	}
	v := r.used / r.by * times
	return &v
}

// addRatios takes an interval of a measure phase. One in which the gateway was not metered counts on neither side.
func (e *evidence) addRatios(in *results.Interval, length time.Duration) {
	seconds := length.Seconds()
	if cpu, metered := in.Gauges[results.GaugeGatewayCPU]; metered {
		e.cpuOfArrivals.used += cpu * seconds
		for _, c := range in.Counters {
			if c.Name == results.CountDelivered {
				e.cpuOfArrivals.by += float64(c.Value)
			}
		}
	}
	rss, metered := in.Gauges[results.GaugeGatewayRSS]
	if connected, counted := in.Gauges[results.GaugeClients]; metered && counted {
		e.rssOfConnections.used += rss * seconds
		e.rssOfConnections.by += connected * seconds
	}
}
