package scenarios

// resuming checks the groups whose clients come back with their positions.
func (c checker) resuming() {
	for _, group := range c.s.clients.items {
		if group.resume.state != given || !group.resume.value {
			continue
		}
		if group.reconnect.state == given && !group.reconnect.value {
			c.addf(group.reconnect.at, "keeps these clients from coming back, and they are to resume (remove it, or resume)")
		}
		if len(group.subscribe) == 0 && group.state != bad {
			c.addf(group.resume.at, "has no use for clients that follow nothing (remove it, or write subscribe)")
		}
		c.resumable(group.resume)
		c.backInTime(group)
		for _, sub := range group.subscribe {
			if sub.topic.state == given && c.p.Conflation(sub.topic.value) > 0 {
				c.addf(group.resume.at, "can't be judged on %s: a conflated topic's offsets have holes, so that a position does not say what was had "+
					"(give these clients another topic, or remove gateway.conflate.%s)", quote(sub.topic.value), sub.topic.value)
			}
		}
	}
}

// resumable refuses resuming clients of a target that they can't resume at.
func (c checker) resumable(resume field[bool]) {
	g, p := c.s.gateway, c.p.Gateway
	switch {
	case g.target.state == bad || g.profile.state == bad:
	case p.Config.Resume.Off:
		c.addf(resume.at, "needs a gateway that gives what was missed, and this one is told not to (remove it, or gateway.config.resume.enabled: false)")
	case p.Target == TargetReference && p.Config.Consume.Group != "":
		c.addf(resume.at, "needs a gateway that reads all partitions, and one in a consumer group refuses positions as not_resumable (remove it, or gateway.config.consume.group)")
	case p.Profile.Resume == nil:
		c.addf(resume.at, "needs a gateway that takes positions, and the profile %s has no resume (write profile: reference, or one with resume)",
			quote(p.Profile.Name))
	case !p.Guarantees.Resumes && g.guarantees.resumes.state != bad:
		c.addf(resume.at, "needs a gateway that gives what was missed, and this one does not say so (write gateway.guarantees.resumes: true, or remove it)")
	}
}
