package settings

import "reflect"

// IsZero reports whether nothing is set; an empty list or mapping says nothing. It is what leaves settings out of JSON.
func (g Gateway) IsZero() bool {
	if len(g.Batch) == 0 {
		g.Batch = nil
	}
	if len(g.Permissions) == 0 {
		g.Permissions = nil
	}
	if g.Publish.IsZero() {
		g.Publish = Publish{}
	}
	if g.Origins.IsZero() {
		g.Origins = Origins{}
	}
	return reflect.DeepEqual(g, Gateway{})
}

// IsZero reports whether nothing is set.
func (p Publish) IsZero() bool {
	if len(p.Keys) == 0 {
		p.Keys = nil
	}
	return reflect.DeepEqual(p, Publish{})
}

// IsZero reports whether nothing is set.
func (o Origins) IsZero() bool { return len(o.Allow) == 0 && !o.RefuseNone }
