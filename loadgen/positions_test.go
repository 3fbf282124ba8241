package loadgen

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirbench/weir/scenarios"
)

func same(b []byte) string { return string(b) }

// TestTakePositions: what targets tell, and what is no such thing.
func TestTakePositions(t *testing.T) {
	for _, c := range []struct {
		name, message string
		onlyNew       bool
		epoch         string
		next          []int64
	}{
		{"an answer", `{"type":"subscribed","id":1,"channels":["t"],"positions":{"t":{"epoch":"e","next":{"0":124,"2":55}}}}`, false, "e", []int64{124, 7, 55}},
		{"a field's name as a value before", `{"type":"positions","positions":{"t":{"epoch":"e","next":{"0":9}}}}`, false, "e", []int64{9, 7, -1}},
		{"white space and fields in another order", "{\"positions\" :\n{ \"x\" : { \"next\":{\"0\":1} } , \"t\" : { \"next\" : { \"2\" : 8 } ,\"a\":[{\"b\":\"}]\\\"\"},1.5e3,null],\t\"epoch\" : \"e\" } } }", false, "e", []int64{5, 7, 8}},
		{"it went on meanwhile", `{"positions":{"t":{"epoch":"e","next":{"0":4,"1":8}}}}`, false, "e", []int64{5, 8, -1}},
		{"another epoch", `{"positions":{"t":{"epoch":"f","next":{"0":4}}}}`, false, "f", []int64{4, -1, -1}},
		{"where it is live, and what lies between is to come", `{"positions":{"t":{"epoch":"e","next":{"0":9,"2":3}}}}`, true, "e", []int64{5, 7, 3}},
		{"a partition that nobody knows", `{"positions":{"t":{"epoch":"e","next":{"3":4,"99999999999":4}}}}`, false, "e", []int64{5, 7, -1}},
		{"another topic", `{"positions":{"u":{"epoch":"f","next":{"0":4}}}}`, false, "e", []int64{5, 7, -1}},
		{"cut off", `{"positions":{"t":{"epoch":"f","next":{"0":9}`, false, "e", []int64{5, 7, -1}},
		{"no number", `{"positions":{"t":{"epoch":"f","next":{"0":"9"}}}}`, false, "e", []int64{5, 7, -1}},
		{"no partition", `{"positions":{"t":{"epoch":"f","next":{"0x":9}}}}`, false, "e", []int64{5, 7, -1}},
		{"more than 64 bits", `{"positions":{"t":{"epoch":"f","next":{"0":92233720368547758070}}}}`, false, "e", []int64{5, 7, -1}},
		{"no positions", `{"type":"subscribed"}`, false, "e", []int64{5, 7, -1}},
		{"no next", `{"positions":{"t":{"epoch":"f"}}}`, false, "e", []int64{5, 7, -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := positions{epoch: "e", next: []int64{5, 7, -1}}
			if told, ok := findPositions([]byte(c.message), []byte(`"positions"`), "t"); ok {
				p.take(told, c.onlyNew, same)
			}
			if p.epoch != c.epoch || !slices.Equal(p.next, c.next) {
				t.Errorf("got %+v; want %s %v", p, c.epoch, c.next)
			}
		})
	}
}

// TestPositionsAreToldBack: the object that a target gets is the one that it gave.
func TestPositionsAreToldBack(t *testing.T) {
	p := newPositions(4)
	if p.known() || p.object("a.b") != `{"a.b":{"epoch":"","next":{}}}` {
		t.Errorf("got %s of nothing", p.object("a.b"))
	}
	p.epoch = `e"`
	p.epoch = insideJSON(p.epoch)
	p.advance(1, 41)
	p.advance(3, 0)
	p.advance(1, 40)
	p.advance(4, 1)
	if want := `{"a.b":{"epoch":"e\"","next":{"1":42,"3":1}}}`; p.object("a.b") != want || !p.known() {
		t.Errorf("got %s; want %s", p.object("a.b"), want)
	}
}

