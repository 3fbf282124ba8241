package loadgen

import "github.com/weirbench/weir/results"

// The stages of a client's meter, in the order of clientStages.
const (
	stageE2E = iota
	stageUncorrected
	stageGateway
	stageGatewayIn
	stageGatewayOut
	stageReceiveLag
	stageConnect
	stageSlow
	stageRoundTrip
	stageReplay
	stageCaughtUp
)

var clientStages = []results.Stage{
	results.StageE2E, results.StageE2EUncorrected, results.StageGateway, results.StageGatewayIn,
	results.StageGatewayOut, results.StageReceiveLag, results.StageConnect,
	results.StageE2ESlow, results.StageRoundTrip, results.StageReplay, results.StageCaughtUp,
}

// The counters of a client's meter, in the order of clientCounters.
const (
	countDelivered = iota
	countDuplicate
	countReordered
	countCorrupt
	countStray
	countEarly
	countForeign
	countBytes
	countReads
	countCoalesced
	countConnected
	countConnectFail
	countThrownOut
	countReportedShed
	countLeft
	countAbsent
	countPlanned
	countReturns
	countResumed
	countResumeFailed
	countReplayed
	countReplayedLeave
)

var clientCounters = []string{
	results.CountDelivered, results.CountDuplicate, results.CountReordered, results.CountCorrupt, results.CountStray,
	results.CountEarly, results.CountForeign, results.CountBytes, results.CountReads, results.CountCoalesced,
	results.CountConnected, results.CountConnectFail, results.CountThrownOut, results.CountReportedShed,
	results.CountLeft, results.CountAbsent, results.CountPlanned,
	results.CountReturns, results.CountResumed, results.CountResumeFailed, results.CountReplayed, results.CountReplayedLeave,
}

// cell returns the meter's cell of a phase (−1 before the load), a group and a producer (−1 for none).
func (t *topology) cell(phase, group, producer int) int {
	return ((phase+1)*len(t.groups)+group)*(len(t.producers)+1) + producer + 1
}

// clientCells names the cells in the order that cell counts them.
func (t *topology) clientCells() []results.Label {
	var cells []results.Label
	for phase := -1; phase <= len(t.phases); phase++ {
		for g := range t.groups {
			for p := -1; p < len(t.producers); p++ {
				label := results.Label{Phase: t.phaseName(phase), Group: t.groups[g].plan.Name}
				if p >= 0 {
					label.Producer = t.producers[p].plan.Name
				}
				cells = append(cells, label)
			}
		}
	}
	return cells
}
