package scenarios

// Resumes reports whether absence excuses nothing for the clients of the plan's group: they come back with their positions
// to a target that declares that it gives them what they missed. Of a conflated topic nobody can ask for what was skipped.
func (p *Plan) Resumes(group int) bool {
	return p.Gateway.Guarantees.Resumes && p.TellsPositions(group)
}

// TellsPositions reports whether the clients of the plan's group keep their positions and tell them when they come back.
func (p *Plan) TellsPositions(group int) bool {
	g := &p.Clients[group]
	return g.Resume && g.Subscribe.Topic != "" && p.Conflation(g.Subscribe.Topic) == 0
}