// FuzzPositions: whatever a target says, nothing beyond it is read; and what JSON says is what is taken.
func FuzzPositions(f *testing.F) {
	f.Add([]byte(`{"type":"positions","positions":{"t":{"epoch":"e","next":{"0":17}}}}`), "t", "e", int64(17))
	f.Add([]byte(`{"positions":{"t":{"epoch":"\`), "a.b", "\"\\", int64(0))
	f.Add([]byte(`{"positions":{"t":{"next":{"0":1},"x":[{]}`), "", "", int64(1)<<62)
	f.Fuzz(func(t *testing.T, message []byte, topic, epoch string, offset int64) {
		p := newPositions(2)
		if told, ok := findPositions(message, []byte(`"positions"`), "t"); ok {
			p.take(told, false, same)
		}
		again, ok := findPositions([]byte(`{"positions":`+p.object("t")+`}`), []byte(`"positions"`), "t")
		q := newPositions(2)
		q.take(again, false, same)
		if !ok || q.epoch != p.epoch || !slices.Equal(q.next, p.next) {
			t.Errorf("got %+v %v back; want %+v", q, ok, p)
		}
		quoted, err := json.Marshal(topic)
		if err != nil || len(quoted) != len(topic)+2 || offset < 0 {
			return // not a name that a topic can have
		}
		object := map[string]any{topic: map[string]any{"epoch": epoch, "next": map[string]int64{"1": offset}}, topic + "x": map[string]any{"z": []any{topic, nil}}}
		text, _ := json.Marshal(object)
		told, ok := findPositions(slices.Concat([]byte(`{"positions":`), text, []byte("}")), []byte(`"positions"`), topic)
		if !ok || string(told.epoch) != insideJSON(epoch) || string(told.next) != fmt.Sprintf(`{"1":%d}`, offset) {
			t.Errorf("got %q %q %v of %s", told.epoch, told.next, ok, text)
		}
	})
}

// TestPositionsAllocateNothing: neither what stands before each value, nor what a target tells from time to time.
func TestPositionsAllocateNothing(t *testing.T) {
	p := positions{epoch: "e", next: make([]int64, 3)}
	head := []byte(`{"type":"message","topic":"t","partition":2,"offset":123456789,"received_at_ns":1}` + "\n")
	message := []byte(`{"type":"positions","positions":{"t":{"epoch":"e","next":{"0":9,"1":3}}}}`)
	field, topic := []byte(`"positions"`), "t"
	partitionMark, offsetMark := newMark(`"partition":`), newMark(`"offset":`)
	n := testing.AllocsPerRun(100, func() {
		partition, _ := numberBehind(head, &partitionMark)
		offset, _ := numberBehind(head, &offsetMark)
		p.advance(partition, offset)
		told, _ := findPositions(message, field, topic)
		p.take(told, false, same)
	})
	if n > 0 || !slices.Equal(p.next, []int64{9, 3, 123456790}) {
		t.Errorf("got %v with %v allocations", p.next, n)
	}
}

// TestResumeProfilesThatCannotWork are refused with the field and the mend.
func TestResumeProfilesThatCannotWork(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Clients[0].Resume = true
	for _, c := range []struct {
		want   string
		change func(*scenarios.WireProfile)
	}{
		{"gateway.profile.resume: clients of group g resume, and nothing says how", func(p *scenarios.WireProfile) { p.Resume = nil }},
		{"gateway.profile.resume.subscribe: it does not hold {positions}", func(p *scenarios.WireProfile) { p.Resume.Subscribe = "x" }},
		{"gateway.profile.resume.partition: nothing says where a message's partition stands", func(p *scenarios.WireProfile) { p.Resume.Partition = "" }},
		{"gateway.profile.resume.offset: nothing says", func(p *scenarios.WireProfile) { p.Resume.Offset = "" }},
		{"gateway.profile.resume.field: nothing says", func(p *scenarios.WireProfile) { p.Resume.Field = "" }},
	} {
		plan.Gateway.Profile = scenarios.ReferenceProfile()
		c.change(&plan.Gateway.Profile)
		if _, err := compileProfile(plan); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v; want %q", err, c.want)
		}
	}
	plan.Gateway.Profile = scenarios.ReferenceProfile()
	if _, err := compileProfile(plan); err != nil {
		t.Errorf("got %v for the reference profile", err)
	}
}
